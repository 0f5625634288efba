//! The norms of gradients, per group and in total, and gradient clipping.

use bytemuck::Zeroable;

use super::feature_map::u32_of;
use super::{Precision, dispatch_items};
use crate::error::{Error, Result};
use crate::gpu::shaders::files::clip_grad_norm;
use crate::gpu::shaders::uniforms::clip_grad_norm::Norm;
use crate::gpu::{Cost, Dispatch, KernelSpec, Recording, TensorId};

const OP: &str = "clip_grad_norm";
/// The most partial sums of one gradient: enough invocations to read it at the device's bandwidth.
const PARTIALS: usize = 1024;
/// The least vec4s per partial sum.
const CHUNK: usize = 16;

/// A gradient on the GPU: a tensor and its number of floats, padding (which is zero) included.
pub type Gradient = (TensorId, usize);

/// What [`grad_norms`] leaves on the GPU.
#[derive(Debug, Clone, Copy)]
pub struct GradNorms {
    /// One f32 for each group: the sum of its squares.
    pub groups: TensorId,
    /// One vec4: the norm of all gradients, the factor that clips it, 0, 0.
    pub total: TensorId,
}

/// The norms of `groups` of gradients, stored as `precision`, their total norm, and the factor that reduces it to `max_norm`.
pub fn grad_norms(
    recording: &mut Recording,
    groups: &[Vec<Gradient>],
    precision: Precision,
    max_norm: f64,
) -> Result<GradNorms> {
    if max_norm.is_nan() || max_norm <= 0.0 {
        return Err(Error::shape(OP, format!("max_norm is {max_norm}; it must be above zero")));
    }
    let count_of = |elements: usize| elements.div_ceil(4).div_ceil(CHUNK).clamp(1, PARTIALS);
    let all: usize = groups.iter().flatten().map(|&(_, elements)| count_of(elements)).sum();
    let partials = recording.temporary("partial sums of squares", (all * 4) as u64);
    let out = GradNorms {
        groups: recording.temporary("squares by group", (groups.len() * 4) as u64),
        total: recording.temporary("gradient norm", 16),
    };
    let mut first = 0;
    for (slot, group) in groups.iter().enumerate() {
        let start = first;
        for &(grad, elements) in group {
            let (size4, count) = (elements.div_ceil(4), count_of(elements));
            let params = Norm {
                size4: u32_of(OP, "a gradient", size4)?,
                first: u32_of(OP, "partial sums", first)?,
                count: u32_of(OP, "partial sums", count)?,
                ..Zeroable::zeroed()
            };
            let cost = Cost { flops: (elements * 2) as f64, bytes: (size4 as u64 * precision.bytes4()) as f64 };
            let (kernel, tensors) = (precision.kernel(clip_grad_norm::FILE)?.entry("sum_squares"), [grad, partials]);
            dispatch_items(recording, OP, kernel, &tensors, bytemuck::bytes_of(&params), count, cost)?;
            first += count;
        }
        let range = [start, first - start].map(|n| n as u32);
        let params = Norm { first: range[0], count: range[1], slot: slot as u32, ..Zeroable::zeroed() };
        one_workgroup(recording, "group", &[partials, out.groups], params);
    }
    // An infinite `max_norm` would put an infinity into the shader.
    let max_norm = max_norm.min(f64::from(f32::MAX)) as f32;
    let params = Norm { count: u32_of(OP, "groups", groups.len())?, max_norm, ..Zeroable::zeroed() };
    one_workgroup(recording, "total", &[out.groups, out.total], params);
    Ok(out)
}

/// Multiplies a gradient by the factor of [`GradNorms::total`], in place.
pub fn scale(recording: &mut Recording, (grad, elements): Gradient, norms: GradNorms) -> Result<()> {
    let size4 = elements.div_ceil(4);
    let params = Norm { size4: u32_of(OP, "a gradient", size4)?, ..Zeroable::zeroed() };
    let cost = Cost { flops: elements as f64, bytes: (elements * 8) as f64 };
    let (kernel, tensors) = (KernelSpec::new(clip_grad_norm::FILE).entry("scale"), [norms.total, grad]);
    dispatch_items(recording, OP, kernel, &tensors, bytemuck::bytes_of(&params), size4, cost)
}

fn one_workgroup(recording: &mut Recording, entry: &'static str, tensors: &[TensorId], params: Norm) {
    recording.dispatch(Dispatch {
        label: OP.to_owned(),
        kernel: KernelSpec::new(clip_grad_norm::FILE).entry(entry),
        tensors: tensors.to_vec(),
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [1, 1, 1],
        cost: Cost::default(),
    });
}
