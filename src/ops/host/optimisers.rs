//! One step of an optimiser on one parameter, with PyTorch's state, and what goes with a step: clipping, averaging.

use std::sync::Arc;

use super::Array;
use super::session::Session;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::ops;
use crate::ops::adam::{AdamKind, AdamTensors};
use crate::ops::attributes::{AdamAttributes, SgdAttributes};
use crate::ops::sgd::SgdTensors;

/// What Adam remembers of a parameter, under `torch.optim.Adam`'s names.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamState {
    /// Number of updates made.
    pub step: u64,
    /// Running mean of the gradient, in the parameter's shape.
    pub exp_avg: Array,
    /// Running mean of the squared gradient.
    pub exp_avg_sq: Array,
}

impl AdamState {
    /// The state before the first update of a parameter of `param`'s shape.
    pub fn new(param: &Array) -> Self {
        let zeros = Array { shape: param.shape.clone(), data: vec![0.0; param.data.len()] };
        Self { step: 0, exp_avg: zeros.clone(), exp_avg_sq: zeros }
    }
}

/// `adam` and `adamw`: one update of `param` by `grad`; gives the parameter and the state after it.
pub fn adam(
    gpu: &Arc<Gpu>,
    kind: AdamKind,
    param: &Array,
    grad: &Array,
    state: &AdamState,
    attributes: &AdamAttributes,
) -> Result<(Array, AdamState)> {
    let op = if kind == AdamKind::Adam { "adam" } else { "adamw" };
    attributes.check(op)?;
    param.check(op, "param")?;
    for (name, array) in [("grad", grad), ("exp_avg", &state.exp_avg), ("exp_avg_sq", &state.exp_avg_sq)] {
        array.expect(op, name, &param.shape, "param's shape")?;
    }
    let step = state.step.checked_add(1).ok_or_else(|| Error::shape(op, "step is as large as a number can be"))?;
    let count = param.data.len();
    let mut session = Session::new(gpu, op);
    session.room("param", &[count.next_multiple_of(4)])?;
    let tensors = AdamTensors {
        grad: session.input("grad", &descent(grad, attributes.maximize)),
        schedule: session.input("schedule", &ops::adam::schedule_row(attributes, attributes.lr, step)),
        cursor: session.words("cursor", &[0; 4]),
        param: session.state("param", &param.data),
        exp_avg: session.state("exp_avg", &state.exp_avg.data),
        exp_avg_sq: session.state("exp_avg_sq", &state.exp_avg_sq.data),
    };
    let attributes = AdamAttributes { maximize: false, ..*attributes };
    ops::adam::adam(&mut session.recording, op, kind, &attributes, count, tensors)?;
    let done = session.run(&[tensors.param, tensors.exp_avg, tensors.exp_avg_sq])?;
    let read = |tensor| -> Result<Array> { Ok(Array { shape: param.shape.clone(), data: done.read(tensor, count)? }) };
    let state = AdamState { step, exp_avg: read(tensors.exp_avg)?, exp_avg_sq: read(tensors.exp_avg_sq)? };
    Ok((read(tensors.param)?, state))
}

/// `sgd`: one update of `param` by `grad`; gives the parameter and, with momentum, the buffer after it. Without a
/// `momentum_buffer` it is the first step.
pub fn sgd(
    gpu: &Arc<Gpu>,
    param: &Array,
    grad: &Array,
    momentum_buffer: Option<&Array>,
    attributes: &SgdAttributes,
) -> Result<(Array, Option<Array>)> {
    const OP: &str = "sgd";
    attributes.check()?;
    param.check(OP, "param")?;
    grad.expect(OP, "grad", &param.shape, "param's shape")?;
    if let Some(buffer) = momentum_buffer {
        buffer.expect(OP, "momentum_buffer", &param.shape, "param's shape")?;
    }
    let count = param.data.len();
    let mut session = Session::new(gpu, OP);
    session.room("param", &[count.next_multiple_of(4)])?;
    let zeros = vec![0.0; count];
    let tensors = SgdTensors {
        grad: session.input("grad", &descent(grad, attributes.maximize)),
        schedule: session.input("schedule", &ops::sgd::schedule_row(attributes.lr, momentum_buffer.is_none())),
        cursor: session.words("cursor", &[0; 4]),
        param: session.state("param", &param.data),
        momentum_buffer: session.state("momentum_buffer", momentum_buffer.map_or(&zeros[..], |buffer| &buffer.data)),
    };
    let attributes = SgdAttributes { maximize: false, ..*attributes };
    ops::sgd::sgd(&mut session.recording, OP, &attributes, count, tensors)?;
    let done = session.run(&[tensors.param, tensors.momentum_buffer])?;
    let read = |tensor| -> Result<Array> { Ok(Array { shape: param.shape.clone(), data: done.read(tensor, count)? }) };
    let buffer = if attributes.momentum == 0.0 { None } else { Some(read(tensors.momentum_buffer)?) };
    Ok((read(tensors.param)?, buffer))
}

/// `clip_grad_norm`: `grads` scaled so that their common norm is at most `max_norm`; the norm before, and the gradients.
pub fn clip_grad_norm(gpu: &Arc<Gpu>, grads: &[Array], max_norm: f64) -> Result<(f32, Vec<Array>)> {
    const OP: &str = "clip_grad_norm";
    let mut session = Session::new(gpu, OP);
    let mut gradients = Vec::new();
    for grad in grads {
        grad.check(OP, "a gradient")?;
        session.room("a gradient", &[grad.data.len().next_multiple_of(4)])?;
        gradients.push((session.state("gradient", &grad.data), grad.data.len()));
    }
    // Groups of two, so that there are several.
    let groups: Vec<Vec<_>> = gradients.chunks(2).map(<[_]>::to_vec).collect();
    let norms = ops::clip_grad_norm::grad_norms(&mut session.recording, &groups, max_norm)?;
    for &gradient in &gradients {
        ops::clip_grad_norm::scale(&mut session.recording, gradient, norms)?;
    }
    let states: Vec<_> = gradients.iter().map(|&(tensor, _)| tensor).collect();
    let done = session.run(&states)?;
    let read = |(&tensor, grad): (_, &Array)| -> Result<Array> {
        Ok(Array { shape: grad.shape.clone(), data: done.read(tensor, grad.data.len())? })
    };
    let scaled = states.iter().zip(grads).map(read).collect::<Result<_>>()?;
    Ok((done.read(norms.total, 4)?[0], scaled))
}

/// `ema`: one update of `average` by `value`.
pub fn ema(gpu: &Arc<Gpu>, average: &Array, value: &Array, decay: f64) -> Result<Array> {
    const OP: &str = "ema";
    average.check(OP, "average")?;
    value.expect(OP, "value", &average.shape, "average's shape")?;
    let count = average.data.len();
    let mut session = Session::new(gpu, OP);
    session.room("average", &[count.next_multiple_of(4)])?;
    let rate = session.input("rate", &[(1.0 - decay) as f32, 0.0, 0.0, 0.0]);
    let value = session.input("value", &value.data);
    let state = session.state("average", &average.data);
    ops::ema::ema(&mut session.recording, OP, count, rate, value, state)?;
    Ok(Array { shape: average.shape.clone(), data: session.run(&[state])?.read(state, count)? })
}

/// The gradient to descend by: ascending is descending by the opposite.
fn descent(grad: &Array, maximize: bool) -> Vec<f32> {
    if maximize { grad.data.iter().map(|value| -value).collect() } else { grad.data.clone() }
}
