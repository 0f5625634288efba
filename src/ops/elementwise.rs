//! Operations on each element by itself: ReLU, addition, addition with ReLU.

use super::dispatch_items;
use super::feature_map::{FeatureMap, RecordMaps, u32_of};
use crate::error::{Error, Result};
use crate::gpu::shaders::ShaderFile;
use crate::gpu::shaders::files::{add, add_relu, add_relu_backward, relu, relu_backward};
use crate::gpu::{Cost, Recording};

/// `max(input, 0)`; NaN stays NaN.
pub fn relu(recording: &mut Recording, label: &str, input: FeatureMap) -> Result<FeatureMap> {
    record(recording, label, relu::FILE, &[input])
}

/// `input + other`.
pub fn add(recording: &mut Recording, label: &str, input: FeatureMap, other: FeatureMap) -> Result<FeatureMap> {
    record(recording, label, add::FILE, &[input, other])
}

/// `max(input + other, 0)`, the end of a residual block.
pub fn add_relu(recording: &mut Recording, label: &str, input: FeatureMap, other: FeatureMap) -> Result<FeatureMap> {
    record(recording, label, add_relu::FILE, &[input, other])
}

/// The gradient through a ReLU, from the forward pass's input or output (which have the same sign).
pub fn relu_backward(r: &mut Recording, label: &str, input: FeatureMap, grad_output: FeatureMap) -> Result<FeatureMap> {
    record(r, label, relu_backward::FILE, &[input, grad_output])
}

/// The gradient through [`add_relu`], which is the same for both inputs.
pub fn add_relu_backward(
    recording: &mut Recording,
    label: &str,
    [input, other]: [FeatureMap; 2],
    grad_output: FeatureMap,
) -> Result<FeatureMap> {
    record(recording, label, add_relu_backward::FILE, &[input, other, grad_output])
}

fn record(recording: &mut Recording, label: &str, file: ShaderFile, inputs: &[FeatureMap]) -> Result<FeatureMap> {
    let op = file.name();
    let first = inputs[0];
    if let Some(other) = inputs.iter().find(|map| map.shape != first.shape) {
        return Err(Error::shape(
            op,
            format!(
                "{label}: shapes differ: {}x{}x{}x{} and {}x{}x{}x{}",
                first.n, first.c, first.h, first.w, other.n, other.c, other.h, other.w
            ),
        ));
    }
    let output = recording.map(label, first.shape);
    let mut tensors: Vec<_> = inputs.iter().map(|map| map.tensor).collect();
    tensors.push(output.tensor);
    let size = [u32_of(op, "a tensor", first.len4())?, 0, 0, 0];
    let cost = Cost { flops: (first.len4() * 4) as f64, bytes: (first.bytes() * (inputs.len() as u64 + 1)) as f64 };
    let kernel = first.precision.kernel(file)?;
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&size), first.len4(), cost)?;
    Ok(output)
}
