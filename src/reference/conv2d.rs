//! `conv2d`: `output[n,k,p,q] = bias[k] + sum over c,r,s of weight[k,c,r,s] input[n, g C' + c, y, x]` with
//! `y = p stride - padding + r dilation`, `x` likewise, `g` the group of `k` and `C'` the channels of a group. Values outside
//! the input are zero.

use std::ops::Range;

use rayon::prelude::*;

use super::{Conv2dAttributes, Gradients, Tensor};

/// `torch.nn.functional.conv2d`: `input` `[N, C, H, W]`, `weight` `[K, C / groups, R, S]`, `bias` `[K]`, giving
/// `[N, K, P, Q]`.
pub fn conv2d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, attributes: &Conv2dAttributes) -> Tensor {
    let geometry = Geometry::new(input.dims(), weight.dims(), attributes);
    let Geometry { n, k, p, q, .. } = geometry;
    let mut output = Tensor::zeros(&[n, k, p, q]);
    output.data.par_chunks_mut(p * q).enumerate().for_each(|(plane, output)| {
        let (image, channel) = (plane / k, plane % k);
        output.fill(bias.map_or(0.0, |bias| bias[[channel]]));
        for c in 0..geometry.group_inputs {
            let input = geometry.input_plane(input, image, geometry.input_channel(channel, c));
            geometry.for_each_tap(|r, s, rows| {
                let tap = weight[[channel, c, r, s]];
                for (to, from, columns) in rows {
                    let step = columns.step;
                    let source = input[from * geometry.w + columns.first..].iter().step_by(step);
                    let target = &mut output[to * q..][columns.outputs];
                    target.iter_mut().zip(source).for_each(|(sum, value)| *sum += tap * value);
                }
            });
        }
    });
    output
}

/// The gradients from `grad_output` `[N, K, P, Q]`.
pub fn conv2d_backward(
    input: &Tensor,
    weight: &Tensor,
    grad_output: &Tensor,
    attributes: &Conv2dAttributes,
) -> Gradients {
    let geometry = Geometry::new(input.dims(), weight.dims(), attributes);
    let Geometry { n, k, p, q, .. } = geometry;
    assert_eq!(grad_output.shape, [n, k, p, q], "grad_output has another shape than the output");
    let grad_bias = (0..k).map(|channel| {
        let planes = (0..n).map(|image| &grad_output.data[(image * k + channel) * p * q..][..p * q]);
        planes.flatten().sum()
    });
    Gradients {
        grad_input: grad_input(input, weight, grad_output, &geometry),
        grad_weight: grad_weight(input, weight, grad_output, &geometry),
        grad_bias: Tensor::new(&[k], grad_bias.collect()),
    }
}

/// `grad_input[n,c,y,x] = sum over k,r,s of weight[k,c,r,s] grad_output[n,k,p,q]` where `(p,q)` reaches `(y,x)`.
fn grad_input(input: &Tensor, weight: &Tensor, grad_output: &Tensor, geometry: &Geometry) -> Tensor {
    let Geometry { k, p, q, c, h, w, .. } = *geometry;
    let mut result = Tensor::zeros(&input.shape);
    result.data.par_chunks_mut(h * w).enumerate().for_each(|(plane, result)| {
        let (image, channel) = (plane / c, plane % c);
        let (group, c) = (channel / geometry.group_inputs, channel % geometry.group_inputs);
        for k_index in group * geometry.group_outputs..(group + 1) * geometry.group_outputs {
            let grad = &grad_output.data[(image * k + k_index) * p * q..][..p * q];
            geometry.for_each_tap(|r, s, rows| {
                let tap = weight[[k_index, c, r, s]];
                for (to, from, columns) in rows {
                    let target = result[from * w + columns.first..].iter_mut().step_by(columns.step);
                    let source = &grad[to * q..][columns.outputs];
                    target.zip(source).for_each(|(sum, value)| *sum += tap * value);
                }
            });
        }
    });
    result
}

/// `grad_weight[k,c,r,s] = sum over n,p,q of grad_output[n,k,p,q] input[n, g C' + c, y, x]`.
fn grad_weight(input: &Tensor, weight: &Tensor, grad_output: &Tensor, geometry: &Geometry) -> Tensor {
    let Geometry { n, k, p, q, r: kernel_height, s: kernel_width, .. } = *geometry;
    let area = kernel_height * kernel_width;
    let mut result = Tensor::zeros(&weight.shape);
    result.data.par_chunks_mut(area).enumerate().for_each(|(plane, result)| {
        let (channel, c) = (plane / geometry.group_inputs, plane % geometry.group_inputs);
        for image in 0..n {
            let grad = &grad_output.data[(image * k + channel) * p * q..][..p * q];
            let input = geometry.input_plane(input, image, geometry.input_channel(channel, c));
            geometry.for_each_tap(|r, s, rows| {
                for (to, from, columns) in rows {
                    let source = input[from * geometry.w + columns.first..].iter().step_by(columns.step);
                    let grad = &grad[to * q..][columns.outputs];
                    result[r * kernel_width + s] += grad.iter().zip(source).map(|(a, b)| a * b).sum::<f64>();
                }
            });
        }
    });
    result
}

/// The columns of one row that one tap of the kernel connects: outputs `outputs` with inputs `first`, `first + step`, ...
#[derive(Clone)]
struct Columns {
    outputs: Range<usize>,
    first: usize,
    step: usize,
}

/// All extents of one convolution.
#[derive(Clone, Copy)]
struct Geometry {
    n: usize,
    c: usize,
    h: usize,
    w: usize,
    k: usize,
    r: usize,
    s: usize,
    p: usize,
    q: usize,
    group_inputs: usize,
    group_outputs: usize,
    attributes: Conv2dAttributes,
}

