//! Every gradient of small networks of each kind against PyTorch's autograd in f64 (`tests/golden/gradients.py`), on every adapter.

#[path = "common/adapters.rs"]
mod adapters;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use gpu_resnet::gpu::Gpu;
use gpu_resnet::model::{Architecture, GradientPass, PassOptions, TrainableNetwork};
use gpu_resnet::weights::{self, Weights};
use pollster::FutureExt as _;
use serde_json::Value;

const KINDS: [&str; 10] = [
    "basic",
    "zero-pad",
    "projection-all",
    "plain",
    "preact-basic",
    "preact-projection",
    "preact-bottleneck",
    "bottleneck",
    "v1-ceil",
    "grouped",
];
/// A tensor may be off by this many times what torch's own f32 gradient is (relative root mean square), or what that
/// would be at the floor.
const FACTOR: f64 = 4.0;
const FLOOR: f64 = 1e-6;

type Tensors = BTreeMap<String, Vec<f32>>;

struct Reference {
    kind: &'static str,
    file: Weights,
    architecture: Architecture,
    shape: [usize; 4],
    input: Vec<f32>,
    targets: Vec<u32>,
    label_smoothing: f64,
    every: Value,
    torch_error: Value,
}

impl Reference {
    fn open(kind: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/gradients-{kind}.safetensors"));
        let file = Weights::open(&path).unwrap_or_else(|e| panic!("the reference is missing; run make.py: {e}"));
        let json = |key: &str| -> Value { serde_json::from_str(file.metadata(key).unwrap()).unwrap() };
        let architecture = Architecture::from_json(file.metadata("gpu_resnet.architecture").unwrap()).unwrap();
        let shape: [usize; 4] = serde_json::from_value(json("input_shape")).unwrap();
        let targets = weights::hash_targets("target", shape[0], architecture.classes as u64);
        Self {
            kind,
            shape,
            input: weights::hash_input(file.metadata("input").unwrap(), shape.iter().product()),
            targets: targets.into_iter().map(|target| target as u32).collect(),
            label_smoothing: json("label_smoothing").as_f64().unwrap(),
            every: json("every"),
            torch_error: json("torch_f32_error"),
            architecture,
            file,
        }
    }

    /// What a pass over `architecture` with hashed weights gives, under the names of the reference.
    fn run(&self, gpu: &Arc<Gpu>, architecture: &Architecture, bn_training: bool, train_from: usize) -> Tensors {
        let network = TrainableNetwork::new(gpu, architecture, &weights::hash_weights(architecture).unwrap()).unwrap();
        let grad_input = train_from == 0;
        let label_smoothing = self.label_smoothing;
        let options = PassOptions { bn_training, train_from, grad_input, label_smoothing, ..Default::default() };
        let mut pass = GradientPass::new(&network, self.shape, &options).unwrap();
        let found = pass.run(&network, &self.input, &self.targets).block_on().unwrap();
        let mut tensors = Tensors::from([("loss".into(), vec![found.loss]), ("logits".into(), found.logits)]);
        tensors.extend(found.input.map(|grad| ("grad.input".to_owned(), grad)));
        tensors.extend(found.parameters.into_iter().map(|(name, _, grad)| (format!("grad.{name}"), grad)));
        if bn_training {
            let state = network.state_dict().block_on().unwrap().into_iter().map(|(spec, data)| (spec.name, data));
            tensors.extend(state.filter(|(name, _)| name.contains("running_")));
        }
        tensors
    }

    /// Each tensor's error as a share of its limit. `mode` is `eval` or `train`; names that differ are a failure.
    fn shares(&self, mode: &str, found: &Tensors) -> BTreeMap<String, f64> {
        let names: BTreeSet<_> = found.keys().map(|name| format!("{mode}.{name}")).collect();
        let stored = self.file.names().filter(|name| name.starts_with(mode) && !name.ends_with(".mean_rms"));
        assert_eq!(names, stored.map(str::to_owned).collect(), "{} {mode}", self.kind);
        let share = |(name, values): (&String, &Vec<f32>)| {
            let key = format!("{mode}.{name}");
            let expected = self.file.tensor_f32(&key).unwrap();
            let mean_rms = self.file.tensor_f32(&format!("{key}.mean_rms")).unwrap();
            let every = self.every[name].as_u64().unwrap() as usize;
            let sample: Vec<f32> = values.iter().step_by(every).copied().collect();
            assert_eq!(sample.len(), expected.len(), "{} {key}", self.kind);
            let rms = |values: &mut dyn Iterator<Item = f64>| {
                let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v * v, count + 1.0));
                (sum / count).sqrt()
            };
            let [mean, size] = [mean_rms[0], mean_rms[1]].map(f64::from);
            let distance = rms(&mut sample.iter().zip(expected.iter()).map(|(&f, &e)| f64::from(f) - f64::from(e)));
            let found_mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
            let found_size = rms(&mut values.iter().map(|&v| f64::from(v)));
            let errors = [distance / size, (found_mean - mean).abs() / size, (found_size / size - 1.0).abs()];
            // NaN must not get lost in a maximum.
            let worst = errors.iter().fold(0.0, |m: f64, &e| if e.is_nan() { f64::INFINITY } else { m.max(e) });
            (name.clone(), worst / (FACTOR * self.torch_error[mode][name].as_f64().unwrap().max(FLOOR)))
        };
        found.iter().map(share).collect()
    }
}

