//! A small network on `examples/digits`, in f32 and in f16: it learns as well.

use std::path::PathBuf;
use std::sync::Arc;

use gpu_resnet::data::{Dataset, open_splits, shuffled_indices};
use gpu_resnet::gpu::Gpu;
use gpu_resnet::model::{Architecture, InputKind};
use gpu_resnet::ops::Precision;
use gpu_resnet::ops::attributes::SgdAttributes;
use gpu_resnet::train::{HeadOptions, NetworkOptions, NetworkSettings, NetworkTrainer, Optimizer, fresh};
use pollster::FutureExt as _;

use crate::adapters::open_all;

const BATCH: usize = 60;
const EPOCHS: u64 = 6;

/// Pixels and labels of `indices`.
fn batch(data: &dyn Dataset, indices: &[usize]) -> (Vec<u8>, Vec<u32>) {
    let pixels = indices.iter().flat_map(|&i| data.image(i).expect("a digit").pixels);
    (pixels.collect(), indices.iter().map(|&i| data.label(i) as u32).collect())
}

/// The mean loss of each epoch, and how many of the held-out digits are recognised afterwards, as a fraction.
fn learn(gpu: &Arc<Gpu>, precision: Precision) -> (Vec<f64>, f64) {
    let digits = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let splits = open_splits(&digits).expect("the digits");
    let (train, val) = (splits.train, splits.val.expect("held-out digits"));
    let json = r#"{"block": "basic", "depths": [1, 1], "widths": [16, 32], "expansion": 1,
                   "stem": {"kind": "cifar", "width": 16}, "classes": 10}"#;
    let architecture = Architecture::from_json(json).expect("an architecture");
    let optimizer = Optimizer::Sgd(SgdAttributes { momentum: 0.9, ..SgdAttributes::default() });
    let head = HeadOptions { optimizer, lr: 0.05, batch_size: BATCH, ..HeadOptions::default() };
    let network = NetworkSettings { precision, ..NetworkSettings::default() };
    let input = InputKind::Pixels { mean: [0.3; 3], std: [0.35; 3] };
    let options = NetworkOptions { head, network, input, size: [8, 8] };
    let weights = fresh(&architecture, 0);
    let mut trainer = NetworkTrainer::new(gpu, &architecture, &weights, options, train.len()).expect("a trainer");
    let mut losses = Vec::new();
    for epoch in 0..EPOCHS {
        let order = shuffled_indices(train.len(), 0, epoch);
        let whole = order.as_chunks::<BATCH>().0;
        let factor = 1.0 - epoch as f64 / EPOCHS as f64;
        let loss = whole.iter().map(|indices| {
            let (pixels, targets) = batch(&*train, indices);
            f64::from(trainer.step(&pixels, &targets, factor).block_on().expect("a step").summary[0])
        });
        losses.push(loss.sum::<f64>() / whole.len() as f64);
    }
    let all: Vec<usize> = (0..val.len()).collect();
    let right = all.chunks(BATCH).map(|indices| {
        let (pixels, targets) = batch(&*val, indices);
        f64::from(trainer.validate(BATCH, &pixels, &targets).block_on().expect("answers")[1])
    });
    let right = right.sum::<f64>();
    if let Some(scale) = trainer.loss_scale() {
        assert_eq!(scale.skipped, 0, "gradients of digits are not that large");
    }
    (losses, right / val.len() as f64)
}

#[test]
fn digits_are_learned_as_well_in_f16() {
    for gpu in open_all().iter().filter(|gpu| gpu.report().features.f16) {
        let [(exact_losses, exact), (losses, half)] = [Precision::F32, Precision::F16].map(|p| learn(gpu, p));
        println!("{}: {:.2} % in f32, {:.2} % in f16", gpu.report().name, exact * 100.0, half * 100.0);
        assert!(exact > 0.95, "{exact_losses:.3?}");
        assert!((half - exact).abs() <= 0.01, "{half} in f16, {exact} in f32");
        assert!(losses[EPOCHS as usize - 1] < 0.1 * losses[0], "{losses:.3?}");
    }
}
