//! Grad-CAM of small networks of each kind against torch's autograd in f64 (`tests/golden/grad_cam.py`), on every adapter.

#[path = "common/adapters.rs"]
mod adapters;

use std::path::Path;

use gpu_resnet::model::{Architecture, GradCam, InputKind, Network, TensorSource};
use gpu_resnet::weights::{self, Weights};
use pollster::FutureExt as _;

/// Largest difference over the largest value of an image's map.
const TOLERANCE: f64 = 4e-6;

fn golden(name: &str) -> Weights {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.safetensors"));
    Weights::open(&path).unwrap_or_else(|e| panic!("the reference is missing; run make.py: {e}"))
}

fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |m: f64, &e| m.max(f64::from(e).abs()));
    let worst = found.iter().zip(expected).map(|(&f, &e)| (f64::from(f) - f64::from(e)).abs());
    // A NaN must not get lost in a maximum.
    worst.fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) }) / largest
}

#[test]
fn maps_agree_with_autograd() {
    let reference = golden("grad_cam");
    let classes: std::collections::BTreeMap<String, Vec<usize>> =
        serde_json::from_str(reference.metadata("classes").unwrap()).unwrap();
    assert_eq!(classes.len(), 6);
    let adapters = adapters::open_all();
    for (kind, classes) in &classes {
        let network = golden(&format!("gradients-{kind}"));
        let architecture = Architecture::from_json(network.metadata("gpu_resnet.architecture").unwrap()).unwrap();
        let [n, c, h, w]: [usize; 4] = serde_json::from_str(network.metadata("input_shape").unwrap()).unwrap();
        let input = weights::hash_input(network.metadata("input").unwrap(), n * c * h * w);
        let expected = reference.tensor_f32(kind).unwrap();
        for gpu in &adapters {
            let network =
                Network::new(gpu, &architecture, &weights::hash_weights(&architecture).unwrap()).block_on().unwrap();
            let mut grad_cam = GradCam::new(&network, InputKind::Tensor, [h, w]).unwrap();
            let (mut worst, mut nearest_wrong) = (0.0f64, f64::MAX);
            let images = input.chunks(c * h * w).zip(expected.chunks(expected.len() / n)).zip(classes);
            for ((image, expected), &class) in images {
                let found = grad_cam.run_tensor(image, None).block_on().unwrap();
                assert_eq!((found.class, found.height * found.width), (class, expected.len()), "{kind}");
                assert_eq!(
                    found,
                    grad_cam.run_tensor(image, Some(class)).block_on().unwrap(),
                    "two runs gave different bits"
                );
                worst = worst.max(error(&found.data, expected));
                // Negative control: the map of another class must be seen to differ.
                let other = grad_cam.run_tensor(image, Some((class + 1) % architecture.classes)).block_on().unwrap();
                nearest_wrong = nearest_wrong.min(error(&other.data, expected));
                let heat = found.heat();
                let positive = expected.iter().any(|&e| e > 0.0);
                assert_eq!(heat.iter().fold(0.0f32, |m, &v| m.max(v)), if positive { 1.0 } else { 0.0 }, "{kind}");
                assert!(heat.iter().all(|&v| v >= 0.0));
            }
            println!("  {kind}: off by {worst:.1e}; another class' map by {nearest_wrong:.1e} at least");
            assert!(worst <= TOLERANCE, "{kind}: {worst:.1e}");
            assert!(
                nearest_wrong > 100.0 * TOLERANCE,
                "{kind}: another class' map differs by {nearest_wrong:.1e} only"
            );
            assert!(grad_cam.run_tensor(&input[..c * h * w], Some(architecture.classes)).block_on().is_err());
        }
    }
}

#[test]
fn one_output_speaks_for_two_classes() {
    let reference = golden("one_output");
    let architecture = Architecture::from_json(reference.metadata("gpu_resnet.architecture").unwrap()).unwrap();
    let bias: f32 = reference.metadata("bias").unwrap().parse().unwrap();
    let factors: Vec<f32> = serde_json::from_str(reference.metadata("factors").unwrap()).unwrap();
    let (logits, maps) = (reference.tensor_f32("logits").unwrap(), reference.tensor_f32("maps").unwrap());
    let hashed = weights::hash_weights(&architecture).unwrap();
    let input = weights::hash_input("input", factors.len() * 3 * 16 * 16);
    for gpu in &adapters::open_all() {
        let network =
            Network::new(gpu, &architecture, &WithBias { hashed: &hashed, bias: vec![bias] }).block_on().unwrap();
        let mut grad_cam = GradCam::new(&network, InputKind::Tensor, [16, 16]).unwrap();
        let expected = logits.iter().zip(maps.chunks(maps.len() / logits.len()));
        for ((image, factor), (&logit, expected)) in input.chunks(3 * 16 * 16).zip(&factors).zip(expected) {
            let image: Vec<f32> = image.iter().map(|value| value * factor).collect();
            let found = grad_cam.run_tensor(&image, None).block_on().unwrap();
            assert_eq!(found.class, usize::from(logit > 0.0));
            let worst = error(&found.data, expected);
            assert!(worst <= TOLERANCE, "{worst:.1e}");
            // What speaks for one class speaks against the other.
            let other = grad_cam.run_tensor(&image, Some(1 - found.class)).block_on().unwrap();
            assert!(other.data.iter().zip(&found.data).all(|(a, b)| *a == -b));
            assert!(grad_cam.run_tensor(&image, Some(2)).block_on().is_err());
        }
    }
}

/// Hashed weights with another bias of the classifier.
struct WithBias<'a> {
    hashed: &'a Weights,
    bias: Vec<f32>,
}

impl TensorSource for WithBias<'_> {
    fn tensor(&self, name: &str) -> gpu_resnet::Result<std::borrow::Cow<'_, [f32]>> {
        match name {
            "fc.bias" => Ok((&self.bias[..]).into()),
            name => self.hashed.tensor_f32(name),
        }
    }
}
