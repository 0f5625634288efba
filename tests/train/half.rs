//! Training in f16: against torch's automatic mixed precision (tests/golden/train_amp.safetensors), and its loss scaling.

use std::sync::Arc;

use gpu_resnet::Error;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::model::{Architecture, BlockKind, InputKind, Recompute, Shortcut};
use gpu_resnet::ops::Precision;
use gpu_resnet::ops::attributes::SgdAttributes;
use gpu_resnet::train::{
    BnMode, HeadOptions, LossScale, NetworkOptions, NetworkSettings, NetworkState, NetworkTrainer, Optimizer, Tensors,
    Unfreeze,
};
use gpu_resnet::weights::{hash_input, hash_targets, hash_weights};
use pollster::FutureExt as _;

use super::golden::relative;
use super::network::{Golden, KINDS, load, small};
use crate::adapters::open_all;

/// What an error may be of torch's. Both round the same maps and gradients to f16 and add in another order, so that each error is one
/// draw of the same size; drivers that cut off instead of rounding err by twice as much. A key is one draw, all of them together many.
const MOST_OF_A_KEY: f64 = 4.0;
const MOST_OF_ALL: f64 = 2.0;

/// The adapters with f16. Drivers without it are held to [`an_adapter_without_f16_says_so`].
fn adapters() -> Vec<Arc<Gpu>> {
    let (able, without): (Vec<_>, Vec<_>) = open_all().into_iter().partition(|gpu| gpu.report().features.f16);
    without.iter().for_each(|gpu| println!("not tested: {} has no f16", gpu.report().name));
    able
}

fn settings() -> NetworkSettings {
    NetworkSettings { precision: Precision::F16, ..NetworkSettings::default() }
}

/// Errors after the reference's steps as parts of torch's, by key.
fn errors<'g>(golden: &'g Golden, gpu: &Arc<Gpu>, network: NetworkSettings) -> Vec<(&'g str, f64)> {
    let weights = hash_weights(&golden.architecture).expect("weights");
    let options = NetworkOptions { network, ..golden.options.clone() };
    let mut trainer = NetworkTrainer::new(gpu, &golden.architecture, &weights, options, 10_000).expect("a trainer");
    let steps = golden.tensors.iter().find(|(name, ..)| name == "losses").expect("losses").1.len();
    let mut losses = Vec::new();
    for step in 0..steps {
        let images = hash_input(&format!("images.{step}"), golden.shape.iter().product());
        let targets = hash_targets(&format!("targets.{step}"), golden.shape[0], 10);
        let targets: Vec<u32> = targets.into_iter().map(|target| target as u32).collect();
        let result = trainer.step(bytemuck::cast_slice(&images), &targets, 1.0).block_on().expect("a step");
        assert!(!result.skipped);
        losses.push(result.summary[0]);
    }
    let state = trainer.state().block_on().expect("the state").tensors.0;
    let error = |(name, expected, torch): &'_ (String, Vec<f32>, f64)| {
        relative(if name == "losses" { &losses } else { &state[name] }, expected) / torch
    };
    golden.tensors.iter().map(|tensor| (tensor.0.as_str(), error(tensor))).collect()
}

/// The root mean square.
fn rms(errors: &[(&str, f64)]) -> f64 {
    (errors.iter().map(|(_, error)| error * error).sum::<f64>() / errors.len() as f64).sqrt()
}

#[test]
fn steps_are_as_near_as_torchs_mixed_precision() {
    let golden = load("train_amp", "torch_amp_error");
    for gpu in adapters() {
        let name = &gpu.report().name;
        let found = errors(&golden, &gpu, settings());
        println!("{name}: {:.2} of torch's mixed precision's error; {found:.2?}", rms(&found));
        assert!(found.iter().all(|(_, error)| *error <= MOST_OF_A_KEY), "{name}: {found:?}");
        assert!(rms(&found) <= MOST_OF_ALL, "{name}: {found:?}");
        // f16 it is, and no f32 under its name.
        assert!(rms(&found) > 0.2, "{name}: {found:?}");
        // Negative control: a wrong learning rate for the backbone shows.
        let wrong = NetworkSettings { backbone_lr: Some(1.9e-3), ..settings() };
        let found = errors(&golden, &gpu, wrong);
        assert!(found.iter().any(|(_, error)| *error > 2.0 * MOST_OF_A_KEY), "{name}: {found:?}");
    }
}

