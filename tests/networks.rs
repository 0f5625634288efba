//! Whole networks against PyTorch in f64 (`tests/golden/make.py`), on every adapter: each stage's output and the logits.

#[path = "common/adapters.rs"]
mod adapters;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use gpu_resnet::gpu::Gpu;
use gpu_resnet::model::{Architecture, Forward, InputKind, Network, Output, StageOutput};
use gpu_resnet::ops::Precision;
use gpu_resnet::weights::{self, Weights};
use pollster::FutureExt as _;

/// The same with activations and weights stored as f16. torch's own f16 logits of these networks differ by up to 1.0e-3.
const HALF_TOLERANCE: f64 = 4e-3;
/// Largest difference over the largest expected value. torch's own f32 forward differs by up to 6e-7.
const TOLERANCE: f64 = 4e-6;

fn golden(name: &str) -> Weights {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.safetensors"));
    Weights::open(&path).unwrap_or_else(|e| panic!("the reference is missing; run tests/golden/make.py: {e}"))
}

fn each_adapter(test: impl Fn(&Arc<Gpu>)) {
    adapters::open_all().iter().for_each(test);
}

/// Error of `found` against stored values, relative to the largest of them.
fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |m: f64, &e| m.max(f64::from(e).abs()));
    let worst = found.iter().zip(expected).fold(0.0, |m: f64, (&f, &e)| {
        let distance = (f64::from(f) - f64::from(e)).abs();
        // A NaN must not get lost in a maximum.
        if distance.is_nan() { f64::INFINITY } else { m.max(distance) }
    });
    worst / largest
}

fn run(
    gpu: &Arc<Gpu>,
    architecture: &Architecture,
    shape: [usize; 4],
    precision: Precision,
) -> (Output, Vec<StageOutput>) {
    let weights = weights::hash_weights(architecture).unwrap();
    let network = Network::with_precision(gpu, architecture, &weights, precision).block_on().unwrap();
    let mut forward = Forward::new(&network, InputKind::Tensor, shape[0], [shape[2], shape[3]], true).unwrap();
    let input = weights::hash_input("input", shape.iter().product());
    let output = forward.run_tensor(&input).block_on().unwrap();
    let again = forward.run_tensor(&input).block_on().unwrap();
    assert_eq!(output, again, "two runs gave different bits");
    (output, forward.stages().block_on().unwrap())
}

fn check(name: &str) {
    check_in(name, Precision::F32, TOLERANCE);
}

/// Adapters that can't store `precision` are left out; at least one can.
fn check_in(name: &str, precision: Precision, tolerance: f64) {
    let reference = golden(name);
    let architecture = Architecture::from_json(reference.metadata("gpu_resnet.architecture").unwrap()).unwrap();
    let shape: Vec<usize> = serde_json::from_str(reference.metadata("input_shape").unwrap()).unwrap();
    let layout: HashMap<String, serde_json::Value> =
        serde_json::from_str(reference.metadata("layout").unwrap()).unwrap();
    let expect = |key: &str| reference.tensor_f32(key).unwrap().into_owned();
    let tried = std::cell::Cell::new(0);
    each_adapter(|gpu| {
        if precision.supported(gpu.report()).is_err() {
            return;
        }
        tried.set(tried.get() + 1);
        let (output, stages) = run(gpu, &architecture, shape.clone().try_into().unwrap(), precision);
        let mut checked = 0;
        let mut worst: f64 = 0.0;
        let mut compare = |key: &str, found: &[f32], expected: &[f32]| {
            let e = error(found, expected);
            assert!(e <= tolerance, "{name} {key}: differs by {e:.2e} of the largest value");
            worst = worst.max(e);
            checked += 1;
        };
        compare("logits", &output.logits, &expect("logits"));
        compare("features", &output.features, &expect("features"));
        for stage in &stages {
            let key = stage.name.as_str();
            let every = layout[key]["every"].as_u64().unwrap() as usize;
            assert_eq!(serde_json::json!(stage.shape), layout[key]["shape"], "{name} {key}");
            let sample: Vec<f32> = stage.data.iter().step_by(every).copied().collect();
            compare(key, &sample, &expect(key));
            let n = stage.data.len() as f64;
            let mean = stage.data.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let rms = (stage.data.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n).sqrt();
            compare("mean and RMS", &[mean as f32, rms as f32], &expect(&format!("{key}.mean_rms")));
        }
        assert_eq!(checked, 2 + 2 * (1 + architecture.depths.len()));
        println!("  {name}, {}: worst {worst:.1e} of the largest value", precision.name());
    });
    assert!(tried.get() > 0, "no adapter stores {}", precision.name());
}

#[test]
fn resnet50_agrees_with_torchvision() {
    check("resnet50");
}

#[test]
fn networks_stored_as_f16_agree_with_torch() {
    for name in ["resnet18", "resnet50", "resnext", "resnet20-zero-pad", "preact-bottleneck", "v1-ceil"] {
        check_in(name, Precision::F16, HALF_TOLERANCE);
    }
}

