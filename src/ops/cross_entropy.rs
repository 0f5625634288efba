//! The loss: cross-entropy of softmax over logits, with its gradient, mean over the rows.

use super::attributes::CrossEntropyAttributes;
use super::dispatch_items;
use super::feature_map::u32_of;
use super::head_tensors::HeadStepTensors;
use crate::error::{Error, Result};
use crate::gpu::shaders::files::cross_entropy;
use crate::gpu::shaders::uniforms::cross_entropy as uniforms;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

const OP: &str = "cross_entropy";

/// The target of rows that do not count. A short last batch is filled up with it.
pub const IGNORE: u32 = u32::MAX;

/// What [`cross_entropy`] leaves on the GPU.
#[derive(Debug, Clone, Copy)]
pub struct CrossEntropy {
    /// `d loss / d logits`, rows padded like the logits, zero in the padding.
    pub grad: TensorId,
    /// One vec4 a row: loss, 1 if the largest logit is the target's, 1 if the row counts, 0.
    pub rows: TensorId,
    /// One vec4: mean loss, correct rows, counted rows, 0.
    pub summary: TensorId,
}

/// `logits` are `rows` rows of `classes` padded to vec4s; `targets` one u32 a row, below `classes` or [`IGNORE`].
pub fn cross_entropy(
    recording: &mut Recording,
    label: &str,
    logits: TensorId,
    targets: TensorId,
    [rows, classes]: [usize; 2],
    attributes: &CrossEntropyAttributes,
) -> Result<CrossEntropy> {
    let kernel = KernelSpec::new(cross_entropy::FILE);
    let params = block([rows, classes], attributes)?;
    let params = bytemuck::bytes_of(&params);
    let (grad, row_results, cost) = outputs(recording, label, [rows, classes]);
    let tensors = [logits, targets, grad, row_results];
    dispatch_items(recording, label, kernel.clone().entry("rows"), &tensors, params, rows, cost)?;
    let summary = recording.temporary("mean loss", 16);
    dispatch_items(recording, label, kernel.entry("total"), &[row_results, summary], params, 1, Cost::default())?;
    Ok(CrossEntropy { grad, rows: row_results, summary })
}

/// The loss of a training step in one dispatch. The logits are `slices` partial sums; the step's labels are found through the epoch's
/// order; the mean loss is recorded and the counter advanced. Returns `d loss / d logits`.
pub fn cross_entropy_gathered(
    recording: &mut Recording,
    label: &str,
    (partials, slices): (TensorId, usize),
    t: &HeadStepTensors,
    [rows, classes]: [usize; 2],
    attributes: &CrossEntropyAttributes,
) -> Result<TensorId> {
    let uniforms::CrossEntropy { rows: row_count, classes: class_count, classes4, smoothing } =
        block([rows, classes], attributes)?;
    let params = uniforms::CrossEntropyStep {
        rows: row_count,
        classes: class_count,
        classes4,
        smoothing,
        slices: u32_of(OP, "partial sums", slices)?,
        end: [0; 3],
    };
    let (grad, results, cost) = outputs(recording, label, [rows, classes]);
    let kernel = KernelSpec::new(cross_entropy::FILE).with(cross_entropy::ROWS_BY_ORDER).entry("step");
    let tensors = [partials, t.labels, grad, results, t.history, t.order, t.cursor];
    // One workgroup for any number of rows.
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), 1, cost)?;
    Ok(grad)
}

/// The uniform block of one loss over all rows.
fn block([rows, classes]: [usize; 2], attributes: &CrossEntropyAttributes) -> Result<uniforms::CrossEntropy> {
    attributes.check()?;
    if rows == 0 || classes == 0 {
        return Err(Error::shape(OP, format!("{rows} rows of {classes} classes have no loss")));
    }
    let classes4 = classes.div_ceil(4);
    u32_of(OP, "logits", rows * classes4 * 4)?;
    Ok(uniforms::CrossEntropy {
        rows: u32_of(OP, "a batch", rows)?,
        classes: u32_of(OP, "classes", classes)?,
        classes4: u32_of(OP, "classes", classes4)?,
        smoothing: attributes.label_smoothing as f32,
    })
}

/// The gradient with respect to the logits, the rows' results, and the dispatch's parameters.
fn outputs(recording: &mut Recording, label: &str, [rows, classes]: [usize; 2]) -> (TensorId, TensorId, Cost) {
    let grad = recording.temporary(label, (rows * classes.div_ceil(4) * 16) as u64);
    let results = recording.temporary("row losses", (rows * 16) as u64);
    let cost = Cost { flops: (rows * classes * 12) as f64, bytes: (rows * classes * 8) as f64 };
    (grad, results, cost)
}
