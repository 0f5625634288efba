//! The gradients by input, weight and bias, as operations with all three have them.

use crate::ops::host::{Array, Gradients};
use crate::reference::{self, Tensor};
use crate::verify::case::{Case, Expected};

/// The three gradients in order, as [`crate::verify::case::Kernel::run`] gives them.
pub(super) fn three(gradients: Gradients) -> Vec<Array> {
    vec![gradients.grad_input, gradients.grad_weight, gradients.grad_bias]
}

/// The same of a twin; `terms` is the number of terms of each one's sums.
pub(super) fn expect_three(case: &Case, gradients: reference::Gradients, terms: [f64; 3]) -> Vec<Expected> {
    vec![
        Expected::gradient(case, "grad_input", gradients.grad_input, terms[0]),
        Expected::sum("grad_weight", gradients.grad_weight, terms[1]),
        Expected::sum("grad_bias", gradients.grad_bias, terms[2]),
    ]
}

/// The sum of the products of two tensors' values.
pub(super) fn dot(a: &Tensor, b: &Tensor) -> f64 {
    a.data.iter().zip(&b.data).map(|(a, b)| a * b).sum()
}
