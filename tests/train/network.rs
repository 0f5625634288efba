//! Training of whole networks: against PyTorch (tests/golden/train_resnet20.safetensors), and against itself.

use std::path::PathBuf;
use std::sync::Arc;

use gpu_resnet::gpu::Gpu;
use gpu_resnet::model::{Architecture, BlockKind, InputKind, Recompute, Shortcut, StemKind};
use gpu_resnet::ops::attributes::SgdAttributes;
use gpu_resnet::train::{
    BnMode, HeadOptions, NetworkOptions, NetworkSettings, NetworkState, NetworkTrainer, Optimizer, Unfreeze,
};
use gpu_resnet::weights::{hash_input, hash_targets, hash_weights};
use pollster::FutureExt as _;
use safetensors::SafeTensors;
use serde_json::Value;

use super::golden::relative;
use crate::adapters::open_all as adapters;

/// Largest relative difference of a loss after up to 30 steps.
const LOSS_TOLERANCE: f64 = 1e-3;

/// Steps of a network by torch.
pub struct Golden {
    pub architecture: Architecture,
    pub options: NetworkOptions,
    /// Of each step's images.
    pub shape: [usize; 4],
    /// By name: values, and an error of torch's own (relative root mean square).
    pub tensors: Vec<(String, Vec<f32>, f64)>,
}

fn golden() -> Golden {
    load("train_resnet20", "torch_f32_error")
}

/// The reference `name`, with those errors that its metadata has under `errors`.
pub fn load(name: &str, errors: &str) -> Golden {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.safetensors"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("the reference {} is missing: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a safetensors header");
    let metadata = header.metadata().clone().expect("metadata");
    let options: Value = serde_json::from_str(&metadata["options"]).expect("options");
    let errors: Value = serde_json::from_str(&metadata[errors]).expect("errors");
    let number = |key: &str| options[key].as_f64().expect("a number");
    let (momentum, weight_decay) = (number("momentum"), options["weight_decay"].as_f64().unwrap_or(0.0));
    let optimizer = Optimizer::Sgd(SgdAttributes { momentum, weight_decay, ..SgdAttributes::default() });
    let shape: [usize; 4] = serde_json::from_str(&metadata["input_shape"]).expect("a shape");
    let head = HeadOptions { optimizer, lr: number("lr"), batch_size: shape[0], ..HeadOptions::default() };
    let network = NetworkSettings { bias_decay: false, ..NetworkSettings::default() };
    let tensors = file.tensors().into_iter().map(|(name, view)| {
        let values = view.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        let error = errors[&name].as_f64().expect("torch's own error");
        (name, values, error)
    });
    Golden {
        architecture: Architecture::from_json(&metadata["gpu_resnet.architecture"]).expect("an architecture"),
        options: NetworkOptions { head, network, input: InputKind::Tensor, size: [shape[2], shape[3]] },
        shape,
        tensors: tensors.collect(),
    }
}

/// Losses of the reference's 30 batches, and the state after them.
fn thirty_steps(gpu: &Arc<Gpu>, golden: &Golden, options: NetworkOptions) -> (Vec<f32>, NetworkState) {
    let weights = hash_weights(&golden.architecture).expect("weights");
    let mut trainer = NetworkTrainer::new(gpu, &golden.architecture, &weights, options, 10_000).expect("a trainer");
    let mut losses = Vec::new();
    for step in 0..30 {
        let images = hash_input(&format!("images.{step}"), golden.shape.iter().product());
        let targets = hash_targets(&format!("targets.{step}"), golden.shape[0], 10);
        let targets: Vec<u32> = targets.into_iter().map(|target| target as u32).collect();
        let result = trainer.step(bytemuck::cast_slice(&images), &targets, 1.0).block_on().expect("a step");
        losses.push(result.summary[0]);
    }
    (losses, trainer.state().block_on().expect("the state"))
}

