//! Pooling: windowed maximum and average, and the average over a whole map.

use super::attributes::PoolAttributes;
use super::feature_map::{FeatureMap, MapShape, RecordMaps, U32s, u32_of};
use super::{Precision, dispatch_items};
use crate::error::{Error, Result};
use crate::gpu::shaders::files::{self, avg_pool2d, max_pool2d, pool2d_backward};
use crate::gpu::shaders::uniforms::pool2d_block::Pool;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

/// The uniform block; `items` is the number of vec4s to compute.
fn block(op: &str, input: MapShape, output: MapShape, items: usize, attributes: &PoolAttributes) -> Result<Pool> {
    let sizes = U32s { op, what: "a tensor or attribute" };
    Ok(Pool {
        in_height: sizes.of(input.h)?,
        in_width: sizes.of(input.w)?,
        // The gaps between pixels are pooled as well; their values are never used.
        channels4: sizes.of(input.pitch4)?,
        out_height: sizes.of(output.h)?,
        out_width: sizes.of(output.w)?,
        items: sizes.of(items)?,
        kernel: sizes.pair(attributes.kernel_size)?,
        stride: sizes.pair(attributes.stride)?,
        padding: sizes.pair(attributes.padding)?,
    })
}

/// Maximum over windows; padding never wins, NaN does.
pub fn max_pool2d(
    r: &mut Recording,
    label: &str,
    input: FeatureMap,
    attributes: &PoolAttributes,
) -> Result<FeatureMap> {
    windows(r, label, max_pool2d::FILE.into(), input, attributes, None)
}

/// [`max_pool2d`], which also stores each maximum's place (`y * W + x`, one u32 per element) for the backward pass.
pub fn max_pool2d_indices(
    recording: &mut Recording,
    label: &str,
    input: FeatureMap,
    attributes: &PoolAttributes,
) -> Result<(FeatureMap, TensorId)> {
    let (h, w) = attributes.output_size(input.h, input.w)?;
    let places = input.shape.resized([h, w])?.stored(Precision::F32);
    let indices = recording.temporary("max_pool2d indices", places.bytes());
    let kernel = KernelSpec::new(max_pool2d::FILE).with(max_pool2d::INDICES);
    Ok((windows(recording, label, kernel, input, attributes, Some(indices))?, indices))
}

/// Average over windows; the zeros of the padding count, as with PyTorch's `count_include_pad`.
pub fn avg_pool2d(
    r: &mut Recording,
    label: &str,
    input: FeatureMap,
    attributes: &PoolAttributes,
) -> Result<FeatureMap> {
    windows(r, label, avg_pool2d::FILE.into(), input, attributes, None)
}

fn windows(
    recording: &mut Recording,
    label: &str,
    kernel: KernelSpec,
    input: FeatureMap,
    attributes: &PoolAttributes,
    indices: Option<TensorId>,
) -> Result<FeatureMap> {
    let (h, w) = attributes.output_size(input.h, input.w)?;
    let output = recording.map(label, input.shape.resized([h, w])?);
    let params = block(kernel.shader_name(), input.shape, output.shape, output.len4(), attributes)?;
    let window = attributes.kernel_size.map(|size| size as f64).iter().product::<f64>();
    let cost = Cost { flops: (output.len4() * 4) as f64 * window, bytes: (input.bytes() + output.bytes()) as f64 };
    let mut tensors = vec![input.tensor, output.tensor];
    tensors.extend(indices);
    let kernel = input.precision.kernel(kernel)?;
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), output.len4(), cost)?;
    Ok(output)
}

/// The gradient through [`max_pool2d_indices`] with respect to its input, of shape `input`.
pub fn max_pool2d_backward(
    recording: &mut Recording,
    label: &str,
    input: MapShape,
    grad_output: FeatureMap,
    indices: TensorId,
    attributes: &PoolAttributes,
) -> Result<FeatureMap> {
    let kernel = KernelSpec::new(pool2d_backward::FILE).with(pool2d_backward::MAX);
    windows_backward(recording, label, kernel, input, grad_output, attributes, Some(indices))
}

