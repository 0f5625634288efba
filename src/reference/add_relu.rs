//! `add_relu`: `output = max(input + other, 0)`, the end of a residual block: `a[l+2] = g(z[l+2] + a[l])`.

use super::{Tensor, add, relu, relu_backward};

/// `relu(input + other)` of equal shapes.
pub fn add_relu(input: &Tensor, other: &Tensor) -> Tensor {
    relu(&add(input, other))
}

/// The gradients with respect to `input` and `other`, which are equal: `grad_output` where the sum is above zero.
pub fn add_relu_backward(input: &Tensor, other: &Tensor, grad_output: &Tensor) -> (Tensor, Tensor) {
    let grad = relu_backward(&add(input, other), grad_output);
    (grad.clone(), grad)
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    #[test]
    fn backward_is_the_derivative() {
        assert_gradients(
            &[random("input", &[3, 7]), random("other", &[3, 7])],
            |inputs| add_relu(&inputs[0], &inputs[1]),
            |inputs, grad| <[Tensor; 2]>::from(add_relu_backward(&inputs[0], &inputs[1], grad)).to_vec(),
        );
    }
}