fn mode(bn_training: bool) -> &'static str {
    if bn_training { "train" } else { "eval" }
}

#[test]
fn every_gradient_agrees_with_autograd() {
    let adapters = adapters::open_all();
    for reference in KINDS.map(Reference::open) {
        for (gpu, bn_training) in adapters.iter().flat_map(|gpu| [(gpu, false), (gpu, true)]) {
            let mode = mode(bn_training);
            let found = reference.run(gpu, &reference.architecture, bn_training, 0);
            let shares = reference.shares(mode, &found);
            let (name, worst) = shares.iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
            println!("  {} {mode}: {} tensors, worst {worst:.2} of its limit ({name})", reference.kind, shares.len());
            assert!(*worst <= 1.0, "{} {mode} {name}: {worst:.2} of its limit", reference.kind);
        }
    }
}

/// Training the upper part alone computes the same bits, and nothing below it.
#[test]
fn a_pass_over_the_upper_part_is_part_of_the_whole_pass() {
    let gpu = &adapters::open_all()[0];
    for reference in ["basic", "preact-projection", "plain", "v1-ceil"].map(Reference::open) {
        let architecture = &reference.architecture;
        for bn_training in [false, true] {
            let whole = reference.run(gpu, architecture, bn_training, 0);
            for train_from in 1..=architecture.depths.len() + 1 {
                let part = reference.run(gpu, architecture, bn_training, train_from);
                let trained = |name: &str| match name.strip_prefix("grad.layer") {
                    Some(rest) => rest[..1].parse::<usize>().unwrap() >= train_from,
                    None if name.starts_with("grad.bn.") => train_from <= architecture.depths.len(),
                    None => !["grad.input", "grad.conv1", "grad.bn1"].iter().any(|below| name.starts_with(below)),
                };
                let expected: Tensors = whole.clone().into_iter().filter(|(name, _)| trained(name)).collect();
                let names = |tensors: &Tensors| tensors.keys().cloned().collect::<Vec<_>>();
                assert_eq!(names(&part), names(&expected), "{} from {train_from}", reference.kind);
                assert!(part == expected, "{} from {train_from}: other bits", reference.kind);
            }
        }
    }
}

/// The comparison must notice another epsilon, the other mode of normalisation, and a missing shortcut.
#[test]
fn wrong_gradients_are_caught() {
    let gpu = &adapters::open_all()[0];
    for reference in KINDS.map(Reference::open) {
        let wrong_eps = Architecture { bn_eps: 3e-5, ..reference.architecture.clone() };
        for bn_training in [false, true] {
            let mode = mode(bn_training);
            let shares = reference.shares(mode, &reference.run(gpu, &wrong_eps, bn_training, 0));
            let caught = shares.values().filter(|&&share| share > 1.0).count();
            println!("  {} {mode}: wrong epsilon caught in {caught} of {} tensors", reference.kind, shares.len());
            assert!(caught * 2 > shares.len(), "{} {mode}: {caught} of {}", reference.kind, shares.len());
        }
        let mut other_mode = reference.run(gpu, &reference.architecture, true, 0);
        other_mode.retain(|name, _| !name.contains("running_"));
        let shares = reference.shares("eval", &other_mode);
        assert!(shares.values().all(|&share| share > 1.0), "{}: the wrong mode passes", reference.kind);
    }
    let [with, without] = ["zero-pad", "plain"].map(Reference::open);
    let shares = with.shares("eval", &with.run(gpu, &without.architecture, false, 0));
    assert!(shares.values().all(|&share| share > 1.0), "a network without shortcuts passes for one with them");
}
