//! The loss: cross-entropy of softmax over logits, with its gradient, mean over the rows.

use super::attributes::CrossEntropyAttributes;
use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::{Error, Result};
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

const OP: &str = "cross_entropy";

/// The target that takes a row out of the mean; what a short last batch is filled up with.
pub const IGNORE: u32 = u32::MAX;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    rows: u32,
    classes: u32,
    classes4: u32,
    smoothing: f32,
}

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
    let kernel = KernelSpec::new(OP);
    let (params, [grad, row_results]) =
        record_rows(recording, label, kernel.clone(), [logits, targets], &[], [rows, classes], attributes)?;
    let summary = recording.temporary("mean loss", 16);
    let params = bytemuck::bytes_of(&params);
    dispatch_items(recording, label, kernel.entry("total"), &[row_results, summary], params, 1, Cost::default())?;
    Ok(CrossEntropy { grad, rows: row_results, summary })
}

/// The rows of a training step by itself: `labels` are those of all examples, of which the step's are found by the epoch's order.
/// Gives `d loss / d logits` and the rows' results, whose mean [`HeadStep::finish`](super::head_step::HeadStep::finish) notes.
pub fn cross_entropy_gathered(
    recording: &mut Recording,
    label: &str,
    [logits, labels]: [TensorId; 2],
    order_and_cursor: [TensorId; 2],
    sizes: [usize; 2],
    attributes: &CrossEntropyAttributes,
) -> Result<[TensorId; 2]> {
    let kernel = KernelSpec::new("cross_entropy_gathered");
    let tensors = [logits, labels];
    Ok(record_rows(recording, label, kernel, tensors, &order_and_cursor, sizes, attributes)?.1)
}

/// Appends the kernel that works row by row; gives its sizes, the gradient and the rows' results.
fn record_rows(
    recording: &mut Recording,
    label: &str,
    kernel: KernelSpec,
    [logits, targets]: [TensorId; 2],
    gathered: &[TensorId],
    [rows, classes]: [usize; 2],
    attributes: &CrossEntropyAttributes,
) -> Result<(Params, [TensorId; 2])> {
    attributes.check()?;
    if rows == 0 || classes == 0 {
        return Err(Error::shape(OP, format!("{rows} rows of {classes} classes have no loss")));
    }
    let classes4 = classes.div_ceil(4);
    u32_of(OP, "logits", rows * classes4 * 4)?;
    let params = Params {
        rows: u32_of(OP, "a batch", rows)?,
        classes: u32_of(OP, "classes", classes)?,
        classes4: u32_of(OP, "classes", classes4)?,
        smoothing: attributes.label_smoothing as f32,
    };
    let grad = recording.temporary(label, (rows * classes4 * 16) as u64);
    let results = recording.temporary("row losses", (rows * 16) as u64);
    let cost = Cost { flops: (rows * classes * 12) as f64, bytes: (rows * classes * 8) as f64 };
    let tensors = [&[logits, targets, grad, results], gathered].concat();
    dispatch_items(recording, label, kernel.entry("rows"), &tensors, bytemuck::bytes_of(&params), rows, cost)?;
    Ok((params, [grad, results]))
}
