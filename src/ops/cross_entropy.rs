//! The loss: cross-entropy of softmax over logits, with its gradient, mean over the rows.

use super::attributes::CrossEntropyAttributes;
use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::{Error, Result};
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

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
    const OP: &str = "cross_entropy";
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
    let out = CrossEntropy {
        grad: recording.temporary(label, (rows * classes4 * 16) as u64),
        rows: recording.temporary("row losses", (rows * 16) as u64),
        summary: recording.temporary("mean loss", 16),
    };
    let cost = Cost { flops: (rows * classes * 12) as f64, bytes: (rows * classes * 8) as f64 };
    let params = bytemuck::bytes_of(&params);
    let kernel = KernelSpec::new(OP);
    dispatch_items(
        recording,
        label,
        kernel.clone().entry("rows"),
        &[logits, targets, out.grad, out.rows],
        params,
        rows,
        cost,
    )?;
    dispatch_items(recording, label, kernel.entry("total"), &[out.rows, out.summary], params, 1, Cost::default())?;
    Ok(out)
}
