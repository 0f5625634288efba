//! The keys of a case: what each takes, and what is its default.

use std::fmt;

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

    pub(super) fn parse(&self, text: &str) -> Option<Value> {
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
