//! `space_to_depth`: `output[n,(a,b,c),i,j] = input[n,c,i stride + a - padding,j stride + b - padding]`, and zero outside of the
//! input, where `(a,b,c)` is `(a stride + b) C + c`.

use super::Tensor;

/// `input` `[N, C, H, W]` to `[N, stride * stride * C, size]`; pairs are height, width.
pub fn space_to_depth(input: &Tensor, stride: [usize; 2], padding: [usize; 2], size: [usize; 2]) -> Tensor {
    let [n, channels, h, w] = input.dims();
    let mut output = Tensor::zeros(&[n, stride[0] * stride[1] * channels, size[0], size[1]]);
    for image in 0..n {
        for c in 0..channels {
            for y in 0..h {
                for x in 0..w {
                    let (row, column) = (y + padding[0], x + padding[1]);
                    let (i, j) = (row / stride[0], column / stride[1]);
                    let channel = (row % stride[0] * stride[1] + column % stride[1]) * channels + c;
                    if i < size[0] && j < size[1] {
                        output[[image, channel, i, j]] = input[[image, c, y, x]];
                    }
                }
            }
        }
    }
    output
}
