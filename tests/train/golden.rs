//! Fifty steps of each optimiser against PyTorch's own (tests/golden/head_*.safetensors).

use std::path::PathBuf;

use gpu_resnet::ops::attributes::{AdamAttributes, SgdAttributes};
use gpu_resnet::train::{Examples, Head, HeadOptions, HeadShape, HeadTrainer, Optimizer};
use gpu_resnet::weights::{hash_targets, hash_tensor};
use pollster::FutureExt as _;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::adapters::open_all as adapters;

const SHAPE: HeadShape = HeadShape { features: 2048, classes: 10 };
/// Largest relative difference of a loss, and of the weights as a whole.
const TOLERANCE: f64 = 1e-5;

struct Golden {
    options: HeadOptions,
    losses: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

fn golden(name: &str) -> Golden {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.safetensors"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("the reference {} is missing: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a safetensors header");
    let metadata = header.metadata().clone().expect("metadata");
    let options: Value = serde_json::from_str(&metadata["options"]).expect("options");
    let number = |key: &str, default: f64| options.get(key).map_or(default, |v| v.as_f64().expect("a number"));
    let adam = |a: AdamAttributes| AdamAttributes { weight_decay: number("weight_decay", a.weight_decay), ..a };
    let optimizer = match metadata["optimizer"].as_str() {
        "adam" => Optimizer::Adam(adam(AdamAttributes::default())),
        "adamw" => Optimizer::AdamW(adam(AdamAttributes::adamw())),
        "sgd" => Optimizer::Sgd(SgdAttributes {
            momentum: number("momentum", 0.0),
            weight_decay: number("weight_decay", 0.0),
            nesterov: options.get("nesterov").is_some_and(|v| v.as_bool().expect("true or false")),
            ..SgdAttributes::default()
        }),
        other => panic!("{name}: unknown optimizer {other}"),
    };
    let tensor = |key: &str, shape: &[usize]| -> Vec<f32> {
        let tensor = file.tensor(key).expect("the tensor is there");
        assert_eq!(tensor.shape(), shape, "{name}: {key}");
        tensor.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    };
    let steps: usize = metadata["steps"].parse().expect("steps");
    let batch_size = metadata["batch"].parse().expect("batch");
    Golden {
        options: HeadOptions { optimizer, lr: number("lr", f64::NAN), batch_size, ..HeadOptions::default() },
        losses: tensor("losses", &[steps]),
        weight: tensor("weight", &[10, 2048]),
        bias: tensor("bias", &[10]),
    }
}

/// Root mean square of the difference over that of the reference.
pub fn relative(found: &[f32], wanted: &[f32]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        found.iter().zip(wanted).map(|(&a, &b)| f(f64::from(a), f64::from(b))).sum()
    };
    (sum(&|a, b| (a - b).powi(2)) / sum(&|_, b| b * b)).sqrt()
}

fn largest_relative(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let each = found.iter().zip(wanted).map(|(&a, &b)| (f64::from(a) / f64::from(b) - 1.0).abs());
    each.fold(0.0, f64::max)
}

#[test]
fn fifty_steps_follow_pytorch() {
    let linear = |name: &str, count| hash_tensor(name, count, |u| (2.0 * u - 1.0) / 2048f64.sqrt());
    let head = Head::new(SHAPE, linear("fc.weight", SHAPE.weights()), linear("fc.bias", 10)).expect("a head");
    let names = ["head_adam", "head_adamw", "head_sgd", "head_sgd_nesterov"];
    for gpu in adapters() {
        let mut reference: Vec<(&str, Vec<f32>)> = Vec::new();
        for name in names {
            let golden = golden(name);
            let (steps, batch) = (golden.losses.len(), golden.options.batch_size);
            // The reference draws each step's batch anew: an epoch in the order in which they lie.
            let mut features = Vec::new();
            let mut labels = Vec::new();
            for step in 0..steps {
                let values =
                    hash_tensor(&format!("features.{step}"), batch * SHAPE.features, |u| (4.0 * u - 2.0).abs());
                features.extend(values);
                let targets = hash_targets(&format!("targets.{step}"), batch, 10);
                labels.extend(targets.iter().map(|&t| t as u32));
            }
            let train = Examples { features: &features, labels: &labels };
            let mut trainer = HeadTrainer::new(&gpu, SHAPE, train, None, golden.options, None).expect("a trainer");
            trainer.start(&head, golden.options.lr).expect("a start");
            let result = trainer.epoch_in_order(1, 0..steps * batch, |_| Ok(())).block_on().expect("an epoch");
            assert_eq!(result.step, steps as u64);
            let found = trainer.head().block_on().expect("the head");
            let losses = largest_relative(trainer.step_losses(), &golden.losses);
            let weight = relative(&found.weight, &golden.weight);
            let bias = relative(&found.bias, &golden.bias);
            println!("{name}: losses {losses:.1e}, weight {weight:.1e}, bias {bias:.1e} of {TOLERANCE:.0e}");
            assert!(losses <= TOLERANCE && weight <= TOLERANCE && bias <= TOLERANCE, "{name} parts from PyTorch");
            // Negative control: no other optimiser's reference passes for this one's.
            for (other, weights) in &reference {
                assert!(relative(&found.weight, weights) > 3.0 * TOLERANCE, "{name} can't be told from {other}");
            }
            reference.push((name, golden.weight));
        }
    }
}