fn basic() -> Architecture {
    small(BlockKind::Basic, Shortcut::ZeroPad)
}

fn options(network: NetworkSettings, optimizer: &str) -> NetworkOptions {
    let optimizer = Optimizer::named(optimizer).expect("an optimiser");
    let head = HeadOptions { optimizer, lr: 1e-2, batch_size: 6, ..HeadOptions::default() };
    let input = InputKind::Pixels { mean: [0.5; 3], std: [0.25; 3] };
    NetworkOptions { head, network, input, size: [12, 12] }
}

fn trainer(gpu: &Arc<Gpu>, architecture: &Architecture, network: NetworkSettings, optimizer: &str) -> NetworkTrainer {
    let weights = hash_weights(architecture).expect("weights");
    NetworkTrainer::new(gpu, architecture, &weights, options(network, optimizer), 100).expect("a trainer")
}

/// Makes step number `step`; whether it was skipped.
fn step(trainer: &mut NetworkTrainer, step: u64) -> bool {
    let pixels = hash_input(&format!("pixels.{step}"), 6 * 12 * 12 * 3);
    let pixels: Vec<u8> = pixels.iter().map(|x| ((x + 2.0) * 63.0) as u8).collect();
    let targets: Vec<u32> = hash_targets(&format!("targets.{step}"), 6, 5).into_iter().map(|t| t as u32).collect();
    trainer.step(&pixels, &targets, 1.0 / (step + 1) as f64).block_on().expect("a step").skipped
}

fn with_scale(state: &NetworkState, scale: f32) -> NetworkState {
    let kept = state.loss_scale.expect("a loss scale");
    NetworkState { loss_scale: Some(LossScale { scale, ..kept }), ..state.clone() }
}

#[test]
fn an_overflow_skips_the_step_and_halves_the_scale() {
    let huge = 2.0f32.powi(60);
    // By fixed statistics nothing but the weights moves.
    let network = NetworkSettings { bn: BnMode::Eval, clip_grad_norm: Some(1.0), ..settings() };
    for gpu in adapters() {
        for optimizer in ["adam", "adamw", "sgd"] {
            let mut skipping = trainer(&gpu, &basic(), network.clone(), optimizer);
            let start = skipping.state().block_on().expect("the state");
            skipping.restore(&with_scale(&start, huge)).expect("a state that fits");
            assert!(step(&mut skipping, 7), "{optimizer}: gradients of 2^60 times their size fit into f16");
            let after = skipping.state().block_on().expect("the state");
            assert_eq!((&after.tensors, &after.moments), (&start.tensors, &start.moments), "{optimizer}");
            assert_eq!(after.loss_scale, Some(LossScale { scale: huge / 2.0, good_steps: 0, skipped: 1 }));
            assert_eq!(after.step, 1);
            // The optimiser begins as if there had been no step.
            skipping.restore(&with_scale(&after, 65_536.0)).expect("a state that fits");
            let mut straight = trainer(&gpu, &basic(), network.clone(), optimizer);
            for number in 1..3 {
                assert!(!step(&mut skipping, number) && !step(&mut straight, number), "{optimizer}");
            }
            let [a, b] = [&skipping, &straight].map(|trainer| trainer.state().block_on().expect("the state"));
            assert_eq!((&a.tensors, &a.moments), (&b.tensors, &b.moments), "{optimizer}");
            assert_ne!(a.tensors, start.tensors, "{optimizer}: nothing was trained");
            assert_eq!((a.loss_scale.unwrap().good_steps, b.loss_scale.unwrap().good_steps), (2, 2));
        }
    }
}

/// Weights with a head so small that almost nothing of the loss's gradient reaches what is below it.
fn with_small_head(state: &NetworkState) -> NetworkState {
    let mut tensors: Tensors = state.tensors.clone();
    tensors.0.get_mut("fc.weight").expect("a head").iter_mut().for_each(|w| *w *= 1e-5);
    NetworkState { tensors, ..state.clone() }
}

