//! The optimiser's update of one parameter, whichever optimiser it is.

use super::options::Optimizer;
use crate::error::{Error, Result};
use crate::gpu::{Recording, TensorId};
use crate::ops::adam::{self, AdamKind, AdamTensors, adam};
use crate::ops::sgd::{self, SgdTensors, sgd};

/// What an update reads and changes.
pub(super) struct Updated<'a> {
    pub grad: TensorId,
    /// Rows of [`schedule_row`], and the counter that finds the step's.
    pub schedule: TensorId,
    pub cursor: TensorId,
    pub param: TensorId,
    /// One for each of [`Optimizer::moments`].
    pub moments: &'a [TensorId],
    /// Says whether the step counts, where gradients are scaled.
    pub loss_scale: Option<TensorId>,
}

/// Appends the update of a parameter of `elements` floats, padding included.
pub(super) fn update(
    recording: &mut Recording,
    label: &str,
    optimizer: &Optimizer,
    elements: usize,
    tensors: Updated,
) -> Result<()> {
    let Updated { grad, schedule, cursor, param, moments, loss_scale } = tensors;
    match (optimizer, moments) {
        (Optimizer::Adam(a) | Optimizer::AdamW(a), &[exp_avg, exp_avg_sq]) => {
            let kind = if matches!(optimizer, Optimizer::Adam(_)) { AdamKind::Adam } else { AdamKind::AdamW };
            let tensors = AdamTensors { grad, schedule, cursor, param, exp_avg, exp_avg_sq, loss_scale };
            adam(recording, label, kind, a, elements, tensors)
        }
        (Optimizer::Sgd(a), &[momentum_buffer]) => {
            let tensors = SgdTensors { grad, schedule, cursor, param, momentum_buffer, loss_scale };
            sgd(recording, label, a, elements, tensors)
        }
        _ => Err(Error::shape(
            optimizer.name(),
            format!("the saved state has {} tensors; it is of another optimizer", moments.len()),
        )),
    }
}

/// What the optimiser's shader is told about step `t` (from 1).
pub(super) fn schedule_row(optimizer: &Optimizer, lr: f64, t: u64) -> [f32; 4] {
    match optimizer {
        Optimizer::Adam(a) | Optimizer::AdamW(a) => adam::schedule_row(a, lr, t),
        Optimizer::Sgd(_) => sgd::schedule_row(lr, t == 1),
    }
}