#[test]
fn thirty_steps_follow_pytorch() {
    let golden = golden();
    let losses = &golden.tensors.iter().find(|(name, ..)| name == "losses").expect("losses").1;
    for gpu in adapters() {
        let name = &gpu.report().name;
        let (found, state) = thirty_steps(&gpu, &golden, golden.options.clone());
        let worst = found.iter().zip(losses).map(|(a, b)| f64::from((a / b - 1.0).abs())).fold(0.0, f64::max);
        println!("{name}: losses within {worst:.1e}");
        assert!(worst <= LOSS_TOLERANCE, "{name}: {found:?} against {losses:?}");
        for (key, expected, torch) in golden.tensors.iter().filter(|(key, ..)| key != "losses") {
            let error = relative(&state.tensors.0[key], expected);
            println!("{name}: {key} {error:.1e} (torch's f32: {torch:.1e})");
            // Thirty steps multiply rounding, so torch's own is the measure.
            assert!(error <= 10.0 * torch.max(1e-5), "{name}: {key} differs by {error:.1e}");
        }
    }
}

#[test]
fn training_that_is_slightly_wrong_is_told_apart() {
    let golden = golden();
    let gpu = &adapters()[0];
    let expected = |key: &str| golden.tensors.iter().find(|(name, ..)| name == key).expect("the tensor");
    let error = |options: NetworkOptions, key: &str| {
        let (_, state) = thirty_steps(gpu, &golden, options);
        let (_, values, torch) = expected(key);
        relative(&state.tensors.0[key], values) / (10.0 * torch.max(1e-5))
    };
    let with = |change: &dyn Fn(&mut NetworkOptions)| {
        let mut options = golden.options.clone();
        change(&mut options);
        options
    };
    let decay_all = with(&|options| options.network.bias_decay = true);
    assert!(error(decay_all, "bn1.weight") > 1.0, "decayed normalisations went unnoticed");
    let nesterov = with(&|options| {
        if let Optimizer::Sgd(sgd) = &mut options.head.optimizer {
            sgd.nesterov = true;
        }
    });
    assert!(error(nesterov, "fc.weight") > 1.0, "Nesterov's momentum went unnoticed");
    let smoothed = with(&|options| options.head.label_smoothing = 0.05);
    assert!(error(smoothed, "fc.weight") > 1.0, "label smoothing went unnoticed");
}

/// Every kind of block, with a way over its changes of shape.
pub const KINDS: [(BlockKind, Shortcut); 5] = [
    (BlockKind::Basic, Shortcut::ZeroPad),
    (BlockKind::Bottleneck, Shortcut::Projection),
    (BlockKind::Plain, Shortcut::None),
    (BlockKind::PreactBasic, Shortcut::ZeroPad),
    (BlockKind::PreactBottleneck, Shortcut::Projection),
];

/// A small network of one kind.
pub fn small(block: BlockKind, shortcut: Shortcut) -> Architecture {
    let mut architecture = Architecture::new(block, &[1, 2], StemKind::Cifar).expect("an architecture");
    if block != BlockKind::Plain {
        architecture.shortcut = shortcut;
    }
    architecture.validate().expect("a valid architecture");
    architecture.with_classes(5)
}

fn options(network: NetworkSettings, optimizer: &str) -> NetworkOptions {
    let optimizer = Optimizer::named(optimizer).expect("an optimiser");
    let head = HeadOptions { optimizer, lr: 1e-2, batch_size: 6, ..HeadOptions::default() };
    let input = InputKind::Pixels { mean: [0.5; 3], std: [0.25; 3] };
    NetworkOptions { head, network, input, size: [12, 12] }
}

fn batch(step: u64, rows: usize) -> (Vec<u8>, Vec<u32>) {
    let pixels = hash_input(&format!("pixels.{step}"), rows * 12 * 12 * 3);
    let targets = hash_targets(&format!("targets.{step}"), rows, 5);
    (pixels.iter().map(|x| ((x + 2.0) * 63.0) as u8).collect(), targets.into_iter().map(|t| t as u32).collect())
}

fn trainer(gpu: &Arc<Gpu>, architecture: &Architecture, options: NetworkOptions) -> NetworkTrainer {
    let weights = hash_weights(architecture).expect("weights");
    NetworkTrainer::new(gpu, architecture, &weights, options, 100).expect("a trainer")
}

/// Steps `range`, the last of a smaller batch; their losses.
fn run(trainer: &mut NetworkTrainer, range: std::ops::Range<u64>) -> Vec<f32> {
    let step = |step: u64| {
        let (pixels, targets) = batch(step, if step % 4 == 3 { 4 } else { 6 });
        trainer.step(&pixels, &targets, 1.0 / (step + 1) as f64).block_on().expect("a step").summary[0]
    };
    range.map(step).collect()
}

