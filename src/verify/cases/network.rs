//! Whole networks against stored references of PyTorch in f64: logits, every stage, every gradient.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::super::case::{Body, Case, Operation, Suite};
use super::super::judgement::{Check, Judgement};
use super::super::key::{Key, PRECISION};
use super::super::references::{self, FORWARD, GRADIENTS};
use super::super::report::{CaseResult, Direction};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::{Architecture, Forward, GradientPass, InputKind, Network, PassOptions, TrainableNetwork};
use crate::ops::Precision;
use crate::reference::compare_f64;
use crate::weights::{Weights, hash_input, hash_targets, hash_weights};

/// Largest NMSE of a forward pass. torch's own f32 stays below 2e-13.
const FORWARD_LIMIT: f64 = 1e-11;
/// The same with activations and weights stored as f16.
const HALF_LIMIT: f64 = 3e-6;
/// Networks that are also run so: one of each kind of block.
const HALVES: &[&str] = &["resnet18", "resnet50", "resnet20-zero-pad", "preact-resnet20", "v1-ceil"];
/// A gradient may be off by this many times torch's own f32 error, or by the least.
const TORCH_ERRORS: f64 = 8.0;
const LEAST_ERROR: f64 = 2e-6;

pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "network",
        direction: Direction::Network,
        keys: &[&[Key::name("name", &FORWARD_NAMES), Key::count("size", 0), PRECISION]],
        fill: false,
        list: |suite| {
            let mut all: Vec<String> = FORWARD_NAMES.iter().map(|name| format!("name={name}")).collect();
            all.extend(HALVES.iter().map(|name| format!("name={name} precision=f16")));
            if suite == Suite::Full {
                // Photographs' size, where the reference has it.
                all.extend(["name=resnet18 size=224".into(), "name=resnet50 size=224".into()]);
            }
            all
        },
        flops: |_| 0.0,
        body: Body::Whole(|gpu, case, result| Box::pin(forward(gpu, case, result))),
    },
    Operation {
        name: "network_backward",
        direction: Direction::Network,
        keys: &[&[Key::name("name", &GRADIENT_NAMES), Key::name("bn", &["eval", "train"])]],
        fill: false,
        list: |_| {
            GRADIENT_NAMES.iter().flat_map(|name| ["eval", "train"].map(|bn| format!("name={name} bn={bn}"))).collect()
        },
        flops: |_| 0.0,
        body: Body::Whole(|gpu, case, result| Box::pin(backward(gpu, case, result))),
    },
];

const fn names<const N: usize>(list: &'static [(&'static str, &'static [u8])]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut i = 0;
    while i < N {
        names[i] = list[i].0;
        i += 1;
    }
    names
}

static FORWARD_NAMES: [&str; FORWARD.len()] = names(FORWARD);
static GRADIENT_NAMES: [&str; GRADIENTS.len()] = names(GRADIENTS);

/// A reference with its metadata.
struct Reference {
    file: Weights,
    architecture: Architecture,
    shape: [usize; 4],
}

impl Reference {
    fn open(list: &[(&str, &'static [u8])], name: &str) -> Result<Self> {
        let file = references::open(list, name)?;
        let architecture = Architecture::from_json(text(&file, "gpu_resnet.architecture")?)?;
        let shape = metadata(&file, "input_shape")?;
        Ok(Self { file, architecture, shape })
    }

    fn values(&self, key: &str) -> Result<Vec<f32>> {
        Ok(self.file.tensor_f32(key)?.into_owned())
    }
}

fn text<'a>(file: &'a Weights, key: &str) -> Result<&'a str> {
    file.metadata(key).ok_or_else(|| Error::file(file.label(), format!("has no {key}; a reference needs it")))
}

fn metadata<T: DeserializeOwned>(file: &Weights, key: &str) -> Result<T> {
    serde_json::from_str(text(file, key)?).map_err(|e| Error::file(file.label(), format!("has a wrong {key}: {e}")))
}

