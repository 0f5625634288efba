//! A case: one operation with its shapes, attributes, kernel variant and inputs. It prints itself as one line, such as
//! `conv2d n=2 c=7 h=9 w=11 k=5 kernel=3 stride=2 padding=1 variant=gemm`, and is parsed back from it. Defaults are left out. Inputs
//! are hashed from the line, so that the line alone says everything.

use std::fmt;

use super::cases::{Operation, operation};
use super::report::Direction;
use crate::error::{Error, Result};
use crate::ops::host::Array;
use crate::ops::{Conv2dAlgorithm, Conv2dVariant, Precision, WinogradTile};
use crate::weights::{hash_input, hash_targets};

/// One value of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Size(usize),
    /// Height and width; printed as one number if they are equal.
    Pair([usize; 2]),
    Flag(bool),
    Number(f64),
    Word(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Self::Size(size) => write!(f, "{size}"),
            Self::Pair([a, b]) if a == b => write!(f, "{a}"),
            Self::Pair([a, b]) => write!(f, "{a},{b}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Word(word) => write!(f, "{word}"),
        }
    }
}

/// A key of an operation's cases: the kind of its value, and its default.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    /// `None`: the line must give it.
    pub default: Option<Value>,
    /// An example of the kind.
    kind: Value,
    /// The choices of a [`Value::Word`].
    words: &'static [&'static str],
}

impl Key {
    /// An extent, without a default.
    pub const fn size(name: &'static str) -> Self {
        Self { name, default: None, kind: Value::Size(0), words: &[] }
    }

    /// Height and width, without a default.
    pub const fn extent(name: &'static str) -> Self {
        Self { name, default: None, kind: Value::Pair([0, 0]), words: &[] }
    }

    /// A count with a default.
    pub const fn count(name: &'static str, default: usize) -> Self {
        Self { name, default: Some(Value::Size(default)), kind: Value::Size(0), words: &[] }
    }

    /// Height and width with a default.
    pub const fn pair(name: &'static str, default: usize) -> Self {
        Self { name, default: Some(Value::Pair([default; 2])), kind: Value::Pair([0, 0]), words: &[] }
    }

    /// A switch that is off by default.
    pub const fn flag(name: &'static str) -> Self {
        Self { name, default: Some(Value::Flag(false)), kind: Value::Flag(false), words: &[] }
    }

    pub const fn number(name: &'static str, default: f64) -> Self {
        Self { name, default: Some(Value::Number(default)), kind: Value::Number(0.0), words: &[] }
    }

