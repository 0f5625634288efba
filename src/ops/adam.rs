//! Adam and AdamW, one step of one parameter tensor.

use super::attributes::AdamAttributes;
use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::{Error, Result};
use crate::gpu::shaders::Flags;
use crate::gpu::shaders::files::adam;
use crate::gpu::shaders::uniforms::adam::Adam;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

/// Adam's decay is part of the gradient; AdamW's acts on the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdamKind {
    Adam,
    AdamW,
}

/// The schedule's row for step `t` (from 1): what depends on the step, computed in f64.
pub fn schedule_row(attributes: &AdamAttributes, lr: f64, t: u64) -> [f32; 4] {
    let [beta1, beta2] = attributes.betas;
    let correction = |beta: f64| 1.0 - beta.powf(t as f64);
    [(lr / correction(beta1)) as f32, correction(beta2).sqrt() as f32, (lr * attributes.weight_decay) as f32, 0.0]
}

/// Tensors of an update: the gradient, rows of [`schedule_row`], the step counter, and what the step changes.
#[derive(Debug, Clone, Copy)]
pub struct AdamTensors {
    pub grad: TensorId,
    pub schedule: TensorId,
    pub cursor: TensorId,
    pub param: TensorId,
    pub exp_avg: TensorId,
    pub exp_avg_sq: TensorId,
    /// State of [`super::loss_scale`] that says whether the step counts; none where it does.
    pub loss_scale: Option<TensorId>,
}

/// One step over `elements` values (padding included).
pub fn adam(
    recording: &mut Recording,
    label: &str,
    kind: AdamKind,
    attributes: &AdamAttributes,
    elements: usize,
    t: AdamTensors,
) -> Result<()> {
    let op = if kind == AdamKind::Adam { "adam" } else { "adamw" };
    attributes.check(op)?;
    if attributes.amsgrad || attributes.maximize {
        return Err(Error::shape(op, "amsgrad and maximize are not implemented; leave them false"));
    }
    let [beta1, beta2] = attributes.betas;
    let size4 = elements.div_ceil(4);
    let params = Adam {
        size4: u32_of(op, "a parameter", size4)?,
        one_minus_beta1: (1.0 - beta1) as f32,
        beta2: beta2 as f32,
        one_minus_beta2: (1.0 - beta2) as f32,
        eps: attributes.eps as f32,
        weight_decay: attributes.weight_decay as f32,
        end: [0; 2],
    };
    let cost = Cost { flops: (elements * 14) as f64, bytes: (elements * 28) as f64 };
    let mut tensors = vec![t.grad, t.schedule, t.cursor, t.param, t.exp_avg, t.exp_avg_sq];
    tensors.extend(t.loss_scale);
    let decoupled = if kind == AdamKind::AdamW { adam::DECOUPLED } else { Flags::NONE };
    let scaled = if t.loss_scale.is_some() { adam::SCALED } else { Flags::NONE };
    let kernel = KernelSpec::new(adam::FILE).with(decoupled).with(scaled);
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), size4, cost)
}
