//! Pooling: windowed maximum and average, and the average over a whole map.

use super::attributes::PoolAttributes;
use super::dispatch_items;
use super::feature_map::{FeatureMap, u32_of};
use crate::error::Result;
use crate::gpu::{Cost, KernelSpec, Recording};

/// The uniform block of `shaders/shared/pool2d.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    in_height: u32,
    in_width: u32,
    channels4: u32,
    out_height: u32,
    out_width: u32,
    outputs: u32,
    kernel: [u32; 2],
    stride: [u32; 2],
    padding: [u32; 2],
}

/// Maximum over windows; padding never wins, NaN does.
pub fn max_pool2d(r: &mut Recording, label: &str, input: FeatureMap, attributes: &PoolAttributes) -> Result<FeatureMap> {
    windows(r, label, "max_pool2d", input, attributes)
}

/// Average over windows; the zeros of the padding count, as with PyTorch's `count_include_pad`.
pub fn avg_pool2d(r: &mut Recording, label: &str, input: FeatureMap, attributes: &PoolAttributes) -> Result<FeatureMap> {
    windows(r, label, "avg_pool2d", input, attributes)
}

fn windows(
    recording: &mut Recording,
    label: &str,
    op: &'static str,
    input: FeatureMap,
    attributes: &PoolAttributes,
) -> Result<FeatureMap> {
    let (h, w) = attributes.output_size(input.h, input.w)?;
    let mut output = FeatureMap { h, w, ..input };
    output.tensor = recording.temporary(label, output.bytes());
    let size = |value| u32_of(op, "a tensor or attribute", value);
    let pair = |[a, b]: [usize; 2]| -> Result<[u32; 2]> { Ok([size(a)?, size(b)?]) };
    size(input.len4())?;
    let params = Params {
        in_height: size(input.h)?,
        in_width: size(input.w)?,
        channels4: size(input.c4)?,
        out_height: size(h)?,
        out_width: size(w)?,
        outputs: size(output.len4())?,
        kernel: pair(attributes.kernel_size)?,
        stride: pair(attributes.stride)?,
        padding: pair(attributes.padding)?,
    };
    let window = (attributes.kernel_size[0] * attributes.kernel_size[1]) as f64;
    let cost = Cost { flops: (output.len4() * 4) as f64 * window, bytes: (input.bytes() + output.bytes()) as f64 };
    let tensors = [input.tensor, output.tensor];
    dispatch_items(recording, label, KernelSpec::new(op), &tensors, bytemuck::bytes_of(&params), output.len4(), cost)?;
    Ok(output)
}

/// Average over the whole map: `[N, C, H, W]` to `[N, C, 1, 1]`.
pub fn global_avg_pool(recording: &mut Recording, label: &str, input: FeatureMap) -> Result<FeatureMap> {
    const OP: &str = "global_avg_pool";
    let mut output = FeatureMap { h: 1, w: 1, ..input };
    output.tensor = recording.temporary(label, output.bytes());
    u32_of(OP, "an input", input.len4())?;
    let size = [
        u32_of(OP, "a map", input.h * input.w)?,
        u32_of(OP, "channels", input.c4)?,
        u32_of(OP, "an output", output.len4())?,
        0,
    ];
    let cost = Cost { flops: (input.len4() * 4) as f64, bytes: (input.bytes() + output.bytes()) as f64 };
    let tensors = [input.tensor, output.tensor];
    dispatch_items(recording, label, KernelSpec::new(OP), &tensors, bytemuck::bytes_of(&size), output.len4(), cost)?;
    Ok(output)
}