    /// One of `words`; the first is the default.
    pub const fn word(name: &'static str, words: &'static [&'static str]) -> Self {
        Self { name, default: Some(Value::Word(words[0])), kind: Value::Word(""), words }
    }

    /// One of `words`, without a default.
    pub const fn name(name: &'static str, words: &'static [&'static str]) -> Self {
        Self { name, default: None, kind: Value::Word(""), words }
    }

    fn parse(&self, text: &str) -> Option<Value> {
        let size = |text: &str| text.parse::<usize>().ok();
        match self.kind {
            Value::Size(_) => size(text).map(Value::Size),
            Value::Pair(_) => match text.split_once(',') {
                Some((a, b)) => Some(Value::Pair([size(a)?, size(b)?])),
                None => size(text).map(|both| Value::Pair([both; 2])),
            },
            Value::Flag(_) => text.parse().ok().map(Value::Flag),
            Value::Number(_) => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Number),
            Value::Word(_) => self.words.iter().find(|word| **word == text).map(|word| Value::Word(word)),
        }
    }
}

/// The content of the first input (and, as `grad_values`, of the upstream gradient).
pub const VALUES: &[&str] = &[
    // Uniform in [-2, 2).
    "uniform",
    "zeros",
    // Every value below the smallest normal number; drivers may flush them to zero.
    "denormal",
    // Uniform in [1, 3): sums overflow in any order.
    "positive",
    // One value in 97; of an upstream gradient, a single value.
    "nan",
    "inf",
    "-inf",
    // All pairs (and triples) of NaN, infinities, both zeros, the largest and small numbers.
    "special",
    // Few different values, a single value, and the output of a ReLU: ties for a maximum.
    "coarse",
    "equal",
    "rectified",
    // Nothing is larger than minus infinity.
    "lowest",
];

/// Keys of every operation whose inputs are filled by [`Case::filled`].
pub const FILL: &[Key] = &[Key::word("values", VALUES), Key::number("scale", 1.0), Key::number("offset", 0.0)];

/// The kernel variant; `-` if an operation has only one.
pub const VARIANT: &str = "variant";

/// Outputs along a side of Winograd's tile; `no` for direct convolution.
pub const WINOGRAD: &str = "winograd";
/// The choices of [`WINOGRAD`].
pub const TILES: &[&str] = &["no", "2", "4"];

/// Parts of a convolution's split reduction.
pub const PARTS: Key = Key::count("parts", 1);

/// Whether the convolution uses space-to-depth.
pub const SPACE_TO_DEPTH: Key = Key::flag("space_to_depth");

/// How the operation's maps and weights are stored; without the key f32.
pub const PRECISION: Key = Key::word("precision", &["f32", "f16"]);

/// One operation with its shapes, attributes, variant and inputs.
#[derive(Clone)]
pub struct Case {
    pub operation: &'static Operation,
    values: Vec<Value>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for Case {
    fn eq(&self, other: &Self) -> bool {
        self.operation.name == other.operation.name && self.values == other.values
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.print(f, |_| true)
    }
}

impl Case {
    /// Parses `line`.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown operation, an unknown, repeated, malformed or missing key.
    pub fn parse(line: &str) -> Result<Self> {
        let wrong = |problem: String| Error::Usage(format!("{line:?} is not a case: {problem}"));
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let operation = operation(name).ok_or_else(|| wrong(format!("there is no operation {name:?}")))?;
        let keys: Vec<&Key> = operation.keys().collect();
        let mut values: Vec<Option<Value>> = vec![None; keys.len()];
        for word in words {
            let (key, text) = word.split_once('=').ok_or_else(|| wrong(format!("{word:?} is not KEY=VALUE")))?;
            let at = keys.iter().position(|known| known.name == key);
            let at = at.ok_or_else(|| wrong(format!("{name} has no key {key:?}")))?;
            let value = keys[at].parse(text).ok_or_else(|| wrong(format!("{key} can't be {text:?}")))?;
            if values[at].replace(value).is_some() {
                return Err(wrong(format!("{key} is said twice")));
            }
        }
        let values = keys
            .iter()
            .zip(values)
            .map(|(key, value)| value.or(key.default).ok_or_else(|| wrong(format!("{} is missing", key.name))));
        Ok(Self { operation, values: values.collect::<Result<_>>()? })
    }

    fn print(&self, f: &mut impl fmt::Write, wanted: impl Fn(&Key) -> bool) -> fmt::Result {
        write!(f, "{}", self.operation.name)?;
        for (key, value) in self.operation.keys().zip(&self.values) {
            if key.default != Some(*value) && wanted(key) {
                write!(f, " {}={value}", key.name)?;
            }
        }
        Ok(())
    }

    /// The line without the variant. Inputs are hashed from it, so that all variants get the same inputs.
    pub fn data_line(&self) -> String {
        let mut line = String::new();
        // Writing to a string can't fail.
        let _ = self.print(&mut line, |key| key.name != VARIANT);
        line
    }

    /// Forward, backward, or a whole network.
    pub fn direction(&self) -> Direction {
        self.operation.direction
    }

    fn value(&self, name: &str) -> Option<Value> {
        self.operation.keys().zip(&self.values).find(|(key, _)| key.name == name).map(|(_, value)| *value)
    }

    /// The count under `name`; a missing key is a bug in the operation's table.
    pub fn size(&self, name: &str) -> usize {
        match self.value(name) {
            Some(Value::Size(size)) => size,
            other => unreachable!("{self}: {name} is {other:?}, not a size"),
        }
    }

    /// The counts under `names`.
    pub fn sizes<const K: usize>(&self, names: [&str; K]) -> [usize; K] {
        names.map(|name| self.size(name))
    }

    /// Height and width under `name`.
    pub fn pair(&self, name: &str) -> [usize; 2] {
        match self.value(name) {
            Some(Value::Pair(pair)) => pair,
            other => unreachable!("{self}: {name} is {other:?}, not a pair"),
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Flag(true)))
    }

    pub fn number(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(Value::Number(number)) => number,
            other => unreachable!("{self}: {name} is {other:?}, not a number"),
        }
    }

