//! The fastest of several algorithms for one pass over one shape.

use std::collections::HashMap;
use std::sync::Arc;

use super::contender::{Contender, Data};
use super::result::{Candidate, Tuned};
use crate::bench::Shape;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::ops::{Conv2dAlgorithm, Conv2dPass, Conv2dVariant, Precision};

/// Candidates slower than the best by this factor are not timed again.
const OUT_ABOVE: f64 = 1.3;
/// Winograd is not tried around kernels that are slower than the fastest by this factor on their own.
const HOPELESS_ABOVE: f64 = 4.0;
/// The most candidates that take turns, since each holds memory.
const FINALISTS: usize = 4;

/// How carefully to measure.
pub(super) struct Effort {
    /// One timed run repeats the convolution for about this many seconds.
    pub run_seconds: f64,
    /// Turns of each finalist.
    pub rounds: usize,
    /// A candidate must take this much less time than the default, since measurements vary by a few per cent.
    pub wins_below: f64,
}

/// Of `tune`.
pub(super) const THOROUGH: Effort = Effort { run_seconds: 0.01, rounds: 4, wins_below: 0.97 };

/// Checks and times `algorithms` and the default for one pass over one shape, as long as there is time.
pub(super) fn tune_shape(
    gpu: &Arc<Gpu>,
    shape: &Shape,
    pass: Conv2dPass,
    precision: Precision,
    algorithms: &[Conv2dAlgorithm],
    effort: &Effort,
    in_time: &mut dyn FnMut() -> Result<bool>,
) -> Result<Tuned> {
    let [n, _, h, w] = shape.input;
    let op = &shape.op;
    let default = Conv2dAlgorithm::usual(gpu.as_ref(), pass, op, [n, h, w], precision);
    let data = Data::new(gpu, shape, pass, precision)?;
    let mut race = Race::new(gpu, shape, Contender::new(gpu, shape, pass, default, &data)?, effort)?;
    for &algorithm in algorithms.iter().filter(|algorithm| **algorithm != default) {
        if !in_time()? {
            break;
        }
        if race.is_hopeless(algorithm) {
            continue;
        }
        match Contender::new(gpu, shape, pass, algorithm, &data).and_then(|contender| race.enter(contender)) {
            Err(error @ (Error::DeviceLost(_) | Error::Interrupted)) => return Err(error),
            // Too little memory, or a driver that can't compile it: the default stands.
            Err(error) => race.out.push(Candidate {
                algorithm: algorithm.name(),
                ms: None,
                gflops: None,
                nmse: None,
                rejected: Some(error.to_string()),
            }),
            Ok(()) => {}
        }
    }
    let (default_ms, candidates) = race.finish(effort.rounds)?;
    let (choice, ms) = pick(&candidates, &default.name(), default_ms, effort.wins_below);
    Ok(Tuned {
        layer: shape.layer.clone(),
        layers: shape.layers,
        pass: pass.name(),
        input: shape.input,
        weight: op.weight_shape(),
        stride: op.attributes.stride[0],
        default: default.name(),
        default_ms,
        choice,
        ms,
        candidates,
        key: pass.key(op, [h, w], data.precision),
    })
}

/// The algorithms for one shape that are still in it, and those that are out.
struct Race<'a> {
    gpu: &'a Gpu,
    shape: &'a Shape,
    /// What the default gives.
    expected: Vec<f64>,
    /// Runs that are timed together.
    repeats: usize,
    /// Seconds of the fastest so far.
    best: f64,
    /// The default first, then the fastest.
    finalists: Vec<Contender>,
    out: Vec<Candidate>,
    /// Seconds of each kernel by itself, or of the default that is around it.
    kernels: HashMap<Conv2dVariant, f64>,
}

impl<'a> Race<'a> {
    /// With the default alone, which is timed.
    fn new(gpu: &'a Gpu, shape: &'a Shape, mut default: Contender, effort: &Effort) -> Result<Self> {
        let expected: Vec<f64> = default.run_once()?.into_iter().map(f64::from).collect();
        let repeats = default.runs_in(gpu, effort.run_seconds)?;
        default.time(gpu, repeats)?;
        let best = default.seconds;
        let kernels = HashMap::from([(default.algorithm.variant(), best)]);
        Ok(Self { gpu, shape, expected, repeats, best, finalists: vec![default], out: Vec::new(), kernels })
    }

    /// Whether the kernel within `algorithm` is too slow by itself for anything around it to help.
    fn is_hopeless(&self, algorithm: Conv2dAlgorithm) -> bool {
        let fastest = self.kernels.values().copied().fold(f64::INFINITY, f64::min);
        // Those that were rejected have no time.
        let alone = self.kernels.get(&algorithm.variant()).copied().unwrap_or(f64::INFINITY);
        !is_direct(algorithm) && alone > HOPELESS_ABOVE * fastest
    }

