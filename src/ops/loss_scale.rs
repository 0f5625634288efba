//! Loss scaling, by which gradients of f16 stay above the smallest number that it has: the backward pass begins with the loss's
//! gradient times a power of two, and what it gives of the parameters, which is f32, is divided by it again (Micikevicius et
//! al., 2018, "Mixed precision training").

use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::Result;
use crate::gpu::shaders::files::loss_scale;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

const OP: &str = "loss_scale";
/// Bytes of the state on the device: see [`state`].
pub const STATE_BYTES: u64 = 16;
/// The word of the state that a step sets to 1 if a gradient of it is not finite.
pub const OVERFLOW: usize = 2;

/// What the device is told before a step: the scale, its inverse, and that no gradient has overflowed yet.
pub fn state(scale: f32) -> [u32; 4] {
    [scale.to_bits(), (1.0 / scale).to_bits(), 0, 0]
}

/// `input` times the scale of `state`; `elements` floats.
pub fn scale(
    recording: &mut Recording,
    label: &str,
    elements: usize,
    state: TensorId,
    input: TensorId,
) -> Result<TensorId> {
    let output = recording.temporary(label, elements as u64 * 4);
    record(recording, label, "scale", elements, &[state, input, output])?;
    Ok(output)
}

/// Divides `grad`, `elements` floats, by the scale of `state`, in place. A value that is not finite is noted in the state.
pub fn unscale(recording: &mut Recording, label: &str, elements: usize, state: TensorId, grad: TensorId) -> Result<()> {
    record(recording, label, "unscale", elements, &[state, grad])
}

fn record(
    recording: &mut Recording,
    label: &str,
    entry: &'static str,
    elements: usize,
    tensors: &[TensorId],
) -> Result<()> {
    let size4 = elements.div_ceil(4);
    let size = [u32_of(OP, "a gradient", size4)?, 0, 0, 0];
    let cost = Cost { flops: elements as f64, bytes: (elements * 8) as f64 };
    let kernel = KernelSpec::new(loss_scale::FILE).entry(entry);
    dispatch_items(recording, label, kernel, tensors, bytemuck::bytes_of(&size), size4, cost)
}
