//! Loss scaling, which keeps f16 gradients from underflowing. The backward pass starts from the loss's gradient times a power of two,
//! and the parameters' gradients, which are f32, are divided by it afterwards (Micikevicius et al., 2018, "Mixed precision
//! training").

use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::Result;
use crate::gpu::shaders::files::loss_scale;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

const OP: &str = "loss_scale";
/// Bytes of the state on the device: see [`state`].
pub const STATE_BYTES: u64 = 16;
/// The word of the state that a step sets to 1 if one of its gradients is not finite.
pub const OVERFLOW: usize = 2;

/// The state before a step: the scale, its inverse, and no overflow.
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

/// Divides `grad`, `elements` floats, by the scale of `state`, in place. A value that is not finite sets the overflow word.
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
