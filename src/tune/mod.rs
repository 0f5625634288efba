//! Which algorithm is fastest for each convolution of a network on this adapter, found by measuring.
//!
//! Every candidate must first give what the default gives, on random data; only then may it be timed. Candidates are timed in
//! turns, so that whatever else the machine does meets all of them, and the best time counts. A choice is made for a pass,
//! a convolution and a size of map, never for a batch: so an image's result is the same to the bit in whatever batch it comes,
//! and training sees the activations that inference does.

pub mod first;
pub mod store;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use self::store::{Choice, Choices};
use crate::bench::{Shape, shapes};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Plan, Recording};
use crate::model::Architecture;
use crate::ops::conv2d_policy::{self, Convolution};
use crate::ops::{
    Conv2dAlgorithm, Conv2dPass, ConvOperands, ConvPlan, Epilogue, FeatureMap, GradEpilogue, MapShape, Precision,
    pack_nhwc,
};
use crate::reference::compare;
use crate::weights::hash_input;

/// Candidates slower than the best by this are not timed again.
const OUT_ABOVE: f64 = 1.3;
/// Winograd's way is not tried around kernels that are slower than the fastest by this by themselves.
const HOPELESS_ABOVE: f64 = 4.0;
/// Of those that are left, the most that take turns: each holds memory.
const FINALISTS: usize = 4;

/// How carefully is measured.
struct Effort {
    /// One timed run repeats the convolution for about so long, in seconds.
    run_seconds: f64,
    /// Turns of each finalist.
    rounds: usize,
    /// A candidate must take this much less time than the default: measurements differ by a few per cent by themselves.
    wins_below: f64,
}

/// Of `tune`.
const THOROUGH: Effort = Effort { run_seconds: 0.01, rounds: 4, wins_below: 0.97 };

/// NMSE that a candidate may differ from the default by, and largest difference over the largest value. In f32 two right
/// ones differ by an NMSE of 1e-12 at most (sums of 4,608 products in another order, or at Winograd's points); in f16 by
/// 5e-8, since each rounds its results and Winograd's way does not round the weights. One wrong value among a million makes 1e-6.
fn most_differences(precision: Precision) -> [f64; 2] {
    match precision {
        Precision::F32 => [1e-10, 1e-4],
        Precision::F16 => [4e-7, 4e-3],
    }
}

/// What to tune.
#[derive(Debug, Clone)]
pub struct Options {
    /// Images that are timed together.
    pub batch_size: usize,
    /// Height and width of the images.
    pub image_size: usize,
    /// The gradients too.
    pub train: bool,
    pub precision: Precision,
    /// Nothing new is tried after it, and shapes that are not begun by then keep their defaults; those that take most time come
    /// first.
    pub limit: Duration,
}

/// One algorithm for one pass and shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    pub algorithm: String,
    /// Best time; none if it may not be used.
    pub ms: Option<f64>,
    /// Of the formula's arithmetic, multiply-adds counted as two: Winograd's way takes fewer.
    pub gflops: Option<f64>,
    /// How far it is from the default.
    pub nmse: Option<f64>,
    /// Why it may not be used.
    pub rejected: Option<String>,
}

/// The result for one pass over one shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// The first layer of this shape, and how many there are.
    pub layer: String,
    pub layers: usize,
    pub pass: &'static str,
    /// NCHW.
    pub input: [usize; 4],
    /// KCRS.
    pub weight: [usize; 4],
    pub stride: usize,
    pub default: String,
    pub default_ms: f64,
    pub choice: String,
    pub ms: f64,
    /// Fastest first, then those that may not be used.
    pub candidates: Vec<Candidate>,
    #[serde(skip)]
    key: String,
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

    /// Milliseconds of all convolutions of the network: by default, and as chosen.
    pub fn totals(&self) -> [f64; 2] {
        let sum = |ms: fn(&Tuned) -> f64| self.tuned.iter().map(|tuned| tuned.layers as f64 * ms(tuned)).sum();
        [sum(|tuned| tuned.default_ms), sum(|tuned| tuned.ms)]
    }
}

/// Tunes the convolutions of `architecture`. `progress` is told, before each candidate, how many shapes are done, of how many,
/// and which one is at work; its error ends the tuning.
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
        // Reductions in parts are not among all of them, which know no size of a map.
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

