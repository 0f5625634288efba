//! The classifier and the loss.

use std::sync::Arc;

use super::session::Session;
use super::{Array, Gradients};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, TensorId};
use crate::ops::attributes::CrossEntropyAttributes;
use crate::ops::cross_entropy::IGNORE;
use crate::ops::head_step::{HeadStep, HeadStepTensors};
use crate::ops::linear::{Linear, LinearKernel};
use crate::ops::{self, pack_rows, unpack_rows};

/// `linear`: `input` `[N, C]`, `weight` `[K, C]`, `bias` `[K]`, giving `[N, K]`.
pub async fn linear(gpu: &Arc<Gpu>, input: &Array, weight: &Array, bias: Option<&Array>) -> Result<Array> {
    linear_by(gpu, LinearKernel::choose(gpu.report()), input, weight, bias).await
}

/// [`linear`] by `kernel`.
pub async fn linear_by(
    gpu: &Arc<Gpu>,
    kernel: LinearKernel,
    input: &Array,
    weight: &Array,
    bias: Option<&Array>,
) -> Result<Array> {
    const OP: &str = "linear";
    let layer = layer(OP, input, weight)?;
    let zeros = Array { shape: vec![layer.out_features], data: vec![0.0; layer.out_features] };
    let bias = bias.unwrap_or(&zeros);
    bias.expect(OP, "bias", &[layer.out_features], "one for each output feature")?;
    let mut session = Session::new(gpu, OP);
    session.room("output", &[layer.rows, layer.out_features.div_ceil(4), 4])?;
    let x = matrix(&mut session, "input", input, 1)?;
    let w = matrix(&mut session, "weight", weight, 4)?;
    let b = session.input("bias", &pack_rows(&bias.data, [1, layer.out_features], 1));
    let output = layer.forward(&mut session.recording, OP, kernel, x, [w, b])?;
    let data = session.run(&[]).await?.read(output, (layer.output_bytes() / 4) as usize).await?;
    let shape = [layer.rows, layer.out_features];
    Ok(Array { shape: shape.to_vec(), data: unpack_rows(&data, shape) })
}

/// `linear_backward`: the gradients from `grad_output` `[N, K]`.
pub async fn linear_backward(gpu: &Arc<Gpu>, input: &Array, weight: &Array, grad_output: &Array) -> Result<Gradients> {
    const OP: &str = "linear_backward";
    let layer = layer(OP, input, weight)?;
    let Linear { rows, in_features, out_features } = layer;
    grad_output.expect(OP, "grad_output", &[rows, out_features], "the output's shape")?;
    let mut session = Session::new(gpu, OP);
    let x = matrix(&mut session, "input", input, 1)?;
    let w = matrix(&mut session, "weight", weight, 4)?;
    let g = matrix(&mut session, "grad_output", grad_output, 1)?;
    let grad_input = layer.grad_input(&mut session.recording, OP, w, g)?;
    let grad_weight = layer.grad_weight(&mut session.recording, OP, x, g)?;
    let grad_bias = layer.grad_bias(&mut session.recording, OP, g)?;
    let done = session.run(&[]).await?;
    let read = async |tensor, shape: [usize; 2]| -> Result<Vec<f32>> {
        Ok(unpack_rows(&done.read(tensor, shape[0] * shape[1].next_multiple_of(4)).await?, shape))
    };
    Ok(Gradients {
        grad_input: Array { shape: input.shape.clone(), data: read(grad_input, [rows, in_features]).await? },
        grad_weight: Array { shape: weight.shape.clone(), data: read(grad_weight, [out_features, in_features]).await? },
        grad_bias: Array { shape: vec![out_features], data: read(grad_bias, [1, out_features]).await? },
    })
}

fn layer(op: &str, input: &Array, weight: &Array) -> Result<Linear> {
    let [rows, in_features] = input.dims(op, "input", "[N, C]")?;
    let [out_features, columns] = weight.dims(op, "weight", "[K, C]")?;
    if columns != in_features {
        return Err(Error::shape(
            op,
            format!("weight {:?} takes {columns} features and input {:?} has {in_features}", weight.shape, input.shape),
        ));
    }
    Ok(Linear { rows, in_features, out_features })
}

/// A matrix with rows padded to vec4s, and their number to a multiple of `row_multiple`.
fn matrix(session: &mut Session, label: &str, array: &Array, row_multiple: usize) -> Result<TensorId> {
    let shape = [array.shape[0], array.shape[1]];
    session.room(label, &[shape[0].div_ceil(row_multiple), row_multiple, shape[1].div_ceil(4), 4])?;
    Ok(session.input(label, &pack_rows(&array.data, shape, row_multiple)))
}