#[test]
fn going_on_gives_the_same_bits() {
    let architecture = small(BlockKind::Basic, Shortcut::ZeroPad);
    let settings = NetworkSettings { ema: Some(0.9), clip_grad_norm: Some(0.5), ..NetworkSettings::default() };
    for gpu in adapters() {
        for optimizer in ["adam", "adamw", "sgd"] {
            let new = || trainer(&gpu, &architecture, options(settings.clone(), optimizer));
            let mut straight = new();
            run(&mut straight, 0..8);
            let mut first = new();
            run(&mut first, 0..4);
            let half = first.state().block_on().expect("the state");
            let mut second = new();
            second.restore(&half).expect("a state that fits");
            run(&mut second, 4..8);
            assert_eq!(straight.state().block_on().unwrap(), second.state().block_on().unwrap(), "{optimizer}");
            // An optimiser that forgot its moments shows.
            let mut forgetful = half.clone();
            forgetful.moments.values_mut().for_each(|moment| moment.fill(0.0));
            second.restore(&forgetful).expect("a state that fits");
            run(&mut second, 4..8);
            assert_ne!(
                straight.state().block_on().unwrap().tensors,
                second.state().block_on().unwrap().tensors,
                "{optimizer}"
            );
        }
    }
}

#[test]
fn computing_again_changes_no_bit() {
    for gpu in adapters() {
        for (block, shortcut) in KINDS {
            for bn in [BnMode::Train, BnMode::Eval] {
                let architecture = small(block, shortcut);
                let with = |recompute| {
                    let settings = NetworkSettings { recompute, bn, ..NetworkSettings::default() };
                    let mut trainer = trainer(&gpu, &architecture, options(settings, "sgd"));
                    (run(&mut trainer, 0..4), trainer.state().block_on().expect("the state"))
                };
                assert_eq!(with(Recompute::None), with(Recompute::Blocks), "{block} {bn:?}");
            }
        }
    }
}

#[test]
fn computing_again_takes_less_memory() {
    let gpu = &adapters()[0];
    let architecture = Architecture::named("resnet56").expect("an architecture");
    let bytes = |recompute| {
        let settings = NetworkSettings { recompute, ..NetworkSettings::default() };
        let mut options = options(settings, "sgd");
        (options.size, options.head.batch_size) = ([32, 32], 64);
        trainer(gpu, &architecture, options).memory().activations
    };
    let (kept, again) = (bytes(Recompute::None), bytes(Recompute::Blocks));
    println!("resnet56, 64 images of 32 x 32: {kept} bytes kept, {again} with blocks computed again");
    assert!(again < kept, "{again} bytes against {kept}");
}

#[test]
fn frozen_parts_stay_and_others_move() {
    let architecture = small(BlockKind::Bottleneck, Shortcut::Projection);
    let weights = hash_weights(&architecture).expect("weights");
    for gpu in adapters() {
        for (unfreeze, moves) in [
            (Unfreeze::Head, &["fc."][..]),
            (Unfreeze::Stage(2), &["fc.", "layer2."]),
            (Unfreeze::All, &["fc.", "layer2.", "layer1.", "conv1.", "bn1."]),
        ] {
            for bn in [BnMode::Train, BnMode::Eval] {
                let settings = NetworkSettings { unfreeze, bn, ..NetworkSettings::default() };
                let mut trainer = trainer(&gpu, &architecture, options(settings, "adam"));
                run(&mut trainer, 0..2);
                let state = trainer.state().block_on().expect("the state").tensors.0;
                for spec in architecture.parameters() {
                    let changed = state[&spec.name] != weights.tensor_f32(&spec.name).unwrap()[..];
                    let trained = moves.iter().any(|part| spec.name.starts_with(part));
                    let expected = if spec.kind.is_trained() { trained } else { bn == BnMode::Train };
                    assert_eq!(changed, expected, "{} with {unfreeze} {bn:?}", spec.name);
                }
            }
        }
    }
}

