//! The bookkeeping of head training on the device: gathering a step's rows, and noting its loss.

use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::Result;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

/// Sizes of a training step on cached features.
#[derive(Debug, Clone, Copy)]
pub struct HeadStep {
    /// Rows of a batch.
    pub rows: usize,
    /// Features of an example.
    pub features: usize,
    /// Examples of an epoch: the length of the order.
    pub examples: usize,
}

/// What lives on the device between steps.
#[derive(Debug, Clone, Copy)]
pub struct HeadStepTensors {
    /// Rows of features padded to vec4s, one per example.
    pub features: TensorId,
    /// One u32 per example.
    pub labels: TensorId,
    /// The epoch's order, one u32 per example.
    pub order: TensorId,
    /// Two u32: steps since the start (or since the schedule's first row), steps of this epoch.
    pub cursor: TensorId,
}

impl HeadStep {
    fn params(&self) -> Result<[u32; 4]> {
        const OP: &str = "head_step";
        let features4 = self.features.div_ceil(4);
        u32_of(OP, "a batch", self.rows * features4)?;
        Ok([
            u32_of(OP, "a batch", self.rows)?,
            u32_of(OP, "features", features4)?,
            u32_of(OP, "examples", self.examples)?,
            0,
        ])
    }

    /// The step's batch of features and its targets (`IGNORE` past the end of the epoch).
    pub fn gather(&self, recording: &mut Recording, t: HeadStepTensors) -> Result<(TensorId, TensorId)> {
        let features4 = self.features.div_ceil(4);
        let batch = recording.temporary("batch", (self.rows * features4 * 16) as u64);
        let targets = recording.temporary("targets", (self.rows * 4) as u64);
        let cost = Cost { flops: 0.0, bytes: (self.rows * features4 * 32) as f64 };
        let kernel = KernelSpec::new("head_step").entry("gather");
        let tensors = [t.features, t.labels, t.order, t.cursor, batch, targets];
        // A workgroup a row.
        let items = self.rows * 64;
        dispatch_items(recording, "gather", kernel, &tensors, bytemuck::bytes_of(&self.params()?), items, cost)?;
        Ok((batch, targets))
    }

    /// Notes the step's `summary` in `history` (a vec4 per step of the epoch) and moves the counters.
    pub fn finish(
        &self,
        recording: &mut Recording,
        cursor: TensorId,
        summary: TensorId,
        history: TensorId,
    ) -> Result<()> {
        let kernel = KernelSpec::new("head_step").entry("finish");
        dispatch_items(recording, "finish step", kernel, &[cursor, summary, history], &[], 1, Cost::default())
    }
}
