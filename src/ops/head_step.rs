//! One training step of a head on features that are on the device. Its rows are read in place, in the epoch's order, and its loss stays
//! on the device, so that many steps run without the host.

use super::attributes::CrossEntropyAttributes;
use super::cross_entropy::cross_entropy_gathered;
pub use super::head_tensors::HeadStepTensors;
use super::linear::Linear;
use crate::error::Result;
use crate::gpu::{Recording, TensorId};

/// A step over a batch of `layer.rows`.
#[derive(Debug, Clone, Copy)]
pub struct HeadStep {
    pub layer: Linear,
}

impl HeadStep {
    /// Floats of the parameters: weight and bias, with padding.
    pub fn parameters(&self) -> usize {
        (self.layer.weight_bytes() / 4) as usize + self.layer.out_features.next_multiple_of(4)
    }

    /// Appends the logits and the loss, which is recorded on the device while the counters advance. Returns `d loss / d logits`.
    pub fn loss(
        &self,
        r: &mut Recording,
        t: &HeadStepTensors,
        attributes: &CrossEntropyAttributes,
    ) -> Result<TensorId> {
        let logits = self.layer.forward_gathered(r, "logits", t.features, t.parameters, [t.order, t.cursor])?;
        let sizes = [self.layer.rows, self.layer.out_features];
        cross_entropy_gathered(r, "loss", logits, t, sizes, attributes)
    }

    /// Appends the gradient with respect to the parameters, laid out like them, after [`Self::loss`].
    pub fn gradient(&self, r: &mut Recording, t: &HeadStepTensors, grad_logits: TensorId) -> Result<TensorId> {
        self.layer.gradient_gathered(r, "gradient", t.features, grad_logits, [t.order, t.cursor])
    }
}