/// Shapes with their places and the passes over them, those that take most time first.
fn jobs(shapes: &[Shape], train: bool) -> Vec<(usize, &Shape, Conv2dPass)> {
    let passes: &[Conv2dPass] = if train { &Conv2dPass::ALL } else { &[Conv2dPass::Forward] };
    let all = shapes.iter().enumerate().flat_map(|(place, shape)| passes.iter().map(move |&pass| (place, shape, pass)));
    // Nothing asks for the gradient by the images.
    let mut jobs: Vec<_> = all.filter(|(place, _, pass)| (*place, *pass) != (0, Conv2dPass::ByInput)).collect();
    jobs.sort_by(|(_, a, _), (_, b, _)| (b.layers as f64 * b.flops()).total_cmp(&(a.layers as f64 * a.flops())));
    jobs
}

/// Checks and times `algorithms` and the default for one pass over one shape, as long as there is time.
fn tune_shape(
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
    let mut usual = Contender::new(gpu, shape, pass, default, &data)?;
    let expected: Vec<f64> = usual.run_once()?.into_iter().map(f64::from).collect();
    usual.plan.run()?;
    let repeats = (effort.run_seconds / gpu.last_run_seconds().max(1e-6)).ceil().clamp(1.0, 100.0) as usize;
    usual.time(gpu, repeats)?;
    let mut best = usual.seconds;
    let mut finalists = vec![usual];
    let mut out: Vec<Candidate> = Vec::new();
    // Seconds of each kernel by itself, or of the default that is around it.
    let mut kernels = HashMap::from([(default.variant(), best)]);
    for &algorithm in algorithms.iter().filter(|algorithm| **algorithm != default) {
        if !in_time()? {
            break;
        }
        let direct = algorithm == Conv2dAlgorithm::Direct(algorithm.variant());
        let fastest = kernels.values().copied().fold(f64::INFINITY, f64::min);
        // Those that were rejected have no time.
        let alone = kernels.get(&algorithm.variant()).copied().unwrap_or(f64::INFINITY);
        if !direct && alone > HOPELESS_ABOVE * fastest {
            continue;
        }
        let trial = Contender::new(gpu, shape, pass, algorithm, &data).and_then(|mut contender| {
            contender.check(&expected)?;
            if contender.rejected.is_none() {
                contender.time(gpu, repeats)?;
                // Once more where something else on the machine may have been in its way.
                if contender.seconds < HOPELESS_ABOVE * best {
                    contender.time(gpu, repeats)?;
                }
            }
            Ok(contender)
        });
        match trial {
            Err(error @ (Error::DeviceLost(_) | Error::Interrupted)) => return Err(error),
            // Too little memory, or a driver that can't compile it: the default stands.
            Err(error) => out.push(Candidate {
                algorithm: algorithm.name(),
                ms: None,
                gflops: None,
                nmse: None,
                rejected: Some(error.to_string()),
            }),
            Ok(contender) if contender.rejected.is_some() => out.push(contender.candidate(shape)),
            Ok(contender) => {
                best = best.min(contender.seconds);
                if direct {
                    kernels.insert(algorithm.variant(), contender.seconds);
                }
                finalists.push(contender);
                // The default, which is first, stays to be compared with.
                finalists[1..].sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
                let keep = finalists.iter().skip(1).take_while(|f| f.seconds <= OUT_ABOVE * best).count();
                out.extend(finalists.drain(1 + keep.min(FINALISTS)..).map(|loser| loser.candidate(shape)));
            }
        }
    }
    let rounds = if finalists.len() > 1 { effort.rounds } else { 0 };
    for _ in 0..rounds {
        for contender in &mut finalists {
            contender.time(gpu, repeats)?;
        }
    }
    let default_ms = finalists[0].seconds * 1e3;
    out.extend(finalists.into_iter().map(|finalist| finalist.candidate(shape)));
    out.sort_by(|a, b| a.ms.unwrap_or(f64::MAX).total_cmp(&b.ms.unwrap_or(f64::MAX)));
    let (choice, ms) = pick(&out, &default.name(), default_ms, effort.wins_below);
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
        candidates: out,
        key: pass.key(op, [h, w], data.precision),
    })
}

