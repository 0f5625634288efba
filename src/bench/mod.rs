//! How fast a network, a training step or a convolution runs on a device, compared with the device's own measured peaks.
//!
//! [`peaks`] measures the peaks; [`infer`], [`train_all`] and [`train_head`] measure a network at one batch size;
//! [`convolutions`] measures each of its convolutions; [`kernels`] shows what the driver's compiler made of their kernels.

mod convolutions;
mod kernels;
mod network;
mod peaks;
mod profile;
#[cfg(feature = "plots")]
mod roofline;

pub use convolutions::{ConvTimes, convolutions};
pub(crate) use convolutions::{Shape, shapes};
pub use kernels::{Figures, Inspected, KernelReport, kernels};
pub use network::{infer, train_all, train_head};
pub use peaks::{Peaks, peaks};
pub use profile::{KernelTime, Profile};
#[cfg(feature = "plots")]
pub use roofline::draw_roofline;

use std::time::Instant;

use serde::Serialize;

use crate::error::Result;

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

/// Seconds of each repetition of `step`, after one that does not count because it compiles shaders and first touches memory.
fn time(iterations: Option<usize>, mut step: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let [times] = time_in_turn(iterations, [&mut step])?;
    Ok(times)
}

/// The same for several steps that run in turn, so that a machine that slows down affects all of them.
fn time_in_turn<const N: usize>(
    iterations: Option<usize>,
    mut steps: [&mut dyn FnMut() -> Result<()>; N],
) -> Result<[Vec<f64>; N]> {
    const SECONDS: f64 = 3.0;
    steps.iter_mut().try_for_each(|step| step())?;
    let started = Instant::now();
    let mut times = [(); N].map(|()| Vec::new());
    let enough = |rounds: usize| match iterations {
        Some(count) => rounds >= count.max(1),
        None => rounds >= 100 || (rounds >= 3 && started.elapsed().as_secs_f64() > SECONDS),
    };
    while !enough(times[0].len()) {
        for (step, times) in steps.iter_mut().zip(&mut times) {
            let began = Instant::now();
            step()?;
            times.push(began.elapsed().as_secs_f64());
        }
    }
    Ok(times)
}

/// The median: the middle value, or the mean of the middle two.
fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_first_repetition_is_not_counted() {
        let mut runs = 0;
        let times = time(Some(4), || {
            runs += 1;
            Ok(())
        });
        assert_eq!((times.unwrap().len(), runs), (4, 5));
    }

    #[test]
    fn steps_run_in_turn() {
        let order = std::cell::RefCell::new(String::new());
        let step = |name| {
            order.borrow_mut().push(name);
            Ok(())
        };
        let times = time_in_turn(Some(2), [&mut || step('a'), &mut || step('b')]).unwrap();
        assert_eq!((times.map(|times| times.len()), order.borrow().as_str()), ([2, 2], "ababab"));
    }
}