    /// Checks and times `contender`; it stays if it is among the fastest.
    fn enter(&mut self, mut contender: Contender) -> Result<()> {
        contender.check(&self.expected)?;
        if contender.rejected.is_some() {
            self.out.push(contender.candidate(self.shape));
            return Ok(());
        }
        contender.time(self.gpu, self.repeats)?;
        // Once more where something else on the machine may have been in its way.
        if contender.seconds < HOPELESS_ABOVE * self.best {
            contender.time(self.gpu, self.repeats)?;
        }
        self.best = self.best.min(contender.seconds);
        if is_direct(contender.algorithm) {
            self.kernels.insert(contender.algorithm.variant(), contender.seconds);
        }
        let finalists = &mut self.finalists;
        finalists.push(contender);
        // The default, which is first, stays to be compared with.
        finalists[1..].sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let keep = finalists.iter().skip(1).take_while(|f| f.seconds <= OUT_ABOVE * self.best).count();
        self.out.extend(finalists.drain(1 + keep.min(FINALISTS)..).map(|loser| loser.candidate(self.shape)));
        Ok(())
    }

    /// Times those that are left in turns, `rounds` times; the default's milliseconds, and all candidates, the fastest first.
    fn finish(mut self, rounds: usize) -> Result<(f64, Vec<Candidate>)> {
        let rounds = if self.finalists.len() > 1 { rounds } else { 0 };
        for _ in 0..rounds {
            for contender in &mut self.finalists {
                contender.time(self.gpu, self.repeats)?;
            }
        }
        let default_ms = self.finalists[0].seconds * 1e3;
        self.out.extend(self.finalists.into_iter().map(|finalist| finalist.candidate(self.shape)));
        self.out.sort_by(|a, b| a.ms.unwrap_or(f64::MAX).total_cmp(&b.ms.unwrap_or(f64::MAX)));
        Ok((default_ms, self.out))
    }
}

/// Whether `algorithm` is a kernel by itself.
fn is_direct(algorithm: Conv2dAlgorithm) -> bool {
    algorithm == Conv2dAlgorithm::Direct(algorithm.variant())
}

