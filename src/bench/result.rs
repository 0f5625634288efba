//! What to measure, and what came of it.

use serde::Serialize;

use super::Profile;

/// What to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Images per step.
    pub batch_size: usize,
    /// Height and width of the images.
    pub image_size: usize,
    /// Timed repetitions; `None` means enough for three seconds, at least 3 and at most 100.
    pub iterations: Option<usize>,
    /// Whether to also time every dispatch.
    pub profile: bool,
}

/// What a run computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Images to logits.
    Infer,
    /// A step of training.
    Train,
}

/// The part of the network that a training step changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum TrainPart {
    /// The classifier, on precomputed features.
    Head,
    /// Every parameter: forward and backward pass.
    All,
}

/// The result of one measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    pub arch: String,
    pub mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<TrainPart>,
    pub batch_size: usize,
    pub image_size: usize,
    pub precision: &'static str,
    pub iterations: usize,
    /// Median over the iterations.
    pub ms_per_image: f64,
    pub images_per_second: f64,
    /// Arithmetic of the whole step in 10^9 operations per second, a multiply-add counted as two.
    pub gflops: f64,
    /// `gflops` over the measured peak.
    pub fraction_of_peak: f64,
    /// Submits of one step.
    pub submits: f64,
    /// Dispatches of one step.
    pub dispatches: usize,
    /// GPU memory that the step needs: activations after sharing, weights, optimiser state.
    pub peak_bytes: u64,
    /// Activations alone, after sharing.
    pub activation_bytes: u64,
    /// The most bytes of activations that are alive at one dispatch: what `activation_bytes` is at least.
    pub largest_cut_bytes: u64,
    /// Microseconds of an almost empty dispatch that waits for another, measured beside steps that consist of short dispatches:
    /// `dispatches` times this is the driver's share of a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatch_us: Option<f64>,
    /// The parts of a step of the whole network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<StepParts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Medians of the parts of a training step of the whole network, and of inference, all run in turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepParts {
    /// The forward pass with the loss, with the batch's statistics.
    pub forward_ms_per_image: f64,
    /// The step without the forward pass.
    pub backward_ms_per_image: f64,
    pub inference_ms_per_image: f64,
}
