//! Stochastic gradient descent with momentum, one step of one parameter tensor.

use super::attributes::SgdAttributes;
use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::{Error, Result};
use crate::gpu::shaders::Flags;
use crate::gpu::shaders::files::sgd;
use crate::gpu::shaders::uniforms::sgd::Sgd;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

/// The schedule's row for a step; `first` says that there is no momentum buffer yet.
pub fn schedule_row(lr: f64, first: bool) -> [f32; 4] {
    [lr as f32, f32::from(u8::from(first)), 0.0, 0.0]
}

/// Tensors of an update: the gradient, rows of [`schedule_row`], the step counter, and what the step changes.
#[derive(Debug, Clone, Copy)]
pub struct SgdTensors {
    pub grad: TensorId,
    pub schedule: TensorId,
    pub cursor: TensorId,
    pub param: TensorId,
    pub momentum_buffer: TensorId,
    /// State of [`super::loss_scale`] that says whether the step counts; none where it does.
    pub loss_scale: Option<TensorId>,
}

/// One step over `elements` values (padding included).
pub fn sgd(
    recording: &mut Recording,
    label: &str,
    attributes: &SgdAttributes,
    elements: usize,
    t: SgdTensors,
) -> Result<()> {
    const OP: &str = "sgd";
    attributes.check()?;
    if attributes.maximize {
        return Err(Error::shape(OP, "maximize is not implemented; leave it false"));
    }
    let size4 = elements.div_ceil(4);
    let params = Sgd {
        size4: u32_of(OP, "a parameter", size4)?,
        momentum: attributes.momentum as f32,
        one_minus_dampening: (1.0 - attributes.dampening) as f32,
        weight_decay: attributes.weight_decay as f32,
        nesterov: attributes.nesterov.into(),
        end: [0; 3],
    };
    let cost = Cost { flops: (elements * 6) as f64, bytes: (elements * 20) as f64 };
    let mut tensors = vec![t.grad, t.schedule, t.cursor, t.param, t.momentum_buffer];
    tensors.extend(t.loss_scale);
    let scaled = if t.loss_scale.is_some() { sgd::SCALED } else { Flags::NONE };
    let kernel = KernelSpec::new(sgd::FILE).with(scaled);
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), size4, cost)
}
