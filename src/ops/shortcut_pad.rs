//! The parameter-free shortcut (He et al. 2015, option A): sample every `stride`-th pixel and pad channels with zeros.

use super::dispatch_items;
use super::feature_map::{FeatureMap, MapShape, RecordMaps, u32_of};
use crate::error::{Error, Result};
use crate::gpu::shaders::files;
use crate::gpu::shaders::uniforms::{shortcut_pad, shortcut_pad_backward};
use crate::gpu::{Cost, Recording};

/// How an identity shortcut adapts to a change of shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroPad {
    /// Every `stride`-th pixel in both directions, from the first.
    pub stride: usize,
    /// Zero channels before the input's, a multiple of 4. The remaining ones come after.
    pub before: usize,
}

impl From<usize> for ZeroPad {
    /// Zeros after the last channel, as in the paper.
    fn from(stride: usize) -> Self {
        Self { stride, before: 0 }
    }
}

/// `[N, C, H, W]` to `[N, out_channels, ceil(H / stride), ceil(W / stride)]`; both channel counts multiples of 4.
pub fn shortcut_pad(
    recording: &mut Recording,
    label: &str,
    input: FeatureMap,
    out_channels: usize,
    ZeroPad { stride, before }: ZeroPad,
) -> Result<FeatureMap> {
    const OP: &str = "shortcut_pad";
    let whole = [input.c, out_channels, before].iter().all(|channels| channels.is_multiple_of(4));
    let room = input.c.checked_add(before).is_some_and(|channels| channels <= out_channels);
    if stride == 0 || !whole || !room {
        return Err(Error::shape(
            OP,
            format!(
                "{label}: from {} to {out_channels} channels with stride {stride}, {before} of zeros before; all must be \
                 multiples of 4, the second not less than the others together",
                input.c
            ),
        ));
    }
    let (h, w) = (input.h.div_ceil(stride), input.w.div_ceil(stride));
    let output = recording.map(label, MapShape::new([input.n, out_channels, h, w])?.stored(input.precision));
    let size = |value| u32_of(OP, "a tensor", value);
    let params = shortcut_pad::Shortcut {
        in_height: size(input.h)?,
        in_width: size(input.w)?,
        in_pitch4: size(input.pitch4)?,
        out_height: size(h)?,
        out_width: size(w)?,
        out_pitch4: size(output.pitch4)?,
        outputs: size(output.len4())?,
        stride: size(stride)?,
        in_channels4: size(input.c4)?,
        before4: size(before / 4)?,
        end: [0; 2],
    };
    let cost = Cost { flops: 0.0, bytes: (input.bytes() / (stride * stride) as u64 + output.bytes()) as f64 };
    let tensors = [input.tensor, output.tensor];
    let kernel = input.precision.kernel(files::shortcut_pad::FILE)?;
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), output.len4(), cost)?;
    Ok(output)
}

/// The gradient through [`shortcut_pad`] with respect to its input, added to `residual`, the gradient that reaches the same input
/// through the other branch and gives the shape.
pub fn shortcut_pad_backward(
    recording: &mut Recording,
    label: &str,
    grad_output: FeatureMap,
    residual: FeatureMap,
    ZeroPad { stride, before }: ZeroPad,
) -> Result<FeatureMap> {
    const OP: &str = "shortcut_pad_backward";
    let input = residual;
    let expected = (input.n, input.h.div_ceil(stride.max(1)), input.w.div_ceil(stride.max(1)));
    let room = before.is_multiple_of(4) && grad_output.c4 >= input.c4.saturating_add(before / 4);
    if stride == 0 || (grad_output.n, grad_output.h, grad_output.w) != expected || !room {
        return Err(Error::shape(OP, format!("{label}: grad_output does not have the shape of the shortcut's output")));
    }
    let grad_input = recording.map(label, input.shape);
    let size = |value| u32_of(OP, "a tensor", value);
    let params = shortcut_pad_backward::Shortcut {
        in_height: size(input.h)?,
        in_width: size(input.w)?,
        in_pitch4: size(input.pitch4)?,
        out_height: size(grad_output.h)?,
        out_width: size(grad_output.w)?,
        out_pitch4: size(grad_output.pitch4)?,
        inputs: size(input.len4())?,
        stride: size(stride)?,
        before4: size(before / 4)?,
        end: [0; 3],
    };
    let cost = Cost { flops: (input.len4() * 4) as f64, bytes: (input.bytes() * 2 + grad_output.bytes()) as f64 };
    let tensors = [grad_output.tensor, residual.tensor, grad_input.tensor];
    let kernel = input.precision.kernel(files::shortcut_pad_backward::FILE)?;
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), input.len4(), cost)?;
    Ok(grad_input)
}
