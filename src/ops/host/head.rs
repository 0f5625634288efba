//! The classifier and the loss.

use std::sync::Arc;

use super::session::Session;
use super::{Array, Gradients};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, TensorId};
use crate::ops::attributes::CrossEntropyAttributes;
use crate::ops::cross_entropy::IGNORE;
use crate::ops::head_step::{HeadStep, HeadStepTensors};
use crate::ops::linear::Linear;
use crate::ops::{self, pack_rows, unpack_rows};

/// `linear`: `input` `[N, C]`, `weight` `[K, C]`, `bias` `[K]`, giving `[N, K]`.
pub fn linear(gpu: &Arc<Gpu>, input: &Array, weight: &Array, bias: Option<&Array>) -> Result<Array> {
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
    let output = layer.forward(&mut session.recording, OP, x, [w, b])?;
    let data = session.run(&[])?.read(output, (layer.output_bytes() / 4) as usize)?;
    let shape = [layer.rows, layer.out_features];
    Ok(Array { shape: shape.to_vec(), data: unpack_rows(&data, shape) })
}

/// `linear_backward`: the gradients from `grad_output` `[N, K]`.
pub fn linear_backward(gpu: &Arc<Gpu>, input: &Array, weight: &Array, grad_output: &Array) -> Result<Gradients> {
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
    let done = session.run(&[])?;
    let read = |tensor, shape: [usize; 2]| -> Result<Vec<f32>> {
        Ok(unpack_rows(&done.read(tensor, shape[0] * shape[1].next_multiple_of(4))?, shape))
    };
    Ok(Gradients {
        grad_input: Array { shape: input.shape.clone(), data: read(grad_input, [rows, in_features])? },
        grad_weight: Array { shape: weight.shape.clone(), data: read(grad_weight, [out_features, in_features])? },
        grad_bias: Array { shape: vec![out_features], data: read(grad_bias, [1, out_features])? },
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
pub fn cross_entropy(
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
    let done = session.run(&[])?;
    let grad = done.read(loss.grad, rows * classes.next_multiple_of(4))?;
    let summary = done.read(loss.summary, 4)?;
    Ok((summary[0], Array { shape: input.shape.clone(), data: unpack_rows(&grad, [rows, classes]) }))
}

/// What a step of head training leaves on the device.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadStepOutput {
    /// `[rows, C]`: the step's examples, zeros past the epoch's end.
    pub batch: Array,
    /// The examples' labels; none past the epoch's end.
    pub targets: Vec<Option<u32>>,
    /// Steps since the start and of the epoch, after this one.
    pub cursor: [u32; 2],
    /// The summaries of the epoch's steps up to this one; those of others are zero.
    pub history: Array,
}

/// `head_step`: gathers the rows of step `step` from `features` `[examples, C]` and `labels` in `order`, then notes `summary` and
/// moves the counters.
///
/// # Errors
/// [`Error::Shape`] for labels or an order that don't fit the features, and an order of examples that aren't there.
pub fn head_step(
    gpu: &Arc<Gpu>,
    features: &Array,
    [labels, order]: [&[u32]; 2],
    rows: usize,
    step: usize,
    summary: [f32; 4],
) -> Result<HeadStepOutput> {
    const OP: &str = "head_step";
    let [examples, columns] = features.dims(OP, "features", "[examples, C]")?;
    let there = |&example: &u32| (example as usize) < examples;
    if labels.len() != examples || order.len() != examples || !order.iter().all(there) || rows == 0 {
        return Err(Error::shape(
            OP,
            format!("labels and order must be of the {examples} examples, in batches of 1 or more"),
        ));
    }
    let start = u32::try_from(step).ok().filter(|_| step <= examples.div_ceil(rows));
    let start = start.ok_or_else(|| Error::shape(OP, format!("step {step} is past the epoch's end")))?;
    let mut session = Session::new(gpu, OP);
    session.room("batch", &[rows, columns.div_ceil(4), 4])?;
    let tensors = HeadStepTensors {
        features: matrix(&mut session, "features", features, 1)?,
        labels: session.words("labels", labels),
        order: session.words("order", order),
        cursor: session.state("cursor", bytemuck::cast_slice(&[start; 2])),
    };
    let summary = session.input("summary", &summary);
    let history = session.state("history", &vec![0.0; 4 * (step + 1)]);
    let layout = HeadStep { rows, features: columns, examples };
    let (batch, targets) = layout.gather(&mut session.recording, tensors)?;
    layout.finish(&mut session.recording, tensors.cursor, summary, history)?;
    let done = session.run(&[tensors.cursor, history])?;
    let word = |value: &f32| value.to_bits();
    let targets = done.read(targets, rows)?.iter().map(word).map(|label| (label != IGNORE).then_some(label)).collect();
    let cursor = done.read(tensors.cursor, 2)?;
    let batch = unpack_rows(&done.read(batch, rows * columns.next_multiple_of(4))?, [rows, columns]);
    Ok(HeadStepOutput {
        batch: Array { shape: vec![rows, columns], data: batch },
        targets,
        cursor: [cursor[0].to_bits(), cursor[1].to_bits()],
        history: Array { shape: vec![step + 1, 4], data: done.read(history, 4 * (step + 1))? },
    })
}
