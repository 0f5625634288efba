//! `avg_pool2d`: `output[n,c,p,q] = (1 / |window(p,q)|) sum over window(p,q) of input[n,c,y,x]`, where the window's size
//! includes the padding (`count_include_pad=True`) but nothing beyond it (`ceil_mode`).

use super::{PoolAttributes, Tensor, window::window};

/// `torch.nn.functional.avg_pool2d` of `input` `[N, C, H, W]`, giving `[N, C, P, Q]`.
pub fn avg_pool2d(input: &Tensor, attributes: &PoolAttributes) -> Tensor {
    let [n, c, h, w] = input.dims();
    let (p, q) = attributes.output_size(h, w).unwrap_or_else(|error| panic!("{error}"));
    let mut output = Tensor::zeros(&[n, c, p, q]);
    for_each_tap(input.dims(), [p, q], attributes, |from, to, share| output.data[to] += input.data[from] / share);
    output
}

/// The gradient with respect to an input of `input_shape` `[N, C, H, W]`: each output's gradient is distributed evenly over its
/// window.
pub fn avg_pool2d_backward(input_shape: &[usize], grad_output: &Tensor, attributes: &PoolAttributes) -> Tensor {
    let mut grad_input = Tensor::zeros(input_shape);
    let [n, c, h, w] = grad_input.dims();
    let (p, q) = attributes.output_size(h, w).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(grad_output.shape, [n, c, p, q], "grad_output has another shape than the output");
    for_each_tap([n, c, h, w], [p, q], attributes, |from, to, share| {
        grad_input.data[from] += grad_output.data[to] / share;
    });
    grad_input
}

/// Calls `tap(input offset, output offset, window size)` for every input under every window.
fn for_each_tap(
    [n, c, h, w]: [usize; 4],
    [p, q]: [usize; 2],
    attributes: &PoolAttributes,
    mut tap: impl FnMut(usize, usize, f64),
) {
    let PoolAttributes { kernel_size, stride, padding, .. } = *attributes;
    for plane in 0..n * c {
        for i in 0..p {
            let (rows, height) = window(i, kernel_size[0], stride[0], padding[0], h);
            for j in 0..q {
                let (columns, width) = window(j, kernel_size[1], stride[1], padding[1], w);
                // A window may have more pixels than a 32-bit `usize` counts.
                let share = height as f64 * width as f64;
                for y in rows.clone() {
                    for x in columns.clone() {
                        tap((plane * h + y) * w + x, (plane * p + i) * q + j, share);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    #[test]
    fn backward_is_the_derivative() {
        for (kernel, stride, padding, ceil_mode) in [(3, 2, 1, false), (3, 2, 1, true), (2, 1, 1, false)] {
            let attributes =
                PoolAttributes { kernel_size: [kernel; 2], stride: [stride; 2], padding: [padding; 2], ceil_mode };
            assert_gradients(
                &[random("input", &[2, 3, 6, 5])],
                |inputs| avg_pool2d(&inputs[0], &attributes),
                |inputs, grad| vec![avg_pool2d_backward(&inputs[0].shape, grad, &attributes)],
            );
        }
    }
}
