//! `add`: `output = input + other`, the residual addition.

use super::Tensor;

/// `input + other` of equal shapes.
pub fn add(input: &Tensor, other: &Tensor) -> Tensor {
    input.zip(other, |a, b| a + b)
}

/// The gradients with respect to `input` and `other`: both are `grad_output`.
pub fn add_backward(grad_output: &Tensor) -> (Tensor, Tensor) {
    (grad_output.clone(), grad_output.clone())
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    #[test]
    fn backward_is_the_derivative() {
        assert_gradients(
            &[random("input", &[3, 7]), random("other", &[3, 7])],
            |inputs| add(&inputs[0], &inputs[1]),
            |_, grad| <[Tensor; 2]>::from(add_backward(grad)).to_vec(),
        );
    }
}
