//! `global_avg_pool`: `output[n,c] = (1 / HW) sum over y,x of input[n,c,y,x]`.

use super::Tensor;

/// `adaptive_avg_pool2d(input, 1).flatten(1)`: `input` `[N, C, H, W]` gives `[N, C]`.
pub fn global_avg_pool(input: &Tensor) -> Tensor {
    let [n, c, h, w] = input.dims();
    let area = h * w;
    let mean = |plane: usize| input.data[plane * area..][..area].iter().sum::<f64>() / area as f64;
    Tensor::new(&[n, c], (0..n * c).map(mean).collect())
}

/// The gradient with respect to an input of `input_shape` `[N, C, H, W]`, from `grad_output` `[N, C]`.
pub fn global_avg_pool_backward(input_shape: &[usize], grad_output: &Tensor) -> Tensor {
    let mut grad_input = Tensor::zeros(input_shape);
    let [n, c, h, w] = grad_input.dims();
    assert_eq!(grad_output.shape, [n, c], "grad_output has another shape than the output");
    for (offset, grad) in grad_input.data.iter_mut().enumerate() {
        *grad = grad_output.data[offset / (h * w)] / (h * w) as f64;
    }
    grad_input
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    #[test]
    fn backward_is_the_derivative() {
        assert_gradients(
            &[random("input", &[2, 3, 4, 5])],
            |inputs| global_avg_pool(&inputs[0]),
            |inputs, grad| vec![global_avg_pool_backward(&inputs[0].shape, grad)],
        );
    }
}
