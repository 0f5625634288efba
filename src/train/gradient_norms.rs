//! Norms of gradients over an epoch.

use super::metrics::BlockGradient;
use super::network_step::StepResult;

/// Means of gradient norms over an epoch.
#[derive(Default)]
pub(super) struct Norms {
    steps: usize,
    total: f64,
    blocks: Vec<(String, f64)>,
}

impl Norms {
    pub fn add(&mut self, result: &StepResult) {
        // Norms of gradients that were not finite would make the mean none.
        let Some(norm) = result.grad_norm.filter(|_| !result.skipped) else { return };
        if self.steps == 0 {
            self.blocks = result.block_gradients.iter().map(|(name, _)| (name.clone(), 0.0)).collect();
        }
        self.steps += 1;
        self.total += f64::from(norm);
        self.blocks.iter_mut().zip(&result.block_gradients).for_each(|(mean, (_, norm))| mean.1 += f64::from(*norm));
    }

    /// The mean of all, and of each block from the first to the last.
    pub fn mean(self) -> (Option<f64>, Vec<BlockGradient>) {
        let steps = self.steps as f64;
        let blocks = self.blocks.into_iter().rev().map(|(block, sum)| BlockGradient { block, norm: sum / steps });
        ((self.steps > 0).then(|| self.total / steps), blocks.collect())
    }
}