/// The fastest of the candidates that were not rejected, if it is clearly faster than the default.
fn pick(candidates: &[Candidate], default: &str, default_ms: f64, wins_below: f64) -> (String, f64) {
    let allowed = candidates.iter().filter(|candidate| candidate.rejected.is_none());
    let timed = allowed.filter_map(|candidate| Some((candidate.algorithm.clone(), candidate.ms?)));
    let fastest = timed.min_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|(_, ms)| *ms < wins_below * default_ms);
    fastest.unwrap_or((default.to_owned(), default_ms))
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt as _;

    use super::*;
    use crate::gpu::{AdapterChoice, DeviceOptions};
    use crate::ops::Conv2d;
    use crate::ops::attributes::Conv2dAttributes;
    use crate::verify::controls::broken;

    fn shape(channels: usize) -> Shape {
        let attributes = Conv2dAttributes { padding: [1, 1], ..Default::default() };
        let op = Conv2d { attributes, in_channels: channels, out_channels: channels, kernel: [3, 3] };
        Shape { layer: "layer".into(), layers: 1, op, input: [2, channels, 6, 5] }
    }

    #[test]
    fn the_fastest_right_one_wins_if_it_is_clearly_faster() {
        let candidate = |algorithm: &str, ms: f64, rejected: Option<&str>| Candidate {
            algorithm: algorithm.into(),
            ms: Some(ms),
            gflops: None,
            nmse: None,
            rejected: rejected.map(Into::into),
        };
        let all = [candidate("wrong", 0.1, Some("wrong")), candidate("a", 0.9, None), candidate("b", 0.5, None)];
        assert_eq!(pick(&all, "c", 1.0, 0.97), ("b".into(), 0.5));
        assert_eq!(pick(&all[..2], "c", 1.0, 0.97), ("a".into(), 0.9));
        assert_eq!(pick(&all[..2], "c", 0.91, 0.97), ("c".into(), 0.91));
        assert_eq!(pick(&all[..1], "c", 1.0, 0.97), ("c".into(), 1.0));
    }

    /// The negative control: a kernel that is broken, and faster for it, is rejected in each pass, and nothing else is.
    #[test]
    fn a_wrong_kernel_loses() {
        let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
        for (pass, shader, from, to) in [
            (Conv2dPass::Forward, "conv2d_gemm", "return Phase(conv.kernel);", "return Phase(vec2u(1u));"),
            (
                Conv2dPass::ByInput,
                "conv2d_backward_input_gemm",
                "return phase.count.x * phase.count.y;",
                "return min(1u, phase.count.x * phase.count.y);",
            ),
        ] {
            let usual = Conv2dAlgorithm::usual(gpu.report(), pass, &shape(5).op, [1, 6, 5], Precision::F32);
            if usual.variant() == Conv2dVariant::GEMM {
                // What is compared with can't be broken itself.
                continue;
            }
            gpu.substitute(shader, Some(broken(shader, from, to).unwrap()));
            let some = [Conv2dVariant::GEMM, Conv2dVariant::GEMM_32X32, Conv2dVariant::Register].map(Into::into);
            let tuned = tune_shape(&gpu, &shape(5), pass, Precision::F32, &some, &THOROUGH, &mut || Ok(true)).unwrap();
            gpu.substitute(shader, None);
            assert_ne!(tuned.choice, "gemm");
            let of = |name: &str| tuned.candidates.iter().find(|candidate| candidate.algorithm == name).unwrap();
            assert!(of("gemm").rejected.is_some() && of("gemm").ms.is_none(), "{:?}", of("gemm"));
            let rejected = tuned.candidates.iter().filter(|c| c.rejected.is_some());
            let others: Vec<_> = rejected.filter(|c| c.algorithm != "gemm").collect();
            assert!(others.is_empty() && tuned.candidates.len() >= 3, "{others:?}");
            // Without time only the default is left.
            let none = tune_shape(&gpu, &shape(5), pass, Precision::F32, &some, &THOROUGH, &mut || Ok(false)).unwrap();
            assert_eq!((none.choice, none.candidates.len()), (usual.name(), 1));
        }
    }

    #[test]
    fn gradients_of_f16_are_compared_as_they_are_stored() {
        let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
        if Precision::F16.check(gpu.report()).is_err() {
            return;
        }
        for pass in [Conv2dPass::ByInput, Conv2dPass::ByWeight] {
            let some = [Conv2dVariant::Register, Conv2dVariant::GEMM].map(Into::into);
            let tuned = tune_shape(&gpu, &shape(8), pass, Precision::F16, &some, &THOROUGH, &mut || Ok(true)).unwrap();
            let rejected = tuned.candidates.iter().filter(|candidate| candidate.rejected.is_some());
            assert_eq!((rejected.count(), tuned.key.contains("f16")), (0, true), "{:?}", tuned.candidates);
            assert!(
                tuned.candidates.len() >= 2 && tuned.candidates.iter().all(|c| c.nmse.is_none_or(|nmse| nmse < 1e-6))
            );
        }
    }

    #[test]
    fn choices_are_used_and_unknown_ones_are_not() {
        let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
        let (op, size, map) = (shape(5).op, [6, 5], [1, 6, 5]);
        let usual = Conv2dAlgorithm::usual(gpu.report(), Conv2dPass::Forward, &op, map, Precision::F32);
        assert_eq!(Conv2dAlgorithm::choose(&gpu, Conv2dPass::Forward, &op, map, Precision::F32), usual);
        let chosen = ["gemm-32x32", "no such kernel", "winograd2-register"];
        let keys = Conv2dPass::ALL.map(|pass| pass.key(&op, size, Precision::F32));
        gpu.set_choices(keys.into_iter().zip(chosen.map(str::to_owned)).collect());
        let found = Conv2dPass::ALL.map(|pass| Conv2dAlgorithm::choose(&gpu, pass, &op, map, Precision::F32).name());
        let by_input = Conv2dAlgorithm::usual(gpu.report(), Conv2dPass::ByInput, &op, map, Precision::F32);
        assert_eq!(found, ["gemm-32x32".to_owned(), by_input.name(), "winograd2-register".to_owned()]);
        // Another size of map is another shape.
        assert_eq!(Conv2dAlgorithm::choose(&gpu, Conv2dPass::Forward, &op, [1, 7, 7], Precision::F32), {
            Conv2dAlgorithm::usual(gpu.report(), Conv2dPass::Forward, &op, [1, 7, 7], Precision::F32)
        });
    }

    #[test]
    fn what_the_device_is_asked_for_goes_before_choices() {
        let options = DeviceOptions { conv2d: Some("register"), ..Default::default() };
        let gpu = Gpu::open_with(&AdapterChoice::default(), &options)
            .block_on()
            .expect("an adapter; scripts/setup.sh installs one");
        let (op, size, map) = (shape(5).op, [6, 5], [1, 6, 5]);
        let key = Conv2dPass::Forward.key(&op, size, Precision::F32);
        gpu.set_choices([(key, "gemm-32x32".to_owned())].into());
        let of = |pass| Conv2dAlgorithm::choose(&gpu, pass, &op, map, Precision::F32);
        assert_eq!(Conv2dPass::ALL.map(of), [Conv2dVariant::Register.into(); 3]);
        // What is no name asks for nothing, so that choices count.
        let options = DeviceOptions { conv2d: Some("no such kernel"), ..Default::default() };
        let gpu = Gpu::open_with(&AdapterChoice::default(), &options).block_on().expect("the same adapter");
        let usual = Conv2dAlgorithm::usual(gpu.report(), Conv2dPass::Forward, &op, map, Precision::F32);
        assert_eq!(Conv2dAlgorithm::choose(&gpu, Conv2dPass::Forward, &op, map, Precision::F32), usual);
    }
}
