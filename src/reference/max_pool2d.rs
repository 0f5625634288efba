//! `max_pool2d`: `output[n,c,p,q] = max over window(p,q) of input[n,c,y,x]`; padding is never chosen.

use super::{PoolAttributes, Tensor, window::window};

/// `torch.nn.functional.max_pool2d` of `input` `[N, C, H, W]`, giving `[N, C, P, Q]`. A NaN in a window is its maximum.
pub fn max_pool2d(input: &Tensor, attributes: &PoolAttributes) -> Tensor {
    pool(input, attributes).0
}

/// The index of the input that each output of [`max_pool2d`] comes from, as PyTorch's `return_indices`: `y W + x` within its plane. The
/// first of equal maxima wins; among NaNs, as in PyTorch, the last.
pub fn max_pool2d_indices(input: &Tensor, attributes: &PoolAttributes) -> Vec<usize> {
    pool(input, attributes).1
}

/// The gradient with respect to `input`: each output's gradient goes to the one input that was its maximum.
pub fn max_pool2d_backward(input: &Tensor, grad_output: &Tensor, attributes: &PoolAttributes) -> Tensor {
    let [_, _, h, w] = input.dims();
    let (output, indices) = pool(input, attributes);
    assert_eq!(output.shape, grad_output.shape, "grad_output has another shape than the output");
    let [_, _, p, q] = output.dims();
    let mut grad_input = Tensor::zeros(&input.shape);
    for (position, (&grad, &index)) in grad_output.data.iter().zip(&indices).enumerate() {
        let plane = position / (p * q);
        grad_input.data[plane * h * w + index] += grad;
    }
    grad_input
}

fn pool(input: &Tensor, attributes: &PoolAttributes) -> (Tensor, Vec<usize>) {
    let [n, c, h, w] = input.dims();
    let (p, q) = attributes.output_size(h, w).unwrap_or_else(|error| panic!("{error}"));
    let PoolAttributes { kernel_size, stride, padding, .. } = *attributes;
    let mut output = Vec::with_capacity(n * c * p * q);
    let mut indices = Vec::with_capacity(n * c * p * q);
    for plane in 0..n * c {
        for i in 0..p {
            let (rows, _) = window(i, kernel_size[0], stride[0], padding[0], h);
            for j in 0..q {
                let (columns, _) = window(j, kernel_size[1], stride[1], padding[1], w);
                let (mut maximum, mut chosen) = (f64::NEG_INFINITY, rows.start * w + columns.start);
                for y in rows.clone() {
                    for x in columns.clone() {
                        let value = input.data[(plane * h + y) * w + x];
                        if value > maximum || value.is_nan() {
                            (maximum, chosen) = (value, y * w + x);
                        }
                    }
                }
                output.push(maximum);
                indices.push(chosen);
            }
        }
    }
    (Tensor::new(&[n, c, p, q], output), indices)
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    #[test]
    fn backward_is_the_derivative() {
        for (kernel, stride, padding, ceil_mode) in [(3, 2, 1, false), (3, 2, 0, true), (2, 1, 1, false)] {
            let attributes =
                PoolAttributes { kernel_size: [kernel; 2], stride: [stride; 2], padding: [padding; 2], ceil_mode };
            assert_gradients(
                &[random("input", &[2, 3, 6, 5])],
                |inputs| max_pool2d(&inputs[0], &attributes),
                |inputs, grad| vec![max_pool2d_backward(&inputs[0], grad, &attributes)],
            );
        }
    }

    #[test]
    fn the_first_maximum_and_the_last_nan_win() {
        let whole = PoolAttributes::new([2, 2]);
        let chosen = |data: [f64; 4]| max_pool2d_indices(&Tensor::new(&[1, 1, 2, 2], data.to_vec()), &whole)[0];
        assert_eq!(chosen([1.0, 3.0, 3.0, 3.0]), 1);
        assert_eq!(chosen([f64::NAN, 3.0, f64::NAN, 3.0]), 2);
        assert_eq!(chosen([f64::NEG_INFINITY; 4]), 0);
    }
}