/// Compares outputs of a network one after the other; the result keeps the worst.
struct Comparisons<'a> {
    result: &'a mut CaseResult,
    failed: Judgement,
}

impl Comparisons<'_> {
    fn compare(&mut self, what: &str, found: &[f32], expected: &[f32], limit: f64) {
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let measured = compare_f64(&wide(found), &wide(expected));
        let share = measured.nmse / limit;
        let worst = self.result.share;
        if worst.is_some_and(|worst| share <= worst) {
            return;
        }
        let at = format!("{what}[{}]", measured.worst_index);
        if share > 1.0 {
            let (found, expected) = (measured.worst_found, measured.worst_expected);
            let nmse = measured.nmse;
            let message =
                format!("{at} is {found:e}, {expected:e} is expected; NMSE {nmse:.1e}, {limit:.1e} is allowed");
            self.failed = Some((Check::Tolerance, message));
        }
        let r = &mut *self.result;
        (r.nmse, r.max_abs, r.max_rel) = (Some(measured.nmse), Some(measured.max_abs), Some(measured.max_rel));
        (r.worst_index, r.tolerance, r.share) = (Some(at), Some(limit), Some(share));
    }
}

/// Every `k`-th value, as a reference keeps them.
fn sampled(values: &[f32], every: usize) -> Vec<f32> {
    values.iter().step_by(every.max(1)).copied().collect()
}

/// Mean and root mean square: of all values, so that what is between the samples counts too.
fn mean_rms(values: &[f32]) -> [f32; 2] {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let square = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
    [mean as f32, square.sqrt() as f32]
}

fn repeats(what: &str, a: &[f32], b: &[f32]) -> Judgement {
    let same = a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits());
    (!same).then(|| (Check::Repeat, format!("two runs gave different {what}")))
}

async fn forward(gpu: &Arc<Gpu>, case: &Case, result: &mut CaseResult) -> Result<Judgement> {
    let reference = Reference::open(FORWARD, case.word("name"))?;
    let [mut n, _, mut h, mut w] = reference.shape;
    let size = case.size("size");
    if size > 0 {
        (n, h, w) = (1, size, size);
    }
    let (weights, precision) = (hash_weights(&reference.architecture)?, case.precision());
    let network = Network::with_precision(gpu, &reference.architecture, &weights, precision).await?;
    let limit = if precision == Precision::F16 { HALF_LIMIT } else { FORWARD_LIMIT };
    let mut forward = Forward::new(&network, InputKind::Tensor, n, [h, w], true)?;
    (result.flops, result.bytes) = (forward.summary().flops, forward.summary().bytes as f64);
    let input = hash_input("input", n * 3 * h * w);
    let output = forward.run_tensor(&input).await?;
    for _ in 0..2 {
        let again = forward.run_tensor(&input).await?;
        let differs = repeats("logits", &output.logits, &again.logits);
        if let Some(problem) = differs.or_else(|| repeats("features", &output.features, &again.features)) {
            return Ok(Some(problem));
        }
    }
    result.seconds = Some(gpu.last_run_seconds());
    let mut all = Comparisons { result, failed: None };
    if size > 0 {
        let key = format!("logits_{size}");
        if !reference.file.contains(&key) {
            return Err(Error::file(reference.file.label(), format!("has no {key}")));
        }
        all.compare("logits", &output.logits, &reference.values(&key)?, limit);
        return Ok(all.failed);
    }
    #[derive(serde::Deserialize)]
    struct Layout {
        shape: Vec<usize>,
        every: usize,
    }
    let layout: HashMap<String, Layout> = metadata(&reference.file, "layout")?;
    all.compare("logits", &output.logits, &reference.values("logits")?, limit);
    all.compare("features", &output.features, &reference.values("features")?, limit);
    for stage in forward.stages().await? {
        let name = &stage.name;
        let missing = || Error::file(reference.file.label(), format!("has no stage {name}"));
        let Layout { shape, every } = layout.get(name).ok_or_else(missing)?;
        if stage.shape[..] != shape[..] {
            return Ok(Some((Check::Shape, format!("{name} has the shape {:?}, not {shape:?}", stage.shape))));
        }
        all.compare(name, &sampled(&stage.data, *every), &reference.values(name)?, limit);
        let summary = reference.values(&format!("{name}.mean_rms"))?;
        all.compare(&format!("{name}.mean_rms"), &mean_rms(&stage.data), &summary, limit);
    }
    Ok(all.failed)
}

