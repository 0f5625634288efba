//! Batch normalisation, in evaluation and in training mode.

use super::attributes::BatchNormAttributes;
use super::dispatch_items;
use super::feature_map::{FeatureMap, RecordMaps, u32_of};
use crate::error::{Error, Result};
use crate::gpu::shaders::files::{batch_norm, batch_norm_backward};
use crate::gpu::shaders::uniforms::batch_norm::BatchNorm;
use crate::gpu::shaders::uniforms::batch_norm_backward::BatchNormBackward;
use crate::gpu::{Cost, Recording, TensorId};

/// Pixels that one invocation sums; `CHUNK` of the shader.
const CHUNK: usize = 128;
/// Pixels that one invocation normalises.
const RUN: usize = 8;

/// Parameters of one layer on the GPU, each channel vector padded to a multiple of 4.
#[derive(Debug, Clone, Copy)]
pub struct BatchNormTensors {
    pub weight: TensorId,
    pub bias: TensorId,
    /// Running means, then running variances; training updates them.
    pub running: TensorId,
}

/// What happens to a normalised value before it is stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct NormEpilogue {
    /// Added to each element.
    pub residual: Option<FeatureMap>,
    /// `max(x, 0)` at the end.
    pub relu: bool,
}

/// Normalises each channel of `input`. Training mode uses the batch's own statistics and updates the running ones.
pub fn batch_norm(
    recording: &mut Recording,
    label: &str,
    input: FeatureMap,
    tensors: BatchNormTensors,
    attributes: &BatchNormAttributes,
) -> Result<FeatureMap> {
    Ok(batch_norm_fused(recording, label, input, tensors, attributes, NormEpilogue::default())?.0)
}

/// [`batch_norm`] with an epilogue. Also returns the statistics that the backward pass reads.
pub fn batch_norm_fused(
    recording: &mut Recording,
    label: &str,
    input: FeatureMap,
    tensors: BatchNormTensors,
    attributes: &BatchNormAttributes,
    epilogue: NormEpilogue,
) -> Result<(FeatureMap, TensorId)> {
    const OP: &str = "batch_norm";
    attributes.check(input.pixels())?;
    let pixels = input.pixels();
    let chunks = if attributes.training { pixels.div_ceil(CHUNK) } else { 1 };
    let params = BatchNorm {
        pixels: u32_of(OP, "a batch", pixels)?,
        channels4: u32_of(OP, "channels", input.c4)?,
        chunks: u32_of(OP, "a batch", chunks)?,
        eps: attributes.eps as f32,
        momentum: attributes.momentum as f32,
        unbias: (pixels as f64 / (pixels as f64 - 1.0).max(1.0)) as f32,
        relu: epilogue.relu.into(),
        residual: epilogue.residual.is_some().into(),
        pitch4: u32_of(OP, "channels", input.pitch4)?,
        end: [0; 3],
    };
    if let Some(other) = epilogue.residual
        && other.shape != input.shape
    {
        let (o, i) = (other, input);
        let problem = format!("{label}: the residual is {}x{}x{} and the input {}x{}x{}", o.c, o.h, o.w, i.c, i.h, i.w);
        return Err(Error::shape(OP, problem));
    }
    let partials = recording.temporary("batch_norm partials", (chunks * input.c4 * 16) as u64);
    let batch = recording.temporary("batch_norm statistics", (4 * input.c4 * 16) as u64);
    let output = recording.map(label, input.shape);
    let BatchNormTensors { weight, bias, running } = tensors;
    let pass = Cost { flops: (input.len4() * 8) as f64, bytes: input.bytes() as f64 };
    let mut step = |entry, tensors: &[TensorId], items, cost| {
        let kernel = input.precision.kernel(batch_norm::FILE)?.entry(entry);
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
    // A binding needs a buffer. Without a residual the input is bound in its place and not read.
    let residual = epilogue.residual.map_or(input.tensor, |map| map.tensor);
    step("apply", &[input.tensor, batch, residual, output.tensor], input.c4 * input.pixels().div_ceil(RUN), cost)?;
    Ok((output, batch))
}

/// What the backward pass reads from the forward pass.
#[derive(Debug, Clone, Copy)]
pub struct BatchNormSaved {
    pub input: FeatureMap,
    /// The statistics that [`batch_norm_fused`] returned.
    pub statistics: TensorId,
    /// The output, if a ReLU followed within the same operation.
    pub rectified: Option<TensorId>,
}

/// Gradients of a batch normalisation.
#[derive(Debug, Clone, Copy)]
pub struct BatchNormGradients {
    pub grad_input: FeatureMap,
    /// A channel vector padded to a multiple of 4.
    pub grad_weight: TensorId,
    /// The same.
    pub grad_bias: TensorId,
}

/// The gradients with respect to input, weight and bias. `training` says whether the statistics are the batch's own.
pub fn batch_norm_backward(
    recording: &mut Recording,
    label: &str,
    saved: BatchNormSaved,
    grad_output: FeatureMap,
    training: bool,
) -> Result<BatchNormGradients> {
    const OP: &str = "batch_norm_backward";
    let input = saved.input;
    if grad_output.shape != input.shape {
        let problem = format!("{label}: grad_output has {} channels and the input {}", grad_output.c, input.c);
        return Err(Error::shape(OP, problem));
    }
    let chunks = input.pixels().div_ceil(CHUNK);
    let params = BatchNormBackward {
        pixels: u32_of(OP, "a batch", input.pixels())?,
        channels4: u32_of(OP, "channels", input.c4)?,
        chunks: u32_of(OP, "a batch", chunks)?,
        training: training.into(),
        relu: saved.rectified.is_some().into(),
        pitch4: u32_of(OP, "channels", input.pitch4)?,
        end: [0; 2],
    };
    let partials = recording.temporary("batch_norm partials", (2 * chunks * input.c4 * 16) as u64);
    let grad_weight = recording.temporary(label, (input.c4 * 16) as u64);
    let grad_bias = recording.temporary(label, (input.c4 * 16) as u64);
    let grad_input = recording.map(label, input.shape);
    // Without a ReLU the output is not read; the input is bound in its place.
    let rectified = saved.rectified.unwrap_or(input.tensor);
    let pass = Cost { flops: (input.len4() * 24) as f64, bytes: (input.bytes() * 3) as f64 };
    let mut step = |entry, tensors: &[TensorId], items, cost| {
        let kernel = input.precision.kernel(batch_norm_backward::FILE)?.entry(entry);
        dispatch_items(recording, label, kernel, tensors, bytemuck::bytes_of(&params), items, cost)
    };
    let (x, g) = (input.tensor, grad_output.tensor);
    step("partial_sums", &[x, g, saved.statistics, rectified, partials], chunks * input.c4, pass)?;
    step("finish_sums", &[partials, grad_bias, grad_weight], input.c4, Cost::default())?;
    let tensors = [x, g, saved.statistics, rectified, grad_bias, grad_weight, grad_input.tensor];
    step("apply", &tensors, input.c4 * input.pixels().div_ceil(RUN), pass)?;
    Ok(BatchNormGradients { grad_input, grad_weight, grad_bias })
}
