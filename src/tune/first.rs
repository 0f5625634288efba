//! The first use of an adapter: the few algorithms that are most likely to win are measured for each convolution of the network, within two
//! seconds in all, and the choices are stored like those of `tune`.
//!
//! A choice is made once for each adapter, driver and program version. Shapes that there was no time for keep their default from then on,
//! so that an image's bits do not change from one start to the next.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use web_time::Instant;

use super::jobs::jobs;
use super::race::{Effort, tune_shape};
use super::result::Tuned;
use super::store::{self, Choice, Choices};
use crate::bench::{Shape, shapes};
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Gpu};
use crate::model::Architecture;
use crate::ops::conv2d_policy::{self, Convolution};
use crate::ops::{Conv2d, Conv2dAlgorithm, Conv2dPass, Precision, WinogradTile};

/// The time limit for all measurements. A compilation that has begun is finished.
pub const LIMIT: Duration = Duration::from_secs(2);
/// Images that are timed together: enough to fill most GPUs, few enough to be generated in time.
const BATCH: usize = 4;
/// The most values in a map of all images: more take too long to generate.
const MOST_VALUES: usize = 4 << 20;
/// Runs of two milliseconds can be distinguished if they differ by a twentieth.
const EFFORT: Effort = Effort { run_seconds: 0.002, rounds: 2, wins_below: 0.95 };
/// On maps with a shorter side, Winograd's larger tile covers mostly padding.
const SHORT_SIDE: usize = 12;

/// What a command is about to compute.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    pub architecture: &'a Architecture,
    /// Height and width of the images.
    pub image_size: usize,
    /// Whether the gradients are computed too.
    pub train: bool,
    pub precision: Precision,
}

/// The result of the measurements.
#[derive(Debug, Default)]
pub struct Outcome {
    /// All choices for the adapter, including earlier ones.
    pub choices: Choices,
    /// Convolutions and passes that were measured now, and those that there was no time for.
    pub measured: usize,
    pub left_out: usize,
    pub seconds: f64,
}

/// The algorithms that are worth measuring within two seconds, the default first; all of them run on `adapter`. On hardware the policy lists
/// them. On software drivers, which only tests measure, they are the default's kernel alone and Winograd around it.
pub fn first_candidates(
    adapter: &AdapterReport,
    pass: Conv2dPass,
    conv: &Conv2d,
    map: [usize; 2],
    precision: Precision,
) -> Vec<Conv2dAlgorithm> {
    let [height, width] = map;
    let convolution = Convolution { conv: *conv, map: [BATCH, height, width], precision };
    if adapter.kind != "cpu" {
        return conv2d_policy::candidates(adapter, pass, &convolution);
    }
    let default = Conv2dAlgorithm::usual(adapter, pass, conv, convolution.map, precision);
    let known = Conv2dAlgorithm::candidates(adapter, conv, pass, precision);
    let runs = |algorithm: &Conv2dAlgorithm| known.iter().any(|(one, able)| one == algorithm && able.is_ok());
    let tile = if map.into_iter().min() < Some(SHORT_SIDE) { WinogradTile::Two } else { WinogradTile::Four };
    let around = [Conv2dAlgorithm::Winograd(tile, default.variant()), Conv2dAlgorithm::Direct(default.variant())];
    let others = around.into_iter().filter(|other| *other != default && runs(other));
    std::iter::once(default).chain(others).collect()
}

/// The choices for `purpose`: those on disk under `cache`, and measurements for the rest, which are then stored there. If another process
/// measures on this adapter, this one waits and takes its choices. `check` is called between measurements; its error ends them, and nothing is
/// stored.
///
/// # Errors
/// `check`'s, a lost device, and a file that can't be written.
pub fn choose(
    gpu: &Arc<Gpu>,
    cache: &Path,
    purpose: &Purpose,
    limit: Duration,
    check: &mut dyn FnMut() -> Result<()>,
) -> Result<Outcome> {
    let _lock = store::lock(cache, gpu.report());
    let (known, _) = store::load(cache, gpu.report());
    let mut outcome = measure(gpu, purpose, &known, limit, check)?;
    if !outcome.choices.is_empty() {
        store::save(cache, gpu.report(), outcome.choices.clone())?;
    }
    outcome.choices.extend(known);
    Ok(outcome)
}

