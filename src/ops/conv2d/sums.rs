//! Sums over pixels, in slices whose partial sums are added in a fixed order.

use crate::error::Result;
use crate::gpu::shaders::files;
use crate::gpu::shaders::uniforms::sum_pixels;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};
use crate::ops::dispatch_items;
use crate::ops::feature_map::{FeatureMap, u32_of};

/// Pixels of one partial sum: few enough for precision and parallelism, enough to pay for its store.
const SLICE: usize = 256;

/// Appends the sum over N, H and W of each channel: the bias gradient, always f32.
pub fn sum_pixels(recording: &mut Recording, label: &str, input: FeatureMap) -> Result<TensorId> {
    let slices = input.pixels().div_ceil(SLICE);
    let size = |value| u32_of("sum_pixels", "a tensor", value);
    let (pixels, channels4) = (size(input.pixels())?, size(input.c4)?);
    let params = sum_pixels::Size {
        pixels,
        channels4,
        slice: size(SLICE)?,
        slices: size(slices)?,
        pitch4: size(input.pitch4)?,
        end: [0; 3],
    };
    let partials = recording.temporary(label, (slices * input.c4 * 16) as u64);
    let cost = Cost { flops: (input.len4() * 4) as f64, bytes: input.bytes() as f64 };
    let tensors = [input.tensor, partials];
    let items = slices * input.c4;
    let kernel = input.precision.kernel(files::sum_pixels::FILE)?;
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), items, cost)?;
    sum_partials(recording, label, partials, input.c4, slices)
}

/// The sum of `count` partial results of `len4` vec4s each.
pub(in crate::ops) fn sum_partials(
    recording: &mut Recording,
    label: &str,
    partials: TensorId,
    len4: usize,
    count: usize,
) -> Result<TensorId> {
    if count == 1 {
        return Ok(partials);
    }
    let output = recording.temporary(label, (len4 * 16) as u64);
    let params = [u32_of("sum_partials", "a weight", len4)?, u32_of("sum_partials", "a batch", count)?, 0, 0];
    let cost = Cost { flops: (len4 * 4 * count) as f64, bytes: (len4 * 16 * (count + 1)) as f64 };
    let kernel = KernelSpec::new(files::sum_partials::FILE);
    dispatch_items(recording, label, kernel, &[partials, output], bytemuck::bytes_of(&params), len4, cost)?;
    Ok(output)
}
