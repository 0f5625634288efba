//! `relu`: `output = max(input, 0)`, where NaN stays NaN.

use super::Tensor;

/// `torch.relu`, any shape.
pub fn relu(input: &Tensor) -> Tensor {
    // Written as "not below zero", because a comparison with NaN is false and NaN has to pass.
    input.map(|x| if x <= 0.0 { 0.0 } else { x })
}

/// The gradient with respect to `input`: `grad_output` where the input is above zero (or NaN), else zero.
pub fn relu_backward(input: &Tensor, grad_output: &Tensor) -> Tensor {
    input.zip(grad_output, |x, grad| if x <= 0.0 { 0.0 } else { grad })
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    #[test]
    fn backward_is_the_derivative() {
        assert_gradients(
            &[random("input", &[3, 17])],
            |inputs| relu(&inputs[0]),
            |inputs, grad| vec![relu_backward(&inputs[0], grad)],
        );
    }
}