/// Measures what `purpose` needs and `known` lacks. Returns only the new choices.
fn measure(
    gpu: &Arc<Gpu>,
    purpose: &Purpose,
    known: &Choices,
    limit: Duration,
    check: &mut dyn FnMut() -> Result<()>,
) -> Result<Outcome> {
    let mut clock = Clock::new(limit);
    let mut shapes = shapes(purpose.architecture, BATCH, purpose.image_size);
    shapes.iter_mut().for_each(|shape| shape.input[0] = images(shape));
    let mut outcome = Outcome::default();
    for (_, shape, pass) in jobs(&shapes, purpose.train) {
        let [.., h, w] = shape.input;
        let key = pass.key(&shape.op, [h, w], purpose.precision);
        if known.contains_key(&key) {
            continue;
        }
        let candidates = first_candidates(gpu.report(), pass, &shape.op, [h, w], purpose.precision);
        let mut tuned = None;
        if candidates.len() > 1 {
            check()?;
            if shape.input[0] > 0 && clock.has_time() {
                let mut in_time = || check().map(|()| clock.has_time());
                tuned = of_shape(gpu, shape, pass, purpose.precision, &candidates, &mut in_time)?;
            }
            *if tuned.is_some() { &mut outcome.measured } else { &mut outcome.left_out } += 1;
        }
        let default = candidates[0].name();
        let choice = Choice {
            algorithm: tuned.as_ref().map_or(default.clone(), |tuned| tuned.choice.clone()),
            default,
            ms: tuned.as_ref().map(|tuned| tuned.ms),
            default_ms: tuned.as_ref().map(|tuned| tuned.default_ms),
            batch_size: shape.input[0],
            first_use: true,
        };
        outcome.choices.insert(key, choice);
    }
    outcome.seconds = clock.started.elapsed().as_secs_f64();
    Ok(outcome)
}

/// How many images of a shape are timed together; `None` if one is too large.
fn images(shape: &Shape) -> usize {
    let [_, c, h, w] = shape.input;
    let output = shape.op.output_shape([1, c, h, w]).unwrap_or([1, usize::MAX, 1, 1]);
    let values = output.into_iter().fold(1, usize::saturating_mul).max(c * h * w);
    (MOST_VALUES / values.max(1)).min(BATCH)
}