#[test]
fn resnet18_agrees_with_torchvision() {
    check("resnet18");
}

#[test]
fn resnext_agrees_with_torchvision() {
    check("resnext");
}

#[test]
fn cifar_resnet20_option_a_agrees_with_torch() {
    check("resnet20-zero-pad");
}

#[test]
fn cifar_resnet20_option_b_agrees_with_torch() {
    check("resnet20-projection");
}

#[test]
fn cifar_resnet20_option_c_agrees_with_torch() {
    check("resnet20-projection-all");
}

#[test]
fn plain_network_agrees_with_torch() {
    check("plain20");
}

#[test]
fn preactivation_networks_agree_with_torch() {
    for name in ["preact-resnet20", "preact-resnet20-projection", "preact-bottleneck"] {
        check(name);
    }
}

#[test]
fn original_stride_and_ceil_mode_pool_agree_with_torch() {
    check("v1-ceil");
}

/// ResNet-50 on one adapter: on the others its kernels run at this size in ResNet-18 and, as bottlenecks, in the embedded network.
#[test]
fn full_size_images_agree_with_torchvision() {
    let agrees = |name: &str, gpu: &Arc<Gpu>| {
        let reference = golden(name);
        let architecture = Architecture::from_json(reference.metadata("gpu_resnet.architecture").unwrap()).unwrap();
        let (output, _) = run(gpu, &architecture, [1, 3, 224, 224], Precision::F32);
        let e = error(&output.logits, &reference.tensor_f32("logits_224").unwrap());
        assert!(e <= TOLERANCE, "{name} at 224: differs by {e:.2e}");
    };
    each_adapter(|gpu| agrees("resnet18", gpu));
    agrees("resnet50", &adapters::open_all()[0]);
}

/// The comparison must notice a network that is slightly wrong: another epsilon, and the stride on the other convolution.
#[test]
fn a_wrong_network_is_caught() {
    let reference = golden("resnet50");
    let right = Architecture::from_json(reference.metadata("gpu_resnet.architecture").unwrap()).unwrap();
    let mut wrong_eps = right.clone();
    wrong_eps.bn_eps = 1e-3;
    let mut wrong_stride = right.clone();
    wrong_stride.stride_in = gpu_resnet::model::StrideIn::First1x1;
    let expected = reference.tensor_f32("logits").unwrap().into_owned();
    let gpu = &adapters::open_all()[0];
    for wrong in [wrong_eps, wrong_stride] {
        let e = error(&run(gpu, &wrong, [2, 3, 64, 64], Precision::F32).0.logits, &expected);
        assert!(e > 10.0 * TOLERANCE, "a wrong network differs by only {e:.1e}");
    }
}

/// Photographs through the embedded network, against ONNX Runtime on the file that it was converted from.
#[test]
fn embedded_network_agrees_with_onnx_runtime() {
    let reference = golden("open_nsfw");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/open_nsfw.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let crops = file.tensor("crops").unwrap();
    let weights = weights::open(None).unwrap();
    let architecture = weights::infer_architecture(&weights).unwrap();
    let preprocess = gpu_resnet::data::Preprocess::from_json(weights.preprocess().unwrap()).unwrap();
    let softmax = |logits: &[f32]| -> Vec<f64> {
        logits
            .chunks(2)
            .flat_map(|row| {
                let exps: Vec<f64> = row.iter().map(|&x| f64::from(x).exp()).collect();
                let sum: f64 = exps.iter().sum();
                exps.into_iter().map(move |e| e / sum)
            })
            .collect()
    };
    let worst = |found: &[f64], key: &str| {
        let expected = reference.tensor_f32(key).unwrap();
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected.iter()).fold(0.0, |m: f64, (f, &e)| m.max((f - f64::from(e)).abs()))
    };
    each_adapter(|gpu| {
        let network = Network::new(gpu, &architecture, &weights).block_on().unwrap();
        let kind = InputKind::Pixels { mean: preprocess.mean, std: preprocess.std };
        let mut forward = Forward::new(&network, kind, 5, [224, 224], false).unwrap();
        let output = forward.run_pixels(crops.data()).block_on().unwrap();
        let probabilities = softmax(&output.logits);
        let logits: Vec<f64> = output.logits.iter().map(|&x| x.into()).collect();
        let (p, p16, l16) = (
            worst(&probabilities, "probabilities"),
            worst(&probabilities, "probabilities_f16"),
            worst(&logits, "logits_f16"),
        );
        println!(
            "  probabilities: {p:.1e} from the original, {p16:.1e} (logits {l16:.1e}) from the same weights in f16"
        );
        assert!(p <= 1e-3 && p16 <= 1e-5 && l16 <= 1e-4);
        // The photographs are all safe, so the probabilities alone would not notice much; the features do.
        let features = error(&output.features, &reference.tensor_f32("features_f16").unwrap());
        assert!(features <= 1e-5, "features differ by {features:.1e}");
    });
}
