//! An exponential moving average of a parameter.

use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::Result;
use crate::gpu::shaders::files::ema;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

/// Moves `average` towards `value`, both of `elements` floats, by the fraction in the first value of `rate`: 1 - decay.
pub fn ema(
    recording: &mut Recording,
    label: &str,
    elements: usize,
    rate: TensorId,
    value: TensorId,
    average: TensorId,
) -> Result<()> {
    const OP: &str = "ema";
    let size4 = elements.div_ceil(4);
    let size = [u32_of(OP, "a parameter", size4)?, 0, 0, 0];
    let cost = Cost { flops: (elements * 3) as f64, bytes: (elements * 12) as f64 };
    let tensors = [value, rate, average];
    dispatch_items(recording, label, KernelSpec::new(ema::FILE), &tensors, bytemuck::bytes_of(&size), size4, cost)
}
