//! The measurements of an epoch, and their line in metrics.jsonl.

use serde::{Deserialize, Serialize};

use super::data_parallel::AdapterTime;
use crate::error::Error;

/// One epoch; its JSON is a line of metrics.jsonl, with these keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochResult {
    /// From 1.
    pub epoch: u64,
    /// Optimiser steps since the start.
    pub step: u64,
    /// Mean over the epoch's examples, each with the weights that its step started from.
    pub train_loss: f64,
    /// Fraction, measured likewise.
    pub train_accuracy: f64,
    /// Mean over the validation examples after the epoch; null without any, and where it is not finite.
    pub val_loss: Option<f64>,
    /// Fraction, measured likewise; none where the loss is not finite, since logits that are no numbers have no largest.
    pub val_accuracy: Option<f64>,
    /// Learning rate.
    pub lr: f64,
    /// Training examples a second, without validation.
    pub images_per_second: f64,
    /// Norm of all gradients before clipping, mean over the steps; only where gradients are logged or clipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grad_norm: Option<f64>,
    /// The same of the gradient that enters each block from above, from the first block to the last; only where gradients
    /// are logged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_gradients: Vec<BlockGradient>,
    /// The loss scale at the end of the epoch; only if gradients are f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Steps of the epoch that were skipped, since an f16 gradient was not finite; only if gradients are f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<u64>,
    /// How each adapter spent the epoch's steps; only where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<AdapterTime>,
}

/// The size of the gradient that enters a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockGradient {
    /// `layer1.0`, …
    pub block: String,
    /// Over the batch and all elements.
    pub norm: f64,
}

/// The loss and the accuracy over a set of examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy.
    pub loss: f64,
    /// Fraction of examples whose largest logit is their class's.
    pub accuracy: f64,
}

impl Evaluation {
    /// Whether it says anything: an accuracy beside a loss that is not finite counts logits that are no numbers.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite()
    }
}

/// An error about a run of `epochs` whose validation losses were none of them finite; `lr` is its learning rate.
pub(super) fn never_finite(op: &str, epochs: &[EpochResult], lr: f64) -> Error {
    let (count, first) = (epochs.len(), epochs.first().map_or(1, |e| e.epoch));
    let problem = format!(
        "the validation loss was not finite after any of {count} epochs, the first of them epoch {first}; no network was kept: \
         use a smaller --lr than {lr}, or other weights"
    );
    Error::shape(op, problem)
}

/// A running mean over steps, each weighted by its rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    loss: f64,
    correct: f64,
    rows: f64,
}

impl Totals {
    /// Adds a step's summary: mean loss, correct rows, counted rows, 0.
    pub fn add(&mut self, [loss, correct, rows, _]: [f32; 4]) {
        self.loss += f64::from(loss) * f64::from(rows);
        self.correct += f64::from(correct);
        self.rows += f64::from(rows);
    }

    /// Whether no row was counted yet.
    pub fn is_empty(&self) -> bool {
        self.rows == 0.0
    }

    /// The mean so far; NaN before the first step.
    pub fn mean(&self) -> Evaluation {
        Evaluation { loss: self.loss / self.rows, accuracy: self.correct / self.rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_batch_weighs_less() {
        let mut totals = Totals::default();
        totals.add([1.0, 8.0, 32.0, 0.0]);
        totals.add([3.0, 0.0, 8.0, 0.0]);
        assert_eq!(totals.mean(), Evaluation { loss: 1.4, accuracy: 0.2 });
        assert!(Totals::default().mean().loss.is_nan());
    }
}
