//! Measures which algorithm is fastest for each convolution of a network on this adapter.
//!
//! Every candidate must first match the default's result on random data; only then is it timed. Candidates are timed in turns, so
//! that other load on the machine affects all of them, and the best time counts. A choice is made for a pass, a convolution and a
//! map size, never for a batch. An image's result is therefore the same to the bit in any batch, and training sees the activations
//! that inference does.

mod contender;
pub mod first;
mod jobs;
mod race;
mod result;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use self::jobs::jobs;
use self::race::{THOROUGH, tune_shape};
pub use self::result::{Candidate, Tuned};
use self::store::{Choice, Choices};
use crate::bench::shapes;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::model::Architecture;
use crate::ops::conv2d_policy::{self, Convolution};
use crate::ops::{Conv2dAlgorithm, Conv2dPass, Precision};
use web_time::Instant;

/// What to tune.
#[derive(Debug, Clone)]
pub struct Options {
    /// Images that are timed together.
    pub batch_size: usize,
    /// Height and width of the images.
    pub image_size: usize,
    /// Whether to tune the gradients too.
    pub train: bool,
    pub precision: Precision,
    /// Nothing new is tried after this time, and shapes that were not started keep their defaults. Those that take most time come
    /// first.
    pub limit: Duration,
}

/// The results in the network's order, and how many shapes there was no time for.
#[derive(Debug)]
pub struct Outcome {
    pub tuned: Vec<Tuned>,
    pub left_out: usize,
}

impl Outcome {
    /// What [`store::save`] takes.
    pub fn choices(&self) -> Choices {
        let choice = |tuned: &Tuned| Choice {
            algorithm: tuned.choice.clone(),
            default: tuned.default.clone(),
            ms: Some(tuned.ms),
            default_ms: Some(tuned.default_ms),
            batch_size: tuned.input[0],
            first_use: false,
        };
        self.tuned.iter().map(|tuned| (tuned.key.clone(), choice(tuned))).collect()
    }

    /// Milliseconds of all convolutions of the network: with the defaults, and with the choices.
    pub fn totals(&self) -> [f64; 2] {
        let sum = |ms: fn(&Tuned) -> f64| self.tuned.iter().map(|tuned| tuned.layers as f64 * ms(tuned)).sum();
        [sum(|tuned| tuned.default_ms), sum(|tuned| tuned.ms)]
    }
}

/// Tunes the convolutions of `architecture`. Before each candidate, `progress` receives the number of finished shapes, the total, and
/// the current shape; its error ends the tuning.
///
/// # Errors
/// `progress`'s, a lost device, and a default that can't be run.
pub fn tune(
    gpu: &Arc<Gpu>,
    architecture: &Architecture,
    options: &Options,
    progress: &mut dyn FnMut(usize, usize, &str) -> Result<()>,
) -> Result<Outcome> {
    let shapes = shapes(architecture, options.batch_size, options.image_size);
    let jobs = jobs(&shapes, options.train);
    let (started, count) = (Instant::now(), jobs.len());
    let mut done: Vec<(usize, Tuned)> = Vec::new();
    for (index, (place, shape, pass)) in jobs.into_iter().enumerate() {
        let about = format!("{} {}", shape.layer, pass.name());
        let mut in_time = || progress(index, count, &about).map(|()| started.elapsed() <= options.limit);
        if !in_time()? {
            break;
        }
        let candidates = Conv2dAlgorithm::candidates(gpu.report(), &shape.op, pass, options.precision);
        let mut runnable: Vec<_> =
            candidates.into_iter().filter(|(_, able)| able.is_ok()).map(|(able, _)| able).collect();
        // Split reductions are not among these, because their number of parts depends on the map.
        let [n, _, h, w] = shape.input;
        let convolution = Convolution { conv: shape.op, map: [n, h, w], precision: options.precision };
        let likely = conv2d_policy::candidates(gpu.report(), pass, &convolution);
        runnable.extend(likely.into_iter().filter(|split| matches!(split, Conv2dAlgorithm::Split(..))));
        let tuned = tune_shape(gpu, shape, pass, options.precision, &runnable, &THOROUGH, &mut in_time)?;
        done.push((place * Conv2dPass::ALL.len() + pass as usize, tuned));
    }
    let left_out = count - done.len();
    done.sort_by_key(|(place, _)| *place);
    Ok(Outcome { tuned: done.into_iter().map(|(_, tuned)| tuned).collect(), left_out })
}
