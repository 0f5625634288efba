//! `shortcut_pad`: `output[n,before+c,p,q] = input[n,c,p stride,q stride]`, and zero for the channels that the input lacks: the
//! parameter-free shortcut (option A) of He et al. 2015.

use super::Tensor;

/// `input` `[N, C, H, W]` to `[N, out_channels, ceil(H / stride), ceil(W / stride)]`, with `before` channels of zeros first.
pub fn shortcut_pad(input: &Tensor, out_channels: usize, stride: usize, before: usize) -> Tensor {
    let [n, _, h, w] = input.dims();
    let mut output = Tensor::zeros(&[n, out_channels, h.div_ceil(stride), w.div_ceil(stride)]);
    for_each_sample(input.dims(), stride, |[image, channel, y, x]| {
        output[[image, before + channel, y / stride, x / stride]] = input[[image, channel, y, x]];
    });
    output
}

/// The input gradient added to `residual` `[N, C, H, W]`: each sampled pixel gets its own gradient; that of the new channels is
/// dropped.
pub fn shortcut_pad_backward(grad_output: &Tensor, residual: &Tensor, stride: usize, before: usize) -> Tensor {
    let mut grad = residual.clone();
    for_each_sample(residual.dims(), stride, |[image, channel, y, x]| {
        grad[[image, channel, y, x]] += grad_output[[image, before + channel, y / stride, x / stride]];
    });
    grad
}

/// Calls `sample` with every index of the input that the shortcut keeps.
fn for_each_sample([n, c, h, w]: [usize; 4], stride: usize, mut sample: impl FnMut([usize; 4])) {
    for image in 0..n {
        for channel in 0..c {
            for y in (0..h).step_by(stride) {
                for x in (0..w).step_by(stride) {
                    sample([image, channel, y, x]);
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
        let residual = Tensor::zeros(&[2, 3, 5, 4]);
        assert_gradients(
            &[random("input", &[2, 3, 5, 4])],
            |inputs| shortcut_pad(&inputs[0], 5, 2, 1),
            |_, grad| vec![shortcut_pad_backward(grad, &residual, 2, 1)],
        );
    }
}
