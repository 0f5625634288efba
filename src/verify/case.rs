//! A case, and the operation that it is of: what runs, and what it is held to.
//!
//! A case is one operation with its shapes, attributes, kernel variant and inputs. It prints itself as one line, such as
//! `conv2d n=2 c=7 h=9 w=11 k=5 kernel=3 stride=2 padding=1 variant=gemm`, and is parsed back from it
//! ([`super::cases`]); what has its default is left out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::judgement::Judgement;
use super::key::{FILL, Key, PARTS, PRECISION, SPACE_TO_DEPTH, VARIANT, Value, WINOGRAD};
use super::report::{CaseResult, Direction};
use crate::error::Result;
use crate::gpu::Gpu;
use crate::ops::host::Array;
use crate::ops::{Conv2dAlgorithm, Conv2dVariant, Precision, WinogradTile};
use crate::reference::Tensor;

/// How many cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Suite {
    /// Every operation by the kernels that the adapter uses by itself, and a case of every other kernel: reduced shapes and corners
    Quick,
    /// The same shapes by every kernel that the adapter can run
    Kernels,
    /// The same, and ResNet-50's own shapes at full size, and very large tensors
    Full,
}

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Kernels => "kernels",
            Self::Full => "full",
        }
    }
}

/// An operation as it is verified.
pub struct Operation {
    /// First word of its cases.
    pub name: &'static str,
    pub direction: Direction,
    /// Keys of its cases in groups, in the order in which they are printed.
    pub keys: &'static [&'static [Key]],
    /// Whether its cases also have the keys [`FILL`].
    pub fill: bool,
    /// Its lines of a suite.
    pub list: fn(Suite) -> Vec<String>,
    /// Arithmetic of a case, a multiply-add counted as two.
    pub flops: fn(&Case) -> f64,
    pub body: Body,
}

impl Operation {
    /// All keys of its cases.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().copied().chain(self.fill.then_some(FILL)).flatten()
    }
}

/// How a case runs and what it is held to.
pub enum Body {
    Kernel(Kernel),
    /// Something larger that judges itself: what is wrong, if anything.
    Whole(for<'a> fn(&'a Arc<Gpu>, &'a Case, &'a mut CaseResult) -> Running<'a, Judgement>),
}

/// Kernels with an f64 twin.
pub struct Kernel {
    /// The tensors that go in, hashed from the case's line.
    pub inputs: fn(&Case) -> Result<Vec<Array>>,
    /// What the adapter makes of them.
    pub run: Run,
    /// What it should be. Called only for cases that `run` accepted, since twins panic on impossible shapes.
    pub twin: fn(&Case, &[Tensor]) -> Vec<Expected>,
    /// How backward passes are held to differences of the forward twin.
    pub slope: Option<Slope>,
}

/// Runs a case's kernels on its inputs.
pub type Run = for<'a> fn(&'a Arc<Gpu>, &'a Case, &'a [Array]) -> Running<'a, Vec<Array>>;

/// What is under way on the adapter.
pub type Running<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// A scalar function of the inputs whose derivatives are some of the outputs.
pub struct Slope {
    /// In f64: the sum of the forward twin's outputs, weighted by the gradient from above.
    pub objective: fn(&Case, &[Tensor]) -> f64,
    /// Output `.0` is the gradient of input `.1`.
    pub gradients: &'static [(usize, usize)],
}

/// One output of the twin.
pub struct Expected {
    pub name: &'static str,
    pub tensor: Tensor,
    pub allowed: Allowed,
}

/// What a kernel may be off by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowed {
    /// Not a bit: values are only moved or chosen.
    Exact,
    /// What this many roundings leave; see `docs/internals/verification.md`.
    Roundings(f64),
    /// The same, and then one rounding to f16.
    Stored(f64),
    /// The same of a gradient: beyond f16 it is infinite.
    Gradient(f64),
}

impl Expected {
    /// An output whose values are only moved or chosen.
    pub fn exact(name: &'static str, tensor: Tensor) -> Self {
        Self { name, tensor, allowed: Allowed::Exact }
    }

    /// An output that is a sum of `terms`, or takes as many roundings.
    pub fn sum(name: &'static str, tensor: Tensor, terms: f64) -> Self {
        Self { name, tensor, allowed: Allowed::Roundings(terms) }
    }

    /// [`Self::sum`] of an output that is stored in the case's precision.
    pub fn stored(case: &Case, name: &'static str, tensor: Tensor, terms: f64) -> Self {
        let allowed = match case.precision() {
            Precision::F32 => Allowed::Roundings(terms),
            Precision::F16 => Allowed::Stored(terms),
        };
        Self { name, tensor, allowed }
    }

    /// [`Self::sum`] of a map's gradient, which is stored in the case's precision.
    pub fn gradient(case: &Case, name: &'static str, tensor: Tensor, terms: f64) -> Self {
        let allowed = match case.precision() {
            Precision::F32 => Allowed::Roundings(terms),
            Precision::F16 => Allowed::Gradient(terms),
        };
        Self { name, tensor, allowed }
    }
}

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
    /// The case of `operation` with a value for each of its keys.
    pub(super) fn new(operation: &'static Operation, values: Vec<Value>) -> Self {
        Self { operation, values }
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
        Conv2dVariant::named(self.word(VARIANT))
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
}