/// The choice for one shape; `None`, which keeps the default, if at most the default could be measured.
fn of_shape(
    gpu: &Arc<Gpu>,
    shape: &Shape,
    pass: Conv2dPass,
    precision: Precision,
    candidates: &[Conv2dAlgorithm],
    in_time: &mut dyn FnMut() -> Result<bool>,
) -> Result<Option<Tuned>> {
    match tune_shape(gpu, shape, pass, precision, candidates, &EFFORT, in_time) {
        Ok(tuned) => Ok(Some(tuned).filter(|tuned| tuned.candidates.len() > 1)),
        Err(error @ (Error::DeviceLost(_) | Error::Interrupted)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether there is time for another measurement that takes as long as the longest so far.
struct Clock {
    started: Instant,
    limit: Duration,
    last: Instant,
    longest: Duration,
}

impl Clock {
    fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self { started: now, limit, last: now, longest: Duration::ZERO }
    }

    /// Called before each measurement.
    fn has_time(&mut self) -> bool {
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last);
        self.last = now;
        now - self.started + self.longest <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt as _;

    use super::*;
    use crate::gpu::AdapterChoice;
    use crate::ops::attributes::Conv2dAttributes;

    fn conv(kernel: usize, stride: usize) -> Conv2d {
        let attributes =
            Conv2dAttributes { padding: [kernel / 2; 2], stride: [stride; 2], ..Conv2dAttributes::default() };
        Conv2d { attributes, in_channels: 64, out_channels: 64, kernel: [kernel; 2] }
    }

    fn hardware() -> AdapterReport {
        let mut adapter = crate::gpu::list_adapters(None).block_on().swap_remove(0);
        (adapter.kind, adapter.subgroup_size) = ("discrete".into(), [32, 32]);
        (adapter.max_workgroup_memory_bytes, adapter.max_invocations_per_workgroup) = (32 << 10, 1024);
        adapter
    }

    #[test]
    fn the_default_comes_first_and_none_twice() {
        let adapter = hardware();
        for (pass, side, kernel, stride) in Conv2dPass::ALL
            .into_iter()
            .flat_map(|pass| [(pass, 28, 3, 1), (pass, 7, 3, 1), (pass, 28, 3, 2), (pass, 14, 1, 1)])
        {
            let conv = conv(kernel, stride);
            let found = first_candidates(&adapter, pass, &conv, [side; 2], Precision::F32);
            assert_eq!(found[0], Conv2dAlgorithm::usual(&adapter, pass, &conv, [BATCH, side, side], Precision::F32));
            assert!((1..=3).contains(&found.len()), "{found:?}");
            assert!(found.iter().enumerate().all(|(i, one)| !found[..i].contains(one)), "{pass:?}: {found:?}");
            assert!(
                found.iter().all(|one| one.supported(&adapter, &conv, Precision::F32).is_ok()),
                "{pass:?}: {found:?}"
            );
        }
    }

    /// A network of two shapes on tiny images.
    fn network() -> Architecture {
        Architecture::named("resnet20").unwrap()
    }

    #[test]
    fn what_is_known_is_kept_and_the_rest_is_measured_in_time() {
        let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
        let (cache, architecture) = (tempfile::tempdir().unwrap(), network());
        let purpose = Purpose { architecture: &architecture, image_size: 8, train: false, precision: Precision::F32 };
        // Without time every shape keeps its default, for good.
        let mut check = || Ok(());
        let none = choose(&gpu, cache.path(), &purpose, Duration::ZERO, &mut check).unwrap();
        let shapes = shapes(&architecture, 1, 8);
        assert_eq!((none.measured, none.choices.len()), (0, shapes.len()));
        assert!(none.choices.values().all(|one| one.first_use && one.algorithm == one.default && one.ms.is_none()));
        let again = choose(&gpu, cache.path(), &purpose, Duration::from_secs(600), &mut check).unwrap();
        assert_eq!((again.measured, again.left_out, &again.choices), (0, 0, &none.choices));
        assert_eq!(store::load(cache.path(), gpu.report()), (none.choices, None));
        // Nothing is stored after a stop.
        let cache = tempfile::tempdir().unwrap();
        let stopped = choose(&gpu, cache.path(), &purpose, LIMIT, &mut || Err(Error::Interrupted));
        match stopped {
            Err(error) => assert!(matches!(error, Error::Interrupted)),
            // No shape had more than one candidate, so nothing was measured.
            Ok(outcome) => assert_eq!(outcome.measured, 0),
        }
    }

    #[test]
    fn large_images_are_timed_in_smaller_numbers_or_not_at_all() {
        let of = |size: usize| {
            images(&Shape { layer: String::new(), layers: 1, op: conv(3, 1), input: [4, 64, size, size] })
        };
        assert_eq!((of(56), of(112), of(200), of(256), of(257)), (4, 4, 1, 1, 0));
    }

    #[test]
    fn a_measurement_begins_only_if_it_will_end_in_time() {
        let mut clock = Clock::new(Duration::from_millis(400));
        assert!(clock.has_time());
        std::thread::sleep(Duration::from_millis(220));
        // Another of 220 ms would end after 440.
        assert!(!clock.has_time() && !clock.has_time());
    }
}