/// The fastest of the candidates that were not rejected, if it is clearly faster than the default.
fn pick(candidates: &[Candidate], default: &str, default_ms: f64, wins_below: f64) -> (String, f64) {
    let allowed = candidates.iter().filter(|candidate| candidate.rejected.is_none());
    let timed = allowed.filter_map(|candidate| Some((candidate.algorithm.clone(), candidate.ms?)));
    let fastest = timed.min_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|(_, ms)| *ms < wins_below * default_ms);
    fastest.unwrap_or((default.to_owned(), default_ms))
}

/// What all candidates are given.
struct Data {
    precision: Precision,
    input: Arc<Buffer>,
    grad_output: Arc<Buffer>,
    /// OIHW.
    weight: Vec<f32>,
    krsc: Arc<Buffer>,
    bias: Arc<Buffer>,
}

impl Data {
    fn new(gpu: &Gpu, shape: &Shape, pass: Conv2dPass, precision: Precision) -> Result<Self> {
        let (op, groups) = (&shape.op, shape.op.attributes.groups);
        let map = |name: &str, shape: [usize; 4], wanted: bool| -> Result<Arc<Buffer>> {
            let values = if wanted { hash_input(name, shape.iter().product()) } else { Vec::new() };
            let packed = if wanted { pack_nhwc(&values, shape, groups) } else { Vec::new() };
            Ok(Arc::new(gpu.upload(name, &precision.words(&packed))?))
        };
        let weight = hash_input("weight", op.weight_shape().iter().product());
        Ok(Self {
            precision,
            input: map("input", shape.input, pass != Conv2dPass::ByInput)?,
            grad_output: map("grad_output", op.output_shape(shape.input)?, pass != Conv2dPass::Forward)?,
            krsc: Arc::new(gpu.upload("weight", &op.pack_krsc(&weight))?),
            bias: Arc::new(gpu.upload("bias", &op.pack_bias(Some(&hash_input("bias", op.out_channels))))?),
            weight,
        })
    }
}

/// An algorithm that is being measured.
struct Contender {
    algorithm: Conv2dAlgorithm,
    plan: Plan,
    output: FeatureMap,
    /// Best time so far.
    seconds: f64,
    nmse: Option<f64>,
    rejected: Option<String>,
}

impl Contender {
    fn new(gpu: &Arc<Gpu>, shape: &Shape, pass: Conv2dPass, algorithm: Conv2dAlgorithm, data: &Data) -> Result<Self> {
        const LABEL: &str = "tune";
        let op = &shape.op;
        let mut r = Recording::new();
        let r = &mut r;
        let precision = data.precision;
        let map = |shape| Ok::<_, Error>(MapShape::grouped(shape, op.attributes.groups)?.stored(precision));
        let input = map(shape.input)?.at(r.external("input", data.input.clone()));
        let grad_output = map(op.output_shape(shape.input)?)?.at(r.external("grad_output", data.grad_output.clone()));
        let plan = ConvPlan::new(op, pass, algorithm, input.shape)?;
        let operands = match pass {
            Conv2dPass::Forward => {
                let packed = Arc::new(gpu.upload("weight", &plan.weight()?.pack_words(&data.weight))?);
                let (weight, bias) = (r.external("weight", packed), r.external("bias", data.bias.clone()));
                ConvOperands::Forward { input, weight, epilogue: Epilogue { bias: Some(bias), ..Default::default() } }
            }
            // The weight is packed anew in each step of training, so that it counts here.
            Conv2dPass::ByInput => {
                let krsc = r.external("weight", data.krsc.clone());
                let weight = plan.weight()?.record_pack(r, LABEL, krsc)?;
                ConvOperands::InputGradient { grad_output, weight, epilogue: GradEpilogue::default() }
            }
            Conv2dPass::ByWeight => ConvOperands::WeightGradient { input, grad_output },
        };
        let output = plan.record(r, LABEL, operands)?;
        r.keep(output.tensor);
        let plan = Plan::new(gpu, r)?;
        Ok(Self { algorithm, plan, output, seconds: f64::INFINITY, nmse: None, rejected: None })
    }

