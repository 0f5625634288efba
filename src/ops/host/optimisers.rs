//! One step of an optimiser on one parameter, with PyTorch's state, and what goes with a step: clipping, averaging.

use std::sync::Arc;

use super::Array;
use super::session::{On, Session};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, TensorId};
use crate::ops::adam::{AdamKind, AdamTensors};
use crate::ops::attributes::{AdamAttributes, SgdAttributes};
use crate::ops::sgd::SgdTensors;
use crate::ops::{self, Precision};

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
pub async fn adam(
    gpu: &Arc<Gpu>,
    kind: AdamKind,
    param: &Array,
    grad: &Array,
    state: &AdamState,
    attributes: &AdamAttributes,
) -> Result<(Array, AdamState)> {
    adam_scaled(gpu, kind, param, grad, state, attributes, None).await
}

/// [`adam`] as a step makes it whose loss was scaled: `overflow` says whether a gradient was not finite, which leaves everything
/// but the step's number as it is.
pub async fn adam_scaled(
    gpu: &Arc<Gpu>,
    kind: AdamKind,
    param: &Array,
    grad: &Array,
    state: &AdamState,
    attributes: &AdamAttributes,
    overflow: Option<bool>,
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
        loss_scale: overflow.map(|overflow| scaled_state(&mut session, overflow)),
    };
    let attributes = AdamAttributes { maximize: false, ..*attributes };
    ops::adam::adam(&mut session.recording, op, kind, &attributes, count, tensors)?;
    let done = session.run(&[tensors.param, tensors.exp_avg, tensors.exp_avg_sq]).await?;
    let read = async |tensor| -> Result<Array> {
        Ok(Array { shape: param.shape.clone(), data: done.read(tensor, count).await? })
    };
    let state = AdamState { step, exp_avg: read(tensors.exp_avg).await?, exp_avg_sq: read(tensors.exp_avg_sq).await? };
    Ok((read(tensors.param).await?, state))
}

/// `sgd`: one update of `param` by `grad`; gives the parameter and, with momentum, the buffer after it. Without a
/// `momentum_buffer` it is the first step.
pub async fn sgd(
    gpu: &Arc<Gpu>,
    param: &Array,
    grad: &Array,
    momentum_buffer: Option<&Array>,
    attributes: &SgdAttributes,
) -> Result<(Array, Option<Array>)> {
    sgd_scaled(gpu, param, grad, momentum_buffer, attributes, None).await
}

/// [`sgd`] as a step makes it whose loss was scaled; see [`adam_scaled`].
pub async fn sgd_scaled(
    gpu: &Arc<Gpu>,
    param: &Array,
    grad: &Array,
    momentum_buffer: Option<&Array>,
    attributes: &SgdAttributes,
    overflow: Option<bool>,
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
        loss_scale: overflow.map(|overflow| scaled_state(&mut session, overflow)),
    };
    let attributes = SgdAttributes { maximize: false, ..*attributes };
    ops::sgd::sgd(&mut session.recording, OP, &attributes, count, tensors)?;
    let done = session.run(&[tensors.param, tensors.momentum_buffer]).await?;
    let read = async |tensor| -> Result<Array> {
        Ok(Array { shape: param.shape.clone(), data: done.read(tensor, count).await? })
    };
    let buffer = if attributes.momentum == 0.0 { None } else { Some(read(tensors.momentum_buffer).await?) };
    Ok((read(tensors.param).await?, buffer))
}

/// `clip_grad_norm`: `grads` scaled so that their common norm is at most `max_norm`; the norm before, and the gradients.
pub async fn clip_grad_norm(gpu: &Arc<Gpu>, grads: &[Array], max_norm: f64) -> Result<(f32, Vec<Array>)> {
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
    let norms = ops::clip_grad_norm::grad_norms(&mut session.recording, &groups, Precision::F32, max_norm)?;
    for &gradient in &gradients {
        ops::clip_grad_norm::scale(&mut session.recording, gradient, norms)?;
    }
    let states: Vec<_> = gradients.iter().map(|&(tensor, _)| tensor).collect();
    let done = session.run(&states).await?;
    let mut scaled = Vec::new();
    for (&tensor, grad) in states.iter().zip(grads) {
        scaled.push(Array { shape: grad.shape.clone(), data: done.read(tensor, grad.data.len()).await? });
    }
    Ok((done.read(norms.total, 4).await?[0], scaled))
}

