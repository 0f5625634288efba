//! Whether a file has exactly the tensors of an architecture.

use std::collections::BTreeSet;
use std::fmt;

use safetensors::Dtype;

use super::Weights;
use super::text::printable;
use crate::error::{Error, Result};
use crate::model::Architecture;

/// How many problems one error lists.
const LISTED: usize = 20;

/// One tensor that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// The architecture has it, the file does not.
    Missing {
        /// The tensor.
        name: String,
        /// What it should be.
        shape: Vec<usize>,
    },
    /// The file has it, the architecture does not.
    Extra {
        /// The tensor.
        name: String,
        /// What it is.
        shape: Vec<usize>,
    },
    /// The shapes differ.
    Misshapen {
        /// The tensor.
        name: String,
        /// What it is.
        found: Vec<usize>,
        /// What it should be.
        expected: Vec<usize>,
    },
    /// The element type is not supported.
    Type {
        /// The tensor.
        name: String,
        /// The type of its elements.
        dtype: Dtype,
    },
}

impl Problem {
    fn kind(&self) -> &'static str {
        match self {
            Problem::Missing { .. } => "missing",
            Problem::Extra { .. } => "unexpected",
            Problem::Misshapen { .. } => "misshapen",
            Problem::Type { .. } => "of a type that is not read",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing { name, shape } => write!(f, "missing {} {shape:?}", printable(name)),
            Problem::Extra { name, shape } => write!(f, "unexpected {} {}", printable(name), shape_text(shape)),
            Problem::Misshapen { name, found, expected } => {
                write!(f, "{} is {} instead of {expected:?}", printable(name), shape_text(found))
            }
            Problem::Type { name, dtype } => {
                write!(f, "{} is {dtype} instead of F32, F16, BF16 or F64", printable(name))
            }
        }
    }
}

/// A shape from outside, which may have any number of dimensions.
fn shape_text(shape: &[usize]) -> String {
    if shape.len() <= 8 { format!("{shape:?}") } else { format!("[{} dimensions]", shape.len()) }
}

/// Every tensor on which `architecture` and the file disagree: first the architecture's in its order, then extra ones.
pub fn compare(weights: &Weights, architecture: &Architecture) -> Vec<Problem> {
    let specs = architecture.parameters();
    let mut problems = Vec::new();
    for spec in &specs {
        let name = spec.name.clone();
        match (weights.shape(&name), weights.dtype(&name)) {
            (Some(shape), Some(dtype)) => {
                if shape != spec.shape {
                    let expected = spec.shape.clone();
                    problems.push(Problem::Misshapen { name, found: shape.to_vec(), expected });
                } else if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64) {
                    problems.push(Problem::Type { name, dtype });
                }
            }
            _ => problems.push(Problem::Missing { name, shape: spec.shape.clone() }),
        }
    }
    let known: BTreeSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let extra = weights
        .names()
        .filter(|name| !known.contains(name))
        .map(|name| Problem::Extra { name: name.to_owned(), shape: weights.shape(name).unwrap_or_default().to_vec() });
    problems.extend(extra);
    problems
}

/// Fails with one error that lists what [`compare`] finds: how many of each kind, and the first 20 by name.
pub fn check(weights: &Weights, architecture: &Architecture) -> Result<()> {
    let problems = compare(weights, architecture);
    if problems.is_empty() {
        return Ok(());
    }
    let counts = ["missing", "unexpected", "misshapen", "of a type that is not read"].into_iter().filter_map(|kind| {
        let count = problems.iter().filter(|problem| problem.kind() == kind).count();
        (count > 0).then(|| format!("{count} {kind}"))
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    let mut text = format!("does not fit {architecture}; tensors {counts}: ");
    text += &problems.iter().take(LISTED).map(Problem::to_string).collect::<Vec<_>>().join("; ");
    if problems.len() > LISTED {
        text += &format!("; and {} more", problems.len() - LISTED);
    }
    Err(Error::file(weights.label(), text))
}