    /// The word under `name`; empty if the operation has no such key.
    pub fn word(&self, name: &str) -> &'static str {
        match self.value(name) {
            Some(Value::Word(word)) => word,
            _ => "",
        }
    }

    /// The convolution kernel, if the case names one.
    pub fn variant(&self) -> Option<Conv2dVariant> {
        Conv2dVariant::FORWARD.into_iter().find(|variant| variant.name() == self.word(VARIANT))
    }

    /// The same with Winograd's tile or blocks of pixels around it, if the case has them.
    pub fn algorithm(&self) -> Option<Conv2dAlgorithm> {
        self.variant().map(|variant| self.algorithm_of(variant))
    }

    /// `variant` with Winograd's tile or blocks of pixels around it, if the case has them.
    pub fn algorithm_of(&self, variant: Conv2dVariant) -> Conv2dAlgorithm {
        match self.word(WINOGRAD) {
            "2" => Conv2dAlgorithm::Winograd(WinogradTile::Two, variant),
            "4" => Conv2dAlgorithm::Winograd(WinogradTile::Four, variant),
            _ if self.flag(SPACE_TO_DEPTH.name) => Conv2dAlgorithm::SpaceToDepth(variant),
            _ if self.parts() != 1 => Conv2dAlgorithm::Split(variant, self.parts()),
            _ => variant.into(),
        }
    }

    /// Parts of the reduction; 1 for an operation without the key.
    pub fn parts(&self) -> usize {
        match self.value(PARTS.name) {
            Some(Value::Size(parts)) => parts,
            _ => 1,
        }
    }

    /// How maps and weights are stored.
    pub fn precision(&self) -> Precision {
        if self.word(PRECISION.name) == "f16" { Precision::F16 } else { Precision::F32 }
    }

    /// Whether the inputs are plain: neither special values nor unusual magnitudes.
    pub fn is_plain(&self) -> bool {
        self.operation.fill
            && self.word("values") == "uniform"
            && self.number("scale") == 1.0
            && self.number("offset") == 0.0
            && matches!(self.word("grad_values"), "" | "uniform")
    }

    fn seed(&self, name: &str) -> String {
        format!("{} {name}", self.data_line())
    }

    /// Values in [-2, 2) that depend on the line and `name`.
    pub fn array(&self, name: &str, shape: &[usize]) -> Array {
        Array { shape: shape.to_vec(), data: hash_input(&self.seed(name), shape.iter().product()) }
    }

    /// [`Self::array`] with `f` applied.
    pub fn array_with(&self, name: &str, shape: &[usize], f: impl Fn(f32) -> f32) -> Array {
        let mut array = self.array(name, shape);
        array.data.iter_mut().for_each(|value| *value = f(*value));
        array
    }

    /// Class numbers below `classes`.
    pub fn classes(&self, name: &str, count: usize, classes: usize) -> Vec<i64> {
        hash_targets(&self.seed(name), count, classes as u64)
    }

    /// An input as `values`, `scale` and `offset` describe it; `place` is its number among the inputs.
    pub fn filled(&self, name: &str, shape: &[usize], place: usize) -> Array {
        let (scale, offset) = (self.number("scale") as f32, self.number("offset") as f32);
        self.fill(name, shape, place, self.word("values"), |value| value * scale + offset)
    }

    /// An upstream gradient as `grad_values` describes it.
    pub fn grad(&self, name: &str, shape: &[usize], place: usize) -> Array {
        self.fill(name, shape, place, self.word("grad_values"), |value| value)
    }

    /// An input of the kind `values`.
    pub fn fill_as(&self, name: &str, shape: &[usize], place: usize, values: &str) -> Array {
        self.fill(name, shape, place, values, |value| value)
    }

    fn fill(&self, name: &str, shape: &[usize], place: usize, values: &str, f: impl Fn(f32) -> f32) -> Array {
        const SPECIAL: [f32; 9] =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, f32::MIN, 1e-30, -1e-30];
        let mut array = self.array(name, shape);
        // The gradient has one special value, far from the borders, because there 0 times NaN may or may not be added.
        let chosen = |i: usize| if place == 0 { i % 97 == 40 } else { i == 40 };
        for (i, value) in array.data.iter_mut().enumerate() {
            let plain = f(*value);
            *value = match values {
                "zeros" => 0.0,
                // All bits of a mantissa, exponent 0.
                "denormal" => f32::from_bits(value.to_bits() & 0x807f_ffff),
                "positive" => (value.abs() + 1.0) * f(1.0),
                "nan" if chosen(i) => f32::NAN,
                "inf" if chosen(i) => f32::INFINITY,
                "-inf" if chosen(i) => f32::NEG_INFINITY,
                "special" => SPECIAL[i / SPECIAL.len().pow(place as u32) % SPECIAL.len()],
                "coarse" => (*value * 1.5).round(),
                "equal" => 1.0,
                "rectified" => value.max(0.0),
                "lowest" => f32::NEG_INFINITY,
                _ => plain,
            };
        }
        array
    }
}
