//! The tensors of a head's training steps.

use crate::gpu::TensorId;

/// Tensors that stay on the device between steps.
#[derive(Debug, Clone, Copy)]
pub struct HeadStepTensors {
    /// Rows of features padded to vec4s, one per example.
    pub features: TensorId,
    /// One u32 per example.
    pub labels: TensorId,
    /// The example of each row of each step; [`IGNORE`](super::cross_entropy::IGNORE) past the end of the last one.
    pub order: TensorId,
    /// Two u32: steps since the start (or since the schedule's first row), and steps of this epoch. The loss advances them, so an update
    /// after it must subtract one to find its row of the schedule.
    pub cursor: TensorId,
    /// The weight as [`Linear`](super::linear::Linear) reads it, followed by the bias.
    pub parameters: TensorId,
    /// A vec4 for each step of the epoch: mean loss, correct rows, counted rows, 0.
    pub history: TensorId,
}
