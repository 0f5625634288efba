//! What a pass computes and keeps.

use crate::gpu::TensorId;

/// Which activations a training step keeps for its backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// All of them: the fastest.
    #[default]
    None,
    /// The input of each block alone; what is inside is computed again on the way back, for about a third more time
    /// (Chen et al., 2016, "Training deep nets with sublinear memory cost"). The result is the same to the bit.
    Blocks,
}

/// What a pass computes.
#[derive(Debug, Clone, Copy)]
pub struct PassOptions {
    /// Normalise by the batch's statistics and move the running ones, or by the running ones.
    pub bn_training: bool,
    /// The lowest part that is trained: 0 the stem and everything above it, i the i-th stage and above, and past the last
    /// stage the head alone.
    pub train_from: usize,
    /// Whether the input gradient is wanted; needs `train_from` 0.
    pub grad_input: bool,
    pub label_smoothing: f64,
    pub recompute: Recompute,
    /// Whether [`PassTensors::block_gradients`] are wanted. Without, some are never stored.
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
