//! Gradients held to differences of the forward twin, along one direction of all inputs at once.

use super::case::{Case, Expected, Slope};
use crate::ops::host::Array;
use crate::reference::Tensor;
use crate::weights::hash_tensor;

/// The objective's slope along one direction of all of its inputs at once.
pub(super) struct Direction {
    /// The slope by finite differences.
    pub slope: f64,
    /// How far each input moves, one entry per gradient.
    steps: Vec<f64>,
}

impl Direction {
    /// Every value of an input moves up or down by the same amount, so that an error in any value of its gradient shows. Inputs with
    /// small gradients move further, so that all have equal weight.
    pub fn new(case: &Case, slope: &Slope, inputs: &[Tensor], expected: &[Expected]) -> Self {
        // Far below the distance of most values from the kinks of a maximum; rounding costs 1e-5 of the slope.
        const FURTHEST: f64 = 1e-7;
        let norm = |output: usize| expected[output].tensor.data.iter().map(|v| v * v).sum::<f64>().sqrt();
        let steps: Vec<f64> = slope.gradients.iter().map(|&(output, _)| 1.0 / norm(output).max(1e-30)).collect();
        let step = FURTHEST / steps.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let moved = |by: f64| {
            let mut inputs = inputs.to_vec();
            for (&(output, input), amount) in slope.gradients.iter().zip(&steps) {
                let signs = signs(case, output, inputs[input].data.len());
                let values = inputs[input].data.iter_mut().zip(signs);
                values.for_each(|(value, sign)| *value += by * amount * f64::from(sign));
            }
            (slope.objective)(case, &inputs)
        };
        Self { slope: (moved(step) - moved(-step)) / (2.0 * step), steps }
    }

    /// The difference between the slope from the gradients `found` and the finite differences, in norms of a gradient.
    pub fn error(&self, case: &Case, slope: &Slope, found: &[Array]) -> f64 {
        let mut claimed = 0.0;
        for (&(output, _), amount) in slope.gradients.iter().zip(&self.steps) {
            let signs = signs(case, output, found[output].data.len());
            let values = found[output].data.iter().zip(signs);
            claimed += amount * values.map(|(&value, sign)| f64::from(value) * f64::from(sign)).sum::<f64>();
        }
        (claimed - self.slope).abs()
    }
}

/// A sign for each value of a gradient.
fn signs(case: &Case, output: usize, count: usize) -> Vec<f32> {
    hash_tensor(&format!("{} sign {output}", case.data_line()), count, |u| if u < 0.5 { -1.0 } else { 1.0 })
}