/// The gradient through [`avg_pool2d`] with respect to its input, of shape `input`.
pub fn avg_pool2d_backward(
    recording: &mut Recording,
    label: &str,
    input: MapShape,
    grad_output: FeatureMap,
    attributes: &PoolAttributes,
) -> Result<FeatureMap> {
    windows_backward(recording, label, pool2d_backward::FILE.into(), input, grad_output, attributes, None)
}

fn windows_backward(
    recording: &mut Recording,
    label: &str,
    kernel: KernelSpec,
    input: MapShape,
    grad_output: FeatureMap,
    attributes: &PoolAttributes,
    indices: Option<TensorId>,
) -> Result<FeatureMap> {
    let op = kernel.shader_name();
    let (h, w) = attributes.output_size(input.h, input.w)?;
    if input.resized([h, w])? != grad_output.shape {
        let g = grad_output;
        let problem = format!("{label}: grad_output is {}x{}x{} and the output {}x{h}x{w}", g.c, g.h, g.w, input.c);
        return Err(Error::shape(op, problem));
    }
    let grad_input = recording.map(label, input);
    let params = block(op, input, grad_output.shape, input.len4(), attributes)?;
    let cost = Cost { flops: (input.len4() * 4) as f64, bytes: (input.bytes() + 2 * grad_output.bytes()) as f64 };
    let mut tensors = vec![grad_output.tensor, grad_input.tensor];
    tensors.extend(indices);
    let kernel = input.precision.kernel(kernel)?;
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), input.len4(), cost)?;
    Ok(grad_input)
}

/// Average over the whole map: `[N, C, H, W]` to `[N, C, 1, 1]`, of f32 whatever the input is.
pub fn global_avg_pool(recording: &mut Recording, label: &str, input: FeatureMap) -> Result<FeatureMap> {
    const OP: &str = "global_avg_pool";
    let output = recording.map(label, input.shape.pooled());
    let size = [
        u32_of(OP, "a map", input.h * input.w)?,
        u32_of(OP, "channels", input.c4)?,
        u32_of(OP, "an output", output.len4())?,
        u32_of(OP, "channels", input.pitch4)?,
    ];
    let cost = Cost { flops: (input.len4() * 4) as f64, bytes: (input.bytes() + output.bytes()) as f64 };
    let tensors = [input.tensor, output.tensor];
    let kernel = input.precision.kernel(files::global_avg_pool::FILE)?;
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&size), output.len4(), cost)?;
    Ok(output)
}

/// The gradient through [`global_avg_pool`] with respect to its input, of shape `input`.
pub fn global_avg_pool_backward(
    recording: &mut Recording,
    label: &str,
    input: MapShape,
    grad_output: FeatureMap,
) -> Result<FeatureMap> {
    const OP: &str = "global_avg_pool_backward";
    let g = grad_output;
    if (g.n, g.c4, g.pitch4, g.h, g.w) != (input.n, input.c4, input.c4, 1, 1) {
        return Err(Error::shape(OP, format!("{label}: grad_output does not have the shape of the output")));
    }
    let grad_input = recording.map(label, input);
    let sizes = U32s { op: OP, what: "an input" };
    let items = input.pixels() * input.c4;
    let params = [sizes.of(input.h * input.w)?, sizes.of(input.c4)?, sizes.of(items)?, sizes.of(input.pitch4)?];
    let cost = Cost { flops: (input.len4() * 4) as f64, bytes: (input.bytes() + grad_output.bytes()) as f64 };
    let tensors = [grad_output.tensor, grad_input.tensor];
    let kernel = input.precision.kernel(files::global_avg_pool_backward::FILE)?;
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), items, cost)?;
    Ok(grad_input)
}