    /// The result of a run over an output that held NaN.
    fn run_once(&mut self) -> Result<Vec<f32>> {
        let MapShape { precision, pitch4, c4, .. } = self.output.shape;
        let len = self.output.len4() * 4;
        self.plan.write(self.output.tensor, &precision.words(&vec![f32::NAN; len]))?;
        self.plan.run()?;
        let words = self.plan.read(self.output.tensor, precision.word_count(len))?;
        let values = precision.values(&words, len);
        Ok(values.chunks((pitch4 * 4).max(1)).flat_map(|pixel| &pixel[..c4 * 4]).copied().collect())
    }

    /// Rejects the algorithm if its result is not `expected`.
    fn check(&mut self, expected: &[f64]) -> Result<()> {
        let found = compare(&self.run_once()?, expected);
        self.nmse = Some(found.nmse);
        let [most_nmse, most_scaled] = most_differences(self.output.precision);
        // Written so that a NaN is a difference.
        let same = found.nmse <= most_nmse && found.max_scaled() <= most_scaled && found.non_finite_mismatches == 0;
        if !same {
            let (at, value, right) = (found.worst_index, found.worst_found, found.worst_expected);
            self.rejected = Some(format!("value {at} is {value:e} and the default's {right:e}"));
        }
        Ok(())
    }

    /// Runs `repeats` times and keeps the mean if it is the best one so far.
    fn time(&mut self, gpu: &Gpu, repeats: usize) -> Result<()> {
        self.plan.run_repeated(repeats)?;
        self.seconds = self.seconds.min(gpu.last_run_seconds() / repeats as f64);
        Ok(())
    }

    fn candidate(self, shape: &Shape) -> Candidate {
        let timed = Some(self.seconds).filter(|seconds| seconds.is_finite());
        Candidate {
            algorithm: self.algorithm.name(),
            ms: timed.map(|seconds| seconds * 1e3),
            gflops: timed.map(|seconds| shape.flops() / seconds * 1e-9),
            nmse: self.nmse,
            rejected: self.rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{AdapterChoice, DeviceOptions};
    use crate::ops::attributes::Conv2dAttributes;
    use crate::ops::{Conv2d, Conv2dVariant};
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
        let gpu = Gpu::open(&AdapterChoice::default()).expect("an adapter; scripts/setup.sh installs one");
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
            if usual.variant() == Conv2dVariant::Gemm {
                // What is compared with can't be broken itself.
                continue;
            }
            gpu.substitute(shader, Some(broken(shader, from, to).unwrap()));
            let some = [Conv2dVariant::Gemm, Conv2dVariant::Gemm32x32, Conv2dVariant::Register].map(Into::into);
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
        let gpu = Gpu::open(&AdapterChoice::default()).expect("an adapter; scripts/setup.sh installs one");
        if Precision::F16.check(gpu.report()).is_err() {
            return;
        }
        for pass in [Conv2dPass::ByInput, Conv2dPass::ByWeight] {
            let some = [Conv2dVariant::Register, Conv2dVariant::Gemm].map(Into::into);
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
        let gpu = Gpu::open(&AdapterChoice::default()).expect("an adapter; scripts/setup.sh installs one");
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
        let gpu =
            Gpu::open_with(&AdapterChoice::default(), &options).expect("an adapter; scripts/setup.sh installs one");
        let (op, size, map) = (shape(5).op, [6, 5], [1, 6, 5]);
        let key = Conv2dPass::Forward.key(&op, size, Precision::F32);
        gpu.set_choices([(key, "gemm-32x32".to_owned())].into());
        let of = |pass| Conv2dAlgorithm::choose(&gpu, pass, &op, map, Precision::F32);
        assert_eq!(Conv2dPass::ALL.map(of), [Conv2dVariant::Register.into(); 3]);
        // What is no name asks for nothing, so that choices count.
        let options = DeviceOptions { conv2d: Some("no such kernel"), ..Default::default() };
        let gpu = Gpu::open_with(&AdapterChoice::default(), &options).expect("the same adapter");
        let usual = Conv2dAlgorithm::usual(gpu.report(), Conv2dPass::Forward, &op, map, Precision::F32);
        assert_eq!(Conv2dAlgorithm::choose(&gpu, Conv2dPass::Forward, &op, map, Precision::F32), usual);
    }
}