impl Geometry {
    fn new(input: [usize; 4], weight: [usize; 4], attributes: &Conv2dAttributes) -> Self {
        let output = attributes.output_shape(input, weight).unwrap_or_else(|error| panic!("{error}"));
        let ([n, c, h, w], [k, group_inputs, r, s], [_, _, p, q]) = (input, weight, output);
        let group_outputs = k / attributes.groups;
        Self { n, c, h, w, k, r, s, p, q, group_inputs, group_outputs, attributes: *attributes }
    }

    /// The input channel that output channel `k` sees as the `c`th of its group.
    fn input_channel(&self, k: usize, c: usize) -> usize {
        k / self.group_outputs * self.group_inputs + c
    }

    fn input_plane<'a>(&self, input: &'a Tensor, image: usize, channel: usize) -> &'a [f64] {
        &input.data[(image * self.c + channel) * self.h * self.w..][..self.h * self.w]
    }

    /// Calls `visit(r, s, rows)` for every tap of the kernel, where `rows` yields (output row, input row, columns) for
    /// all that the tap connects inside the input.
    fn for_each_tap(&self, mut visit: impl FnMut(usize, usize, &mut dyn Iterator<Item = (usize, usize, Columns)>)) {
        let Conv2dAttributes { stride, padding, dilation, .. } = self.attributes;
        for r in 0..self.r {
            let rows = reached(self.p, self.h, r * dilation[0], stride[0], padding[0]);
            for s in 0..self.s {
                let outputs = reached(self.q, self.w, s * dilation[1], stride[1], padding[1]);
                if outputs.is_empty() {
                    continue;
                }
                let first = outputs.start * stride[1] + s * dilation[1] - padding[1];
                let columns = Columns { outputs, first, step: stride[1] };
                let input_row = |row: usize| row * stride[0] + r * dilation[0] - padding[0];
                visit(r, s, &mut rows.clone().map(|row| (row, input_row(row), columns.clone())));
            }
        }
    }
}

/// The outputs on one axis whose tap at distance `tap` from the window's start lies inside the input: those `i` with
/// `0 <= i stride + tap - padding < input`.
fn reached(outputs: usize, input: usize, tap: usize, stride: usize, padding: usize) -> Range<usize> {
    let first = padding.saturating_sub(tap).div_ceil(stride);
    let end = (input + padding).saturating_sub(tap).div_ceil(stride).min(outputs);
    first.min(end)..end
}

#[cfg(test)]
mod tests {
    use super::super::finite_difference::{assert_gradients, random};
    use super::*;

    fn cases() -> Vec<([usize; 4], [usize; 4], Conv2dAttributes)> {
        let default = Conv2dAttributes::default();
        vec![
            ([2, 3, 5, 4], [4, 3, 3, 3], Conv2dAttributes { padding: [1, 1], ..default }),
            ([1, 4, 5, 6], [6, 2, 3, 2], Conv2dAttributes { stride: [2, 3], padding: [2, 0], groups: 2, ..default }),
            ([2, 1, 7, 6], [2, 1, 2, 3], Conv2dAttributes { dilation: [3, 2], padding: [1, 2], ..default }),
            // Taps that never touch the input, and a stride wider than the kernel.
            ([1, 2, 1, 2], [2, 2, 3, 5], Conv2dAttributes { stride: [4, 4], padding: [3, 4], ..default }),
        ]
    }

    /// The formula once more, without any of the range arithmetic above.
    fn by_index(input: &Tensor, weight: &Tensor, attributes: &Conv2dAttributes) -> Tensor {
        let ([_, _, h, w], [_, channels, kernel_h, kernel_w]) = (input.dims(), weight.dims());
        let mut output = Tensor::zeros(&attributes.output_shape(input.dims(), weight.dims()).unwrap());
        let [n, k, p, q] = output.dims();
        let Conv2dAttributes { stride, padding, dilation, groups } = *attributes;
        for (i, j, y, x) in (0..n * k * p * q).map(|o| (o / q / p / k, o / q / p % k, o / q % p, o % q)) {
            for (c, r, s) in (0..channels * kernel_h * kernel_w)
                .map(|o| (o / kernel_w / kernel_h, o / kernel_w % kernel_h, o % kernel_w))
            {
                let row = (y * stride[0] + r * dilation[0]).wrapping_sub(padding[0]);
                let column = (x * stride[1] + s * dilation[1]).wrapping_sub(padding[1]);
                if row < h && column < w {
                    let channel = j / (k / groups) * channels + c;
                    output[[i, j, y, x]] += weight[[j, c, r, s]] * input[[i, channel, row, column]];
                }
            }
        }
        output
    }

    #[test]
    fn forward_is_the_formula() {
        for (input, weight, attributes) in cases() {
            let (input, weight) = (random("input", &input), random("weight", &weight));
            let (found, expected) =
                (conv2d(&input, &weight, None, &attributes), by_index(&input, &weight, &attributes));
            let result = super::super::compare_f64(&found.data, &expected.data);
            assert!(result.max_scaled() < 1e-14, "{attributes:?}: {result:?}");
        }
    }

    #[test]
    fn backward_is_the_derivative() {
        for (input, weight, attributes) in cases() {
            assert_gradients(
                &[random("input", &input), random("weight", &weight), random("bias", &weight[..1])],
                |inputs| conv2d(&inputs[0], &inputs[1], Some(&inputs[2]), &attributes),
                |inputs, grad| conv2d_backward(&inputs[0], &inputs[1], grad, &attributes).into_vec(),
            );
        }
    }
}