#[test]
fn tiny_gradients_vanish_without_scaling() {
    for gpu in adapters() {
        // The update of the first convolution by one step of plain SGD.
        let update = |precision, scale: f32| {
            let network = NetworkSettings { precision, bn: BnMode::Eval, ..NetworkSettings::default() };
            let mut options = options(network, "sgd");
            options.head.optimizer = Optimizer::Sgd(SgdAttributes::default());
            options.head.lr = 1e4;
            let weights = hash_weights(&basic()).expect("weights");
            let mut trainer = NetworkTrainer::new(&gpu, &basic(), &weights, options, 100).expect("a trainer");
            let start = with_small_head(&trainer.state().block_on().expect("the state"));
            let start = if precision == Precision::F16 { with_scale(&start, scale) } else { start };
            trainer.restore(&start).expect("a state that fits");
            assert!(!step(&mut trainer, 0));
            let after = trainer.state().block_on().expect("the state").tensors.0;
            let pairs = after["conv1.weight"].iter().zip(&start.tensors.0["conv1.weight"]);
            pairs.map(|(a, b)| a - b).collect::<Vec<f32>>()
        };
        let exact = update(Precision::F32, 1.0);
        assert!(exact.iter().all(|&change| change != 0.0));
        assert!(relative(&update(Precision::F16, 65_536.0), &exact) < 0.05);
        assert!(relative(&update(Precision::F16, 1.0), &exact) > 0.5, "the control has no tiny gradients");
    }
}

#[test]
fn going_on_gives_the_same_bits_in_f16() {
    let network = NetworkSettings { ema: Some(0.9), clip_grad_norm: Some(0.5), ..settings() };
    for gpu in adapters() {
        let new = || trainer(&gpu, &basic(), network.clone(), "adam");
        let begin = |trainer: &mut NetworkTrainer| {
            let state = LossScale { scale: 65_536.0, good_steps: 1_997, skipped: 0 };
            let start = NetworkState { loss_scale: Some(state), ..trainer.state().block_on().expect("the state") };
            trainer.restore(&start).expect("a state that fits");
        };
        let mut straight = new();
        begin(&mut straight);
        (0..6).for_each(|number| assert!(!step(&mut straight, number)));
        let mut first = new();
        begin(&mut first);
        (0..2).for_each(|number| assert!(!step(&mut first, number)));
        let mut second = new();
        let half = first.state().block_on().expect("the state");
        second.restore(&half).expect("a state that fits");
        (2..6).for_each(|number| assert!(!step(&mut second, number)));
        assert_eq!(straight.state().block_on().unwrap(), second.state().block_on().unwrap());
        // In the third step the scale had doubled.
        assert_eq!(straight.loss_scale(), Some(LossScale { scale: 131_072.0, good_steps: 3, skipped: 0 }));
        // Neither goes on from the other precision.
        let without = NetworkState { loss_scale: None, ..half };
        assert!(second.restore(&without).is_err());
    }
}

#[test]
fn networks_of_every_kind_follow_their_f32() {
    for gpu in adapters() {
        for (block, shortcut) in KINDS {
            for bn in [BnMode::Train, BnMode::Eval] {
                let architecture = small(block, shortcut);
                let weights = hash_weights(&architecture).expect("weights");
                let change = |precision, recompute| {
                    let network = NetworkSettings { precision, recompute, bn, ..NetworkSettings::default() };
                    let mut trainer = trainer(&gpu, &architecture, network, "sgd");
                    assert!(!step(&mut trainer, 0));
                    let after = trainer.state().block_on().expect("the state").tensors.0;
                    let start = weights.tensor_f32("conv1.weight").expect("a weight");
                    let pairs = after["conv1.weight"].iter().zip(start.iter());
                    (pairs.map(|(a, b)| a - b).collect::<Vec<f32>>(), after)
                };
                let (half, state) = change(Precision::F16, Recompute::None);
                let error = relative(&half, &change(Precision::F32, Recompute::None).0);
                println!("{}: {block} {bn:?}: the lowest gradient is off by {error:.4}", gpu.report().name);
                // In networks of random weights the errors of all maps meet there.
                assert!(error < 0.2, "{block} {bn:?}: {error}");
                assert_eq!(change(Precision::F16, Recompute::Blocks).1, state, "{block} {bn:?}: computed again");
            }
        }
    }
}

