//! The operations that are verified, and the one list of cases that everything goes through: `verify`, the tests of the
//! kernels, and the negative controls.

mod clip_grad_norm;
mod conv2d;
mod conv2d_backward;
mod conv2d_backward_input;
mod elementwise;
mod gradients;
mod head;
mod head_step;
mod hook;
mod lines;
mod loss_scale;
mod network;
mod norm;
mod optimisers;
mod pool;
mod preprocess;
mod shortcut_pad;
mod space_to_depth;

use super::key::{Key, Value};
use crate::error::{Error, Result};

pub use super::case::{Allowed, Body, Case, Expected, Kernel, Operation, Run, Slope, Suite};

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
        Ok(Self::new(operation, values.collect::<Result<_>>()?))
    }
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