#[test]
fn groups_have_their_own_learning_rates() {
    let architecture = small(BlockKind::Basic, Shortcut::ZeroPad);
    let weights = hash_weights(&architecture).expect("weights");
    for gpu in adapters() {
        let moved = |backbone_lr: Option<f64>| {
            let settings = NetworkSettings { backbone_lr, ..NetworkSettings::default() };
            let mut trainer = trainer(&gpu, &architecture, options(settings, "sgd"));
            run(&mut trainer, 0..1);
            let state = trainer.state().block_on().expect("the state").tensors.0;
            ["conv1.weight", "fc.weight"].map(|name| {
                let before = weights.tensor_f32(name).unwrap();
                let squares = state[name].iter().zip(before.iter()).map(|(a, b)| f64::from(a - b).powi(2));
                squares.sum::<f64>().sqrt()
            })
        };
        let (same, slower) = (moved(None), moved(Some(1e-3)));
        assert!((same[0] / slower[0] - 10.0).abs() < 0.1, "{same:?} {slower:?}");
        assert!((same[1] / slower[1] - 1.0).abs() < 1e-6, "{same:?} {slower:?}");
    }
}

#[test]
fn an_average_lags_behind_and_is_what_is_validated() {
    let architecture = small(BlockKind::Basic, Shortcut::ZeroPad);
    for gpu in adapters() {
        let settings = NetworkSettings { ema: Some(0.5), ..NetworkSettings::default() };
        let mut averaged = trainer(&gpu, &architecture, options(settings, "sgd"));
        let mut plain = trainer(&gpu, &architecture, options(NetworkSettings::default(), "sgd"));
        let start = plain.state().block_on().expect("the state").tensors.0;
        run(&mut averaged, 0..1);
        run(&mut plain, 0..1);
        let (state, after) =
            (averaged.state().block_on().expect("the state"), plain.state().block_on().expect("the state").tensors.0);
        assert_eq!(state.tensors.0, after, "the average changed the training");
        // At the first step the decay is 2/11.
        for name in ["conv1.weight", "fc.bias", "bn1.running_mean"] {
            let average = &state.average.as_ref().expect("an average").0[name];
            let expected: Vec<f32> = start[name]
                .iter()
                .zip(&after[name])
                .map(|(&a, &b)| (2.0 / 11.0 * f64::from(a) + 9.0 / 11.0 * f64::from(b)) as f32)
                .collect();
            assert!(relative(average, &expected) < 1e-6, "{name}");
        }
        let (pixels, targets) = batch(9, 6);
        let [a, p] =
            [&mut averaged, &mut plain].map(|trainer| trainer.validate(6, &pixels, &targets).block_on().unwrap()[0]);
        assert_ne!(a, p);
        assert_ne!(a, averaged.step(&pixels, &targets, 1.0).block_on().unwrap().summary[0]);
    }
}

#[test]
fn logged_norms_are_those_of_clipping() {
    let architecture = small(BlockKind::Basic, Shortcut::ZeroPad);
    for gpu in adapters() {
        let settings = NetworkSettings { log_gradients: true, ..NetworkSettings::default() };
        let mut trainer = trainer(&gpu, &architecture, options(settings, "sgd"));
        let (pixels, targets) = batch(0, 6);
        let result = trainer.step(&pixels, &targets, 1.0).block_on().expect("a step");
        let norm = f64::from(result.grad_norm.expect("a norm"));
        assert!(norm > 0.0 && norm.is_finite());
        let blocks: Vec<_> = result.block_gradients.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(blocks, ["layer2.1", "layer2.0", "layer1.0"]);
        assert!(result.block_gradients.iter().all(|(_, norm)| *norm > 0.0 && norm.is_finite()));
    }
}

#[test]
fn a_short_validation_batch_counts_its_own_images_only() {
    let architecture = small(BlockKind::Basic, Shortcut::ZeroPad);
    for gpu in adapters() {
        let mut trainer = trainer(&gpu, &architecture, options(NetworkSettings::default(), "sgd"));
        let (pixels, targets) = batch(3, 6);
        let image = pixels.len() / 6;
        let whole = trainer.validate(6, &pixels, &targets).block_on().unwrap();
        let parts = [(0, 4), (4, 6)].map(|(from, to)| {
            trainer.validate(6, &pixels[from * image..to * image], &targets[from..to]).block_on().unwrap()
        });
        assert_eq!(parts.map(|part| part[2]), [4.0, 2.0]);
        let mean = (parts[0][0] * 4.0 + parts[1][0] * 2.0) / 6.0;
        assert!((mean - whole[0]).abs() < 1e-5 * whole[0], "{mean} against {}", whole[0]);
        assert!(trainer.validate(6, &pixels[..image], &[7]).block_on().is_err(), "a target past the classes");
        assert!(trainer.validate(6, &pixels[..image - 3], &targets[..1]).block_on().is_err(), "half an image");
    }
}