async fn backward(gpu: &Arc<Gpu>, case: &Case, result: &mut CaseResult) -> Result<Judgement> {
    let reference = Reference::open(GRADIENTS, case.word("name"))?;
    let mode = case.word("bn");
    let errors: HashMap<String, HashMap<String, f64>> = metadata(&reference.file, "torch_f32_error")?;
    let every: HashMap<String, usize> = metadata(&reference.file, "every")?;
    let options = PassOptions {
        bn_training: mode == "train",
        grad_input: true,
        label_smoothing: metadata(&reference.file, "label_smoothing")?,
        ..Default::default()
    };
    let count = reference.shape.iter().product();
    let input = hash_input(text(&reference.file, "input")?, count);
    let classes = reference.architecture.classes as u64;
    let targets: Vec<u32> =
        hash_targets("target", reference.shape[0], classes).into_iter().map(|class| class as u32).collect();
    let mut first: Option<Vec<(String, Vec<f32>)>> = None;
    for _ in 0..3 {
        // A new network each time, since a pass moves the running statistics.
        let weights = hash_weights(&reference.architecture)?;
        let network = TrainableNetwork::new(gpu, &reference.architecture, &weights)?;
        let mut pass = GradientPass::new(&network, reference.shape, &options)?;
        (result.flops, result.bytes) = (pass.summary().flops, pass.summary().bytes as f64);
        let found = pass.run(&network, &input, &targets).await?;
        result.seconds = Some(gpu.last_run_seconds());
        let mut all = vec![("loss".to_owned(), vec![found.loss]), ("logits".to_owned(), found.logits)];
        all.extend(found.input.map(|grad| ("grad.input".to_owned(), grad)));
        all.extend(found.parameters.into_iter().map(|(name, _, grad)| (format!("grad.{name}"), grad)));
        if options.bn_training {
            let state = network.state_dict().await?.into_iter().filter(|(spec, _)| spec.name.contains("running_"));
            all.extend(state.map(|(spec, values)| (spec.name, values)));
        }
        match &first {
            None => first = Some(all),
            Some(first) => {
                let differs = first.iter().zip(&all).find_map(|((name, a), (_, b))| repeats(name, a, b));
                if let Some(problem) = differs {
                    return Ok(Some(problem));
                }
            }
        }
    }
    let mut all = Comparisons { result, failed: None };
    let found: HashMap<String, Vec<f32>> = first.unwrap_or_default().into_iter().collect();
    // The reference says what there must be.
    let torch = errors.get(mode).ok_or_else(|| Error::file(reference.file.label(), format!("has no mode {mode}")))?;
    let mut names: Vec<&String> = torch.keys().collect();
    names.sort();
    for name in names {
        let Some(values) = found.get(name) else {
            return Ok(Some((Check::Shape, format!("there is no {name}"))));
        };
        let limit = (TORCH_ERRORS * torch[name]).max(LEAST_ERROR).powi(2);
        let every = every.get(name).copied().unwrap_or(1);
        let key = format!("{mode}.{name}");
        all.compare(name, &sampled(values, every), &reference.values(&key)?, limit);
        let summary = reference.values(&format!("{key}.mean_rms"))?;
        all.compare(&format!("{name}.mean_rms"), &mean_rms(values), &summary, limit);
    }
    if found.len() != torch.len() {
        return Ok(Some((Check::Shape, format!("{} tensors; the reference has {}", found.len(), torch.len()))));
    }
    Ok(all.failed)
}
