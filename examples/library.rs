//! The crate as a library: classify in three lines; then the parts: load and infer, train a head, run one operation, verify an
//! adapter.
//!
//!     cargo run --release --example library

use std::path::Path;
use std::sync::Arc;

use gpu_resnet::data::{Preprocess, decode_file};
use gpu_resnet::gpu::{AdapterChoice, Gpu};
use gpu_resnet::model::{InputKind, Network, Predictor};
use gpu_resnet::ops::attributes::Conv2dAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::train::{Examples, HeadOptions, HeadShape, HeadTrainer};
use gpu_resnet::verify::case::Case;
use gpu_resnet::verify::check::Checker;
use gpu_resnet::weights;
use gpu_resnet::{Classifier, Result, block_on};

fn main() -> Result<()> {
    classify()?;
    let gpu = block_on(Gpu::open(&AdapterChoice::default()))?;
    println!("on {}", gpu.report().name);
    let (features, labels) = infer(&gpu)?;
    train_a_head(&gpu, &features, &labels)?;
    run_an_operation(&gpu)?;
    verify_a_kernel(&gpu)
}

/// Classifies one digit by the small network that is built in.
fn classify() -> Result<()> {
    let mut classifier = Classifier::open(Some("resnet20-digits"))?;
    let digit = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/test/7/0007.png");
    let top = classifier.classify_file(digit)?.top(1);
    println!("{} with a probability of {:.4}", top[0].label, top[0].probability);
    Ok(())
}

/// Runs the built-in network on digits of two classes; their features and classes.
fn infer(gpu: &Arc<Gpu>) -> Result<(Vec<f32>, Vec<u32>)> {
    let weights = weights::open(None)?;
    let architecture = weights::infer_architecture(&weights)?;
    let network = Arc::new(block_on(Network::new(gpu, &architecture, &weights))?);
    let preprocess = Preprocess::from_json(weights.preprocess().unwrap_or("{}"))?.with_image_size(64)?;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for class in [0, 1] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/digits/train/{class}"));
        let mut files: Vec<_> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
        files.sort();
        for file in files.iter().take(16) {
            pixels.extend(preprocess.apply(&decode_file(file)?)?.pixels);
            labels.push(class);
        }
    }
    let kind = InputKind::Pixels { mean: preprocess.mean, std: preprocess.std };
    let output = block_on(Predictor::new(network, kind, [64, 64], 8)?.run_pixels(&pixels))?;
    println!("{} images, {} features each", labels.len(), output.features.len() / labels.len());
    Ok((output.features, labels))
}

/// Trains a linear head on the features.
fn train_a_head(gpu: &Arc<Gpu>, features: &[f32], labels: &[u32]) -> Result<()> {
    let shape = HeadShape { features: features.len() / labels.len(), classes: 2 };
    let examples = Examples { features, labels };
    let options = HeadOptions { batch_size: 8, lr: 1e-3, ..HeadOptions::default() };
    let mut trainer = HeadTrainer::new(gpu, shape, examples, None, options, None)?;
    for epoch in 1..=5 {
        let result = block_on(trainer.epoch(epoch, |_| Ok(())))?;
        println!("epoch {epoch}: loss {:.4}, accuracy {:.2}", result.train_loss, result.train_accuracy);
    }
    Ok(())
}

/// Convolves a picture with one kernel.
fn run_an_operation(gpu: &Arc<Gpu>) -> Result<()> {
    let input = Array { shape: vec![1, 1, 3, 3], data: (1..=9).map(|i| i as f32).collect() };
    let weight = Array { shape: vec![1, 1, 2, 2], data: vec![1.0, 0.0, 0.0, -1.0] };
    let output = block_on(host::conv2d(gpu, None, &input, &weight, None, &Conv2dAttributes::default()))?;
    println!("conv2d: {:?} of shape {:?}", output.data, output.shape);
    Ok(())
}

/// Holds one case of one kernel to its f64 twin.
fn verify_a_kernel(gpu: &Arc<Gpu>) -> Result<()> {
    let case = Case::parse("conv2d n=1 c=7 h=9 w=11 k=5 kernel=3 padding=1 variant=register")?;
    let result = block_on(Checker::default().check(gpu, &case)).result;
    println!("{}: {}", result.id, result.status.name());
    Ok(())
}
