//! What a head's training step finds on the device.

use crate::gpu::TensorId;

/// What lives on the device between steps.
#[derive(Debug, Clone, Copy)]
pub struct HeadStepTensors {
    /// Rows of features padded to vec4s, one per example.
    pub features: TensorId,
    /// One u32 per example.
    pub labels: TensorId,
    /// The example of each row of each step; [`IGNORE`](super::cross_entropy::IGNORE) past the end of the last one.
    pub order: TensorId,
    /// Two u32: steps since the start (or since the schedule's first row), steps of this epoch. The loss moves them, so that an
    /// update after it finds its row of the schedule one later.
    pub cursor: TensorId,
    /// The weight as [`Linear`](super::linear::Linear) takes it, and after it the bias.
    pub parameters: TensorId,
    /// A vec4 for each step of the epoch: mean loss, correct rows, counted rows, 0.
    pub history: TensorId,
}
