//! What a pass computes and keeps.

use crate::gpu::TensorId;

/// Which activations a training step keeps for its backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// All of them; the fastest.
    #[default]
    None,
    /// The input of each block alone; the rest is recomputed in the backward pass, for about a third more time
    /// (Chen et al., 2016, "Training deep nets with sublinear memory cost"). The result is the same to the bit.
    Blocks,
}

/// What a pass computes.
#[derive(Debug, Clone, Copy)]
pub struct PassOptions {
    /// Whether to normalise by the batch's statistics and update the running ones, or to use the running ones.
    pub bn_training: bool,
    /// The lowest part that is trained: 0 the stem and everything above it, i the i-th stage and above, and past the last
    /// stage the head alone.
    pub train_from: usize,
    /// Whether to compute the input gradient; needs `train_from` 0.
    pub grad_input: bool,
    pub label_smoothing: f64,
    pub recompute: Recompute,
    /// Whether to keep [`PassTensors::block_gradients`]. Otherwise some are never stored.
    pub block_gradients: bool,
    /// State of [`crate::ops::loss_scale`] whose scale every gradient is multiplied by; none leaves them as they are.
    pub loss_scale: Option<TensorId>,
}

impl Default for PassOptions {
    fn default() -> Self {
        let recompute = Recompute::default();
        Self {
            bn_training: true,
            train_from: 0,
            grad_input: false,
            label_smoothing: 0.0,
            recompute,
            block_gradients: false,
            loss_scale: None,
        }
    }
}