/// `grad_norm`: the norm of all of `grads`, stored as `on` says.
pub async fn grad_norm<'a>(on: impl Into<On<'a>>, grads: &[Array]) -> Result<f32> {
    const OP: &str = "grad_norm";
    let mut session = Session::new(on, OP);
    let precision = session.precision;
    let mut gradients = Vec::new();
    for grad in grads {
        grad.check(OP, "a gradient")?;
        let mut data = grad.data.clone();
        data.resize(data.len().next_multiple_of(4), 0.0);
        session.room("a gradient", &[data.len()])?;
        gradients.push((session.words("gradient", &precision.words(&data)), grad.data.len()));
    }
    let norms = ops::clip_grad_norm::grad_norms(&mut session.recording, &[gradients], precision, 1.0)?;
    let done = session.run(&[]).await?;
    Ok(done.read(norms.total, 1).await?[0])
}

/// `ema`: one update of `average` by `value`.
pub async fn ema(gpu: &Arc<Gpu>, average: &Array, value: &Array, decay: f64) -> Result<Array> {
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
    Ok(Array { shape: average.shape.clone(), data: session.run(&[state]).await?.read(state, count).await? })
}

/// The state on the device of a step whose gradients were scaled.
fn scaled_state(session: &mut Session, overflow: bool) -> TensorId {
    let mut state = ops::loss_scale::state(1.0);
    state[ops::loss_scale::OVERFLOW] = overflow.into();
    session.words("loss scale", &state)
}

/// `loss_scale`, its first half: `input` times `scale`.
pub async fn scale_gradient(gpu: &Arc<Gpu>, input: &Array, scale: f32) -> Result<Array> {
    let (mut session, state, count) = scaling(gpu, input, scale)?;
    let tensor = session.input("input", &input.data);
    let output = ops::loss_scale::scale(&mut session.recording, LOSS_SCALE, count, state, tensor)?;
    Ok(Array { shape: input.shape.clone(), data: session.run(&[state]).await?.read(output, count).await? })
}

/// Its second half: `grad` divided by `scale`, and whether one of its values is not finite.
pub async fn unscale_gradient(gpu: &Arc<Gpu>, grad: &Array, scale: f32) -> Result<(Array, bool)> {
    let (mut session, state, count) = scaling(gpu, grad, scale)?;
    let tensor = session.state("grad", &grad.data);
    ops::loss_scale::unscale(&mut session.recording, LOSS_SCALE, count, state, tensor)?;
    let done = session.run(&[state, tensor]).await?;
    let overflow = done.read(state, 4).await?[ops::loss_scale::OVERFLOW].to_bits() != 0;
    Ok((Array { shape: grad.shape.clone(), data: done.read(tensor, count).await? }, overflow))
}

const LOSS_SCALE: &str = "loss_scale";

/// A session that knows the scale, its state on the device, and the number of values.
fn scaling<'a>(gpu: &'a Arc<Gpu>, array: &Array, scale: f32) -> Result<(Session<'a>, TensorId, usize)> {
    array.check(LOSS_SCALE, "a gradient")?;
    if !scale.is_normal() || scale < 0.0 {
        return Err(Error::shape(LOSS_SCALE, format!("the loss scale is {scale}; it must be above zero")));
    }
    let count = array.data.len();
    let mut session = Session::new(gpu, LOSS_SCALE);
    session.room("a gradient", &[count.next_multiple_of(4)])?;
    let state = session.state("loss scale", &ops::loss_scale::state(scale).map(f32::from_bits));
    Ok((session, state, count))
}

/// The gradient to descend by: ascending is descending by the opposite.
fn descent(grad: &Array, maximize: bool) -> Vec<f32> {
    if maximize { grad.data.iter().map(|value| -value).collect() } else { grad.data.clone() }
}
