//! Batch normalisation, in evaluation and in training mode.

use super::attributes::BatchNormAttributes;
use super::dispatch_items;
use super::feature_map::{FeatureMap, u32_of};
use crate::error::Result;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

/// The uniform block of `shaders/batch_norm.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    pixels: u32,
    channels4: u32,
    chunks: u32,
    eps: f32,
    momentum: f32,
    unbias: f32,
    padding: [u32; 2],
}

/// Pixels that one invocation sums; `CHUNK` of the shader.
const CHUNK: usize = 128;

/// Parameters of one layer on the GPU, each channel vector padded to a multiple of 4.
#[derive(Debug, Clone, Copy)]
pub struct BatchNormTensors {
    pub weight: TensorId,
    pub bias: TensorId,
    /// Running means, then running variances; training moves them.
    pub running: TensorId,
}

/// Normalises each channel of `input`. In training mode by the batch's own statistics, which also move the running ones.
pub fn batch_norm(
    recording: &mut Recording,
    label: &str,
    input: FeatureMap,
    tensors: BatchNormTensors,
    attributes: &BatchNormAttributes,
) -> Result<FeatureMap> {
    const OP: &str = "batch_norm";
    attributes.check(input.pixels())?;
    let pixels = input.pixels();
    let chunks = if attributes.training { pixels.div_ceil(CHUNK) } else { 1 };
    u32_of(OP, "an input", input.len4())?;
    let params = Params {
        pixels: u32_of(OP, "a batch", pixels)?,
        channels4: u32_of(OP, "channels", input.c4)?,
        chunks: u32_of(OP, "a batch", chunks)?,
        eps: attributes.eps as f32,
        momentum: attributes.momentum as f32,
        unbias: (pixels as f64 / (pixels as f64 - 1.0).max(1.0)) as f32,
        padding: [0; 2],
    };
    let partials = recording.temporary("batch_norm partials", (chunks * input.c4 * 16) as u64);
    let batch = recording.temporary("batch_norm statistics", (3 * input.c4 * 16) as u64);
    let output = FeatureMap { tensor: recording.temporary(label, input.bytes()), ..input };
    let BatchNormTensors { weight, bias, running } = tensors;
    let pass = Cost { flops: (input.len4() * 8) as f64, bytes: input.bytes() as f64 };
    let mut step = |entry, tensors: &[TensorId], items, cost| {
        let kernel = KernelSpec::new(OP).entry(entry);
        dispatch_items(recording, label, kernel, tensors, bytemuck::bytes_of(&params), items, cost)
    };
    if attributes.training {
        step("partial_sums", &[input.tensor, partials], chunks * input.c4, pass)?;
        step("finish_mean", &[running, partials, batch], input.c4, Cost::default())?;
        step("partial_squares", &[input.tensor, partials, batch], chunks * input.c4, pass)?;
        step("finish_variance", &[weight, bias, running, partials, batch], input.c4, Cost::default())?;
    } else {
        step("prepare_eval", &[weight, bias, running, batch], input.c4, Cost::default())?;
    }
    let cost = Cost { flops: pass.flops, bytes: 2.0 * pass.bytes };
    step("apply", &[input.tensor, batch, output.tensor], input.len4(), cost)?;
    Ok(output)
}
