//! How a run ended.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::runtime::Runtime;
use crate::train::data_parallel::AdapterTime;
use crate::train::{EpochResult, RunDir};

/// How a run ended; its JSON is what `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// The run's folder.
    #[serde(serialize_with = "lossy")]
    pub run: PathBuf,
    /// The self-contained file of the network.
    #[serde(serialize_with = "lossy")]
    pub model: PathBuf,
    /// The epoch of that network.
    pub epoch: u64,
    /// The learning rate that it was trained with.
    pub lr: f64,
    /// Mean cross-entropy over that epoch's training images.
    pub train_loss: Option<f64>,
    /// Accuracy on them.
    pub train_accuracy: Option<f64>,
    /// Mean cross-entropy over the validation images, if there are any.
    pub val_loss: Option<f64>,
    /// Accuracy on them.
    pub val_accuracy: Option<f64>,
    /// Whether training stopped early, because no further epoch was better.
    pub stopped_early: bool,
    /// How feature maps are stored.
    pub precision: &'static str,
    /// The loss scale at the end, in f16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Steps that were skipped because an f16 gradient was not finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<u64>,
    /// The adapters that trained it together, in order; empty if there was only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<AdapterUse>,
    /// Images that could not be read, and were left out.
    #[serde(skip)]
    pub left_out: usize,
}

/// An adapter of a run, and how it spent its time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdapterUse {
    /// Its name, and its driver's version.
    pub name: String,
    /// Over all epochs.
    #[serde(flatten)]
    pub time: AdapterTime,
}

/// JSON is Unicode: bytes of a path that are not valid UTF-8 become U+FFFD.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl RunSummary {
    /// The summary of a run whose network is from `epoch`, trained at `lr`. Reports where the network is and how accurate.
    pub(super) fn new(
        runtime: &Runtime,
        run: &RunDir,
        (epoch, epochs, stopped_early): (u64, &[EpochResult], bool),
        lr: f64,
        left_out: usize,
    ) -> Self {
        let kept = epochs.iter().find(|e| e.epoch == epoch);
        let model = run.model_path();
        let accuracy = kept
            .and_then(|e| e.val_accuracy)
            .map_or(String::new(), |a| format!(" (validation accuracy {:.2} %)", a * 100.0));
        runtime.note(format!("the network of epoch {epoch}{accuracy} is in {}", model.display()));
        let (loss_scale, skipped_steps) = (epochs.last().and_then(|e| e.loss_scale), skipped_steps(epochs));
        if let (Some(skipped), Some(scale)) = (skipped_steps, loss_scale) {
            runtime.note(format!(
                "trained in f16: the loss scale is {scale}, and {skipped} steps were skipped because of it"
            ));
        }
        Self {
            run: run.path().to_owned(),
            model,
            epoch,
            lr,
            train_loss: kept.map(|e| e.train_loss),
            train_accuracy: kept.map(|e| e.train_accuracy),
            val_loss: kept.and_then(|e| e.val_loss),
            val_accuracy: kept.and_then(|e| e.val_accuracy),
            stopped_early,
            precision: runtime.precision.name(),
            loss_scale,
            skipped_steps,
            adapters: Vec::new(),
            left_out,
        }
    }
}

/// The number of skipped steps over all epochs, if gradients are f16.
pub(super) fn skipped_steps(epochs: &[EpochResult]) -> Option<u64> {
    epochs.iter().filter_map(|e| e.skipped_steps).reduce(|a, b| a + b)
}
