//! What a case should give by the f64 twin, and the judgement of what an adapter gave.

use super::case::{Case, Expected, Kernel, Slope};
use super::judgement::{Check, Judgement};
use super::report::CaseResult;
use super::slope::Direction;
use super::tolerance::{compare_output, limit};
use crate::ops::Precision;
use crate::ops::host::Array;
use crate::reference::Tensor;

/// Largest error of a slope, relative to the gradient's norm.
const SLOPE_LIMIT: f64 = 5e-4;
/// Larger cases are not compared with finite differences: the twin would take too long.
const SLOPE_FLOPS: f64 = 3e8;
const SLOPE_VALUES: usize = 1 << 20;

pub(super) struct Twin {
    expected: Vec<Expected>,
    slope: Option<Direction>,
}

impl Twin {
    pub fn new(case: &Case, kernel: &Kernel, inputs: &[Tensor]) -> Self {
        let expected = (kernel.twin)(case, inputs);
        let values: usize = inputs.iter().map(|input| input.data.len()).sum();
        let small = (case.operation.flops)(case) < SLOPE_FLOPS && values < SLOPE_VALUES;
        // Gradients that are rounded to f16 are not exact slopes; f32 gradients by the same formulas are.
        let exact = case.precision() == Precision::F32;
        let slope = kernel.slope.as_ref().filter(|_| small && exact && case.is_plain());
        let slope = slope.map(|slope| Direction::new(case, slope, inputs, &expected));
        // The mean loss of no rows has no slope.
        let slope = slope.filter(|direction| direction.slope.is_finite());
        Self { expected, slope }
    }

    /// Compares outputs with the twin's and records the measures of the worst.
    pub fn judge(&self, case: &Case, found: &[Array], slope: Option<&Slope>, result: &mut CaseResult) -> Judgement {
        if found.len() != self.expected.len() {
            let problem = format!("{} outputs; {} are expected", found.len(), self.expected.len());
            return Some((Check::Shape, problem));
        }
        let mut failed = None;
        for (found, expected) in found.iter().zip(&self.expected) {
            let (name, shape) = (expected.name, &expected.tensor.shape);
            if &found.shape != shape {
                return Some((Check::Shape, format!("{name} has the shape {:?}; {shape:?} is expected", found.shape)));
            }
            let measured = compare_output(found, expected);
            let limit = limit(expected.allowed, measured.count);
            let share = if measured.nmse == 0.0 { 0.0 } else { measured.nmse / limit };
            if result.share.is_none_or(|worst| share > worst) {
                let at = format!("{name}{:?}", place(measured.worst_index, shape));
                if share > 1.0 {
                    let (found, expected) = (measured.worst_found, measured.worst_expected);
                    let message = format!(
                        "{at} is {found:e}, {expected:e} is expected; NMSE {:.1e}, {limit:.1e} is allowed",
                        measured.nmse
                    );
                    failed = Some((Check::Tolerance, message));
                }
                (result.nmse, result.max_abs, result.max_rel) =
                    (Some(measured.nmse), Some(measured.max_abs), Some(measured.max_rel));
                (result.worst_index, result.tolerance, result.share) = (Some(at), Some(limit), Some(share));
            }
        }
        if failed.is_none()
            && let (Some(direction), Some(slope)) = (&self.slope, slope)
        {
            let error = direction.error(case, slope, found);
            if error.is_nan() || error > SLOPE_LIMIT {
                let message = format!("the slope of the forward twin differs by {error:.1e} of the gradient");
                failed = Some((Check::Slope, message));
            }
        }
        failed
    }
}

/// The index of flat position `at` in a tensor of `shape`.
fn place(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = Vec::with_capacity(shape.len());
    for &extent in shape.iter().rev() {
        index.push(at % extent.max(1));
        at /= extent.max(1);
    }
    index.reverse();
    index
}
