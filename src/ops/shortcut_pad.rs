//! The parameter-free shortcut (He et al. 2015, option A): sample every `stride`-th pixel and pad channels with zeros.

use super::dispatch_items;
use super::feature_map::{FeatureMap, u32_of};
use crate::error::{Error, Result};
use crate::gpu::{Cost, KernelSpec, Recording};

/// `[N, C, H, W]` to `[N, out_channels, ceil(H / stride), ceil(W / stride)]`; both channel counts multiples of 4.
pub fn shortcut_pad(
    recording: &mut Recording,
    label: &str,
    input: FeatureMap,
    out_channels: usize,
    stride: usize,
) -> Result<FeatureMap> {
    const OP: &str = "shortcut_pad";
    if stride == 0 || out_channels < input.c || !input.c.is_multiple_of(4) || !out_channels.is_multiple_of(4) {
        return Err(Error::shape(
            OP,
            format!(
                "{label}: from {} to {out_channels} channels with stride {stride}; both must be multiples of 4, the \
                 second not less than the first",
                input.c
            ),
        ));
    }
    let (h, w) = (input.h.div_ceil(stride), input.w.div_ceil(stride));
    let mut output = FeatureMap::new(input.tensor, [input.n, out_channels, h, w]);
    output.tensor = recording.temporary(label, output.bytes());
    let size = |value| u32_of(OP, "a tensor", value);
    let params = [
        size(input.h)?,
        size(input.w)?,
        size(input.c4)?,
        size(h)?,
        size(w)?,
        size(output.c4)?,
        size(output.len4())?,
        size(stride)?,
    ];
    let cost = Cost { flops: 0.0, bytes: (input.bytes() / (stride * stride) as u64 + output.bytes()) as f64 };
    let tensors = [input.tensor, output.tensor];
    dispatch_items(recording, label, KernelSpec::new(OP), &tensors, bytemuck::bytes_of(&params), output.len4(), cost)?;
    Ok(output)
}
