//! The operations that are verified, and the one list of cases that everything goes through: `verify`, the tests of the
//! kernels, and the negative controls.

mod clip_grad_norm;
mod conv2d;
mod conv2d_backward;
mod conv2d_backward_input;
mod elementwise;
mod head;
mod head_step;
mod hook;
mod loss_scale;
mod network;
mod norm;
mod optimisers;
mod pool;
mod preprocess;
mod shortcut_pad;
mod space_to_depth;

use std::sync::Arc;

use super::case::{Case, FILL, Key};
use super::check::Judgement;
use super::report::{CaseResult, Direction};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::ops::Precision;
use crate::ops::host::{Array, Gradients};
use crate::reference::{self, Tensor};

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
    /// Keys of its cases, in the order in which they are printed.
    pub keys: &'static [Key],
    /// Whether its cases also have the keys [`FILL`].
    pub fill: bool,
    /// Its lines of a suite.
    pub list: fn(Suite) -> Vec<String>,
    /// Arithmetic of a case, a multiply-add counted as two.
    pub flops: fn(&Case) -> f64,
    pub body: Body,
}

/// How a case runs and what it is held to.
pub enum Body {
    Kernel(Kernel),
    /// Something larger that judges itself: what is wrong, if anything.
    Whole(fn(&Arc<Gpu>, &Case, &mut CaseResult) -> Result<Judgement>),
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
pub type Run = fn(&Arc<Gpu>, &Case, &[Array]) -> Result<Vec<Array>>;

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
    /// What this many roundings leave; see `docs/verification.md`.
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

/// A scalar function of the inputs whose derivatives are some of the outputs.
pub struct Slope {
    /// In f64: the sum of the forward twin's outputs, weighted by the gradient from above.
    pub objective: fn(&Case, &[Tensor]) -> f64,
    /// Output `.0` is the gradient by input `.1`.
    pub gradients: &'static [(usize, usize)],
}

impl Operation {
    /// All keys of its cases.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().chain(if self.fill { FILL } else { &[] })
    }
}

static OPERATIONS: &[&[Operation]] = &[
    conv2d::OPERATIONS,
    conv2d_backward::OPERATIONS,
    conv2d_backward_input::OPERATIONS,
    norm::OPERATIONS,
    elementwise::OPERATIONS,
    pool::OPERATIONS,
    shortcut_pad::OPERATIONS,
    space_to_depth::OPERATIONS,
    head::OPERATIONS,
    head_step::OPERATIONS,
    optimisers::OPERATIONS,
    clip_grad_norm::OPERATIONS,
    loss_scale::OPERATIONS,
    preprocess::OPERATIONS,
    network::OPERATIONS,
    hook::OPERATIONS,
];

/// Every operation, in the order in which they run.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().copied().flatten()
}

/// The operation `name`.
pub fn operation(name: &str) -> Option<&'static Operation> {
    operations().find(|operation| operation.name == name)
}

/// All cases of a suite on any adapter; variants of one case follow each other. [`Suite::Quick`] leaves out most of those of kernels
/// that an adapter does not use: see [`super::select`].
pub fn cases(suite: Suite) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for operation in operations() {
        for line in (operation.list)(suite) {
            let case = Case::parse(&format!("{} {line}", operation.name))?;
            if cases.contains(&case) {
                return Err(Error::Usage(format!("the case {case} is listed twice")));
            }
            cases.push(case);
        }
    }
    Ok(cases)
}

/// Non-empty lines of a text, blanks trimmed and `#` comments dropped.
fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The same lines for maps that are stored as f16.
fn halves(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| format!("{line} precision=f16")).collect()
}

/// The three gradients in order, as [`Kernel::run`] gives them.
fn three(gradients: Gradients) -> Vec<Array> {
    vec![gradients.grad_input, gradients.grad_weight, gradients.grad_bias]
}

/// The same of a twin; `terms` is the number of terms of each one's sums.
fn expect_three(case: &Case, gradients: reference::Gradients, terms: [f64; 3]) -> Vec<Expected> {
    vec![
        Expected::gradient(case, "grad_input", gradients.grad_input, terms[0]),
        Expected::sum("grad_weight", gradients.grad_weight, terms[1]),
        Expected::sum("grad_bias", gradients.grad_bias, terms[2]),
    ]
}

/// The sum of the products of two tensors' values.
fn dot(a: &Tensor, b: &Tensor) -> f64 {
    a.data.iter().zip(&b.data).map(|(a, b)| a * b).sum()
}