/// `cross_entropy`: the mean loss of logits `input` `[N, K]` for class numbers `target` (N of them), and its gradient
/// with respect to the logits.
///
/// # Errors
/// [`Error::Shape`] for a target that is neither a class nor `ignore_index`, besides shapes that don't fit.
pub async fn cross_entropy(
    gpu: &Arc<Gpu>,
    input: &Array,
    target: &[i64],
    attributes: &CrossEntropyAttributes,
) -> Result<(f32, Array)> {
    const OP: &str = "cross_entropy";
    let [rows, classes] = input.dims(OP, "input", "[N, K]")?;
    attributes.check()?;
    if target.len() != rows {
        return Err(Error::shape(OP, format!("target has {} classes for the {rows} rows of input", target.len())));
    }
    let word = |&class: &i64| match u32::try_from(class) {
        _ if class == attributes.ignore_index => Ok(IGNORE),
        Ok(index) if (index as usize) < classes => Ok(index),
        _ => Err(Error::shape(
            OP,
            format!(
                "target {class} is no class; it must be from 0 to {} or ignore_index {}",
                classes - 1,
                attributes.ignore_index
            ),
        )),
    };
    let targets = target.iter().map(word).collect::<Result<Vec<u32>>>()?;
    let mut session = Session::new(gpu, OP);
    let logits = matrix(&mut session, "input", input, 1)?;
    let targets = session.words("target", &targets);
    let loss =
        ops::cross_entropy::cross_entropy(&mut session.recording, OP, logits, targets, [rows, classes], attributes)?;
    let done = session.run(&[]).await?;
    let grad = done.read(loss.grad, rows * classes.next_multiple_of(4)).await?;
    let summary = done.read(loss.summary, 4).await?;
    Ok((summary[0], Array { shape: input.shape.clone(), data: unpack_rows(&grad, [rows, classes]) }))
}

/// What a step of head training leaves on the device.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadStepOutput {
    /// `[K, C]`.
    pub grad_weight: Array,
    /// `[K]`.
    pub grad_bias: Array,
    /// Steps since the start and of the epoch, after this one.
    pub cursor: [u32; 2],
    /// `[step + 1, 4]`: mean loss, correct rows, counted rows, 0 of this step; those before are zero.
    pub history: Array,
}

/// `head_step`: the gradients of a head `weight` `[K, C]` and `bias` `[K]` on the rows of step `step`, of `rows` each, of
/// `features` `[examples, C]` and `labels` in `order`, and the note of its loss.
///
/// # Errors
/// [`Error::Shape`] for labels or an order that don't fit the features, and an order of examples that aren't there.
pub async fn head_step(
    gpu: &Arc<Gpu>,
    [features, weight, bias]: [&Array; 3],
    [labels, order]: [&[u32]; 2],
    rows: usize,
    step: usize,
) -> Result<HeadStepOutput> {
    const OP: &str = "head_step";
    let layer = Linear { rows, ..layer(OP, features, weight)? };
    let (examples, classes) = (features.shape[0], layer.out_features);
    bias.expect(OP, "bias", &[classes], "one for each output feature")?;
    let there = |&example: &u32| (example as usize) < examples;
    let known = |&label: &u32| (label as usize) < classes;
    let fits = labels.len() == examples && labels.iter().all(known) && order.len() == examples;
    if !fits || !order.iter().all(there) || rows == 0 {
        return Err(Error::shape(
            OP,
            format!(
                "labels and order must be of the {examples} examples and {classes} classes, in batches of 1 or more"
            ),
        ));
    }
    let start = u32::try_from(step).ok().filter(|_| step < examples.div_ceil(rows));
    let start = start.ok_or_else(|| Error::shape(OP, format!("step {step} is past the epoch's end")))?;
    let mut order = order.to_vec();
    order.resize(examples.next_multiple_of(rows), IGNORE);
    let parameters =
        [pack_rows(&weight.data, [classes, layer.in_features], 4), pack_rows(&bias.data, [1, classes], 1)].concat();
    let mut session = Session::new(gpu, OP);
    let tensors = HeadStepTensors {
        features: matrix(&mut session, "features", features, 1)?,
        labels: session.words("labels", labels),
        order: session.words("order", &order),
        cursor: session.state("cursor", bytemuck::cast_slice(&[start; 2])),
        parameters: session.input("parameters", &parameters),
        history: session.state("history", &vec![0.0; 4 * (step + 1)]),
    };
    let head = HeadStep { layer };
    let grad = head.loss(&mut session.recording, &tensors, &CrossEntropyAttributes::default())?;
    let grad = head.gradient(&mut session.recording, &tensors, grad)?;
    let done = session.run(&[tensors.cursor, tensors.history]).await?;
    let cursor = done.read(tensors.cursor, 2).await?;
    let grad = done.read(grad, head.parameters()).await?;
    let bias_at = grad.len() - classes.next_multiple_of(4);
    Ok(HeadStepOutput {
        grad_weight: Array { shape: weight.shape.clone(), data: unpack_rows(&grad, [classes, layer.in_features]) },
        grad_bias: Array { shape: vec![classes], data: grad[bias_at..][..classes].to_vec() },
        cursor: [cursor[0].to_bits(), cursor[1].to_bits()],
        history: Array { shape: vec![step + 1, 4], data: done.read(tensors.history, 4 * (step + 1)).await? },
    })
}