#[test]
fn frozen_parts_stay_and_others_move_in_f16() {
    let architecture = small(BlockKind::Bottleneck, Shortcut::Projection);
    let weights = hash_weights(&architecture).expect("weights");
    for gpu in adapters() {
        for (unfreeze, moves) in [
            (Unfreeze::Head, &["fc."][..]),
            (Unfreeze::Stage(2), &["fc.", "layer2."]),
            (Unfreeze::All, &["fc.", "layer2.", "layer1.", "conv1.", "bn1."]),
        ] {
            let network = NetworkSettings { unfreeze, bn: BnMode::Eval, ..settings() };
            let mut trainer = trainer(&gpu, &architecture, network, "adam");
            assert!(!step(&mut trainer, 0));
            let state = trainer.state().block_on().expect("the state").tensors.0;
            for spec in architecture.parameters().iter().filter(|spec| spec.kind.is_trained()) {
                let changed = state[&spec.name] != weights.tensor_f32(&spec.name).unwrap()[..];
                let expected = moves.iter().any(|part| spec.name.starts_with(part));
                assert_eq!(changed, expected, "{} with {unfreeze}", spec.name);
            }
        }
    }
}

#[test]
fn logged_norms_are_those_of_f32() {
    for gpu in adapters() {
        let norms = |precision| {
            let network = NetworkSettings { precision, log_gradients: true, ..NetworkSettings::default() };
            let mut trainer = trainer(&gpu, &basic(), network, "sgd");
            let pixels: Vec<u8> =
                hash_input("pixels", 6 * 12 * 12 * 3).iter().map(|x| ((x + 2.0) * 63.0) as u8).collect();
            let result = trainer.step(&pixels, &[0, 1, 2, 3, 4, 0], 1.0).block_on().expect("a step");
            let blocks = result.block_gradients.into_iter().map(|(_, norm)| norm);
            result.grad_norm.into_iter().chain(blocks).collect::<Vec<f32>>()
        };
        let (half, exact) = (norms(Precision::F16), norms(Precision::F32));
        assert_eq!(half.len(), 4);
        assert!(half.iter().zip(&exact).all(|(a, b)| (a / b - 1.0).abs() < 0.02), "{half:?} {exact:?}");
    }
}

#[test]
fn maps_and_gradients_take_half_of_the_memory() {
    let Some(gpu) = &adapters().into_iter().next() else { return };
    let bytes = |precision| {
        let mut options = options(NetworkSettings { precision, ..NetworkSettings::default() }, "sgd");
        (options.size, options.head.batch_size) = ([32, 32], 64);
        let architecture = Architecture::named("resnet20").expect("an architecture");
        let weights = hash_weights(&architecture).expect("weights");
        NetworkTrainer::new(gpu, &architecture, &weights, options, 100).expect("a trainer").memory().activations
    };
    let (exact, half) = (bytes(Precision::F32), bytes(Precision::F16));
    println!("resnet20, 64 images of 32 x 32: {exact} bytes in f32, {half} in f16");
    assert!(half as f64 <= 0.6 * exact as f64, "{half} of {exact} bytes");
}

#[test]
fn an_adapter_without_f16_says_so() {
    let weights = hash_weights(&basic()).expect("weights");
    for gpu in open_all().iter().filter(|gpu| !gpu.report().features.f16) {
        let error = NetworkTrainer::new(gpu, &basic(), &weights, options(settings(), "sgd"), 100).err();
        let error = error.expect("an adapter without f16 trains in it");
        assert!(matches!(error, Error::NoAdapter(_)), "{error}");
        assert!(error.to_string().contains("has no f16; use --precision f32"), "{error}");
    }
}
