//! Data-parallel training: several adapters follow one that accumulates their batches, to the same bits in every run.

use std::path::Path;
use std::sync::Arc;

use gpu_resnet::data::{Dataset, Preprocess, shuffled_indices};
use gpu_resnet::gpu::{AdapterChoice, Gpu};
use gpu_resnet::model::{Architecture, GradientPass, PassOptions, TensorSource, TrainableNetwork};
use gpu_resnet::ops::Precision;
use gpu_resnet::ops::attributes::SgdAttributes;
use gpu_resnet::train::data_parallel::{LocalWorkers, Place, Worker};
use gpu_resnet::train::{
    BnMode, EpochResult, Event, Interrupt, NetworkFit, NetworkSettings, Optimizer, RunConfig, RunDir, Settings,
    Tensors, fit_network, fresh,
};
use gpu_resnet::{Error, Result};
use pollster::FutureExt as _;

use super::golden::relative;
use super::network_runs::{Images, pixels};
use super::support::adapter;
use crate::adapters::open_all;

const SIDE: usize = 8;

/// So many images, of which those that are `lost` can't be read.
fn images_of(count: usize, lost: &[usize]) -> Arc<dyn Dataset> {
    Images::of(count, lost, 0)
}

fn architecture() -> Architecture {
    let json = r#"{"block": "basic", "depths": [1, 1], "widths": [8, 12], "expansion": 1, "stem": {"kind": "cifar", "width": 8},
                   "classes": 2}"#;
    Architecture::from_json(json).unwrap()
}

fn preprocess() -> Preprocess {
    Preprocess { resize: SIDE as u32, crop: SIDE as u32, ..Preprocess::default() }
}

fn momentum() -> SgdAttributes {
    SgdAttributes { momentum: 0.9, ..SgdAttributes::default() }
}

fn config(batch_size: usize, epochs: u64, network: NetworkSettings) -> RunConfig {
    let (lr, optimizer) = (Some(0.05), Optimizer::Sgd(momentum()));
    let training = Settings { lr, epochs: Some(epochs), batch_size, optimizer, ..Settings::default() };
    RunConfig { training, network: Some(network), ..RunConfig::default() }
}

fn another() -> Arc<Gpu> {
    Gpu::open(&AdapterChoice::default()).block_on().expect("a usable adapter")
}

struct Ran {
    model: Vec<f32>,
    epochs: Vec<EpochResult>,
    skipped: Vec<String>,
}

/// All tensors of a network, one after another.
fn values(tensors: &dyn TensorSource) -> Vec<f32> {
    architecture().parameters().iter().flat_map(|spec| tensors.tensor(&spec.name).unwrap().to_vec()).collect()
}

/// Trains on `gpus` in `folder` until `stop` says so, from its checkpoint if it has one.
fn run(
    folder: &Path,
    gpus: &[Arc<Gpu>],
    images: &Arc<dyn Dataset>,
    config: &RunConfig,
    mut stop: impl FnMut(&Event) -> bool,
) -> Result<Ran> {
    let run = match folder.join("config.toml").exists() {
        true => RunDir::open(folder)?.0,
        false => RunDir::create(folder, config)?,
    };
    let (architecture, interrupt) = (architecture(), Interrupt::new());
    let model = std::cell::RefCell::new(Vec::new());
    let save = |_: &Path, tensors: &dyn TensorSource| {
        *model.borrow_mut() = values(tensors);
        Ok(())
    };
    let fit = NetworkFit {
        gpu: &gpus[0],
        architecture: &architecture,
        weights: &fresh(&architecture, 1),
        preprocess: &preprocess(),
        train: images.clone(),
        val: None,
        resume: run.has_checkpoint(),
        interrupt: &interrupt,
        save: &save,
    };
    let count = gpus.len();
    let worker = |(i, gpu): (usize, &Arc<Gpu>)| {
        let worker: Worker = fit.worker(gpu, config, Place { index: i, count })?;
        Ok((format!("adapter {i}"), worker))
    };
    let others = gpus.iter().enumerate().skip(1).map(worker).collect::<Result<_>>()?;
    let trainer = fit.parallel_trainer(config, Box::new(LocalWorkers::new(others)))?;
    let mut skipped = Vec::new();
    let outcome = fit_network(&fit, trainer, config, &run, &mut |event| {
        if stop(&event) {
            interrupt.raise();
        }
        if let Event::Skipped(error) = event {
            skipped.push(error.to_string());
        }
    })?;
    Ok(Ran { model: model.into_inner(), epochs: outcome.epochs, skipped })
}

/// The same by one adapter that accumulates `workers` batches of `rows` images a step in f64, and SGD with momentum in f64.
fn accumulated(workers: usize, rows: usize, images: usize, epochs: u64, bn: BnMode) -> Tensors {
    let (gpu, architecture) = (adapter(), architecture());
    let mut state = fresh(&architecture, 1);
    let mut exact: std::collections::BTreeMap<String, Vec<f64>> =
        state.0.iter().map(|(name, values)| (name.clone(), values.iter().map(|&v| f64::from(v)).collect())).collect();
    let mut velocity: std::collections::BTreeMap<String, Vec<f64>> = Default::default();
    let options = PassOptions { bn_training: bn == BnMode::Train, ..PassOptions::default() };
    let Preprocess { mean, std, .. } = preprocess();
    let steps = images.div_ceil(rows).div_ceil(workers);
    for epoch in 1..=epochs {
        let order = shuffled_indices(images, 0, epoch);
        let batches: Vec<&[usize]> = order.chunks(rows).collect();
        for (step, chunk) in batches.chunks(workers).enumerate() {
            let mut sums: std::collections::BTreeMap<String, Vec<f64>> = Default::default();
            let all: usize = chunk.iter().map(|batch| batch.len()).sum();
            let network = TrainableNetwork::new(&gpu, &architecture, &state).unwrap();
            for batch in chunk {
                let mut input = vec![0.0f32; batch.len() * 3 * SIDE * SIDE];
                for (row, &image) in batch.iter().enumerate() {
                    for (at, byte) in pixels(image).into_iter().enumerate() {
                        let (pixel, channel) = (at / 3, at % 3);
                        input[(row * 3 + channel) * SIDE * SIDE + pixel] =
                            (f32::from(byte) / 255.0 - mean[channel]) / std[channel];
                    }
                }
                let targets: Vec<u32> = batch.iter().map(|image| (image % 2) as u32).collect();
                let mut pass = GradientPass::new(&network, [batch.len(), 3, SIDE, SIDE], &options).unwrap();
                for (name, _, gradient) in pass.run(&network, &input, &targets).block_on().unwrap().parameters {
                    let sum = sums.entry(name).or_insert_with(|| vec![0.0; gradient.len()]);
                    sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += f64::from(g) * batch.len() as f64);
                }
            }
            let done = (epoch - 1) as usize * steps + step;
            let curve = NetworkSettings::default().schedule;
            let lr = 0.05 * curve.factor(done as u64, steps as u64, epochs);
            for (name, sum) in sums {
                let v = velocity.entry(name.clone()).or_insert_with(|| vec![0.0; sum.len()]);
                let parameter = exact.get_mut(&name).unwrap();
                for ((p, v), sum) in parameter.iter_mut().zip(v).zip(sum) {
                    *v = 0.9 * *v + sum / all as f64;
                    *p -= lr * *v;
                }
                state.0.insert(name, parameter.iter().map(|&p| p as f32).collect());
            }
        }
    }
    state
}

/// Names of what an optimiser trains.
fn trained() -> Vec<String> {
    architecture().parameters().into_iter().filter(|spec| spec.kind.is_trained()).map(|spec| spec.name).collect()
}

fn by_name(model: &[f32]) -> std::collections::BTreeMap<String, Vec<f32>> {
    let mut rest = model;
    let mut found = std::collections::BTreeMap::new();
    for spec in architecture().parameters() {
        let (own, others) = rest.split_at(spec.len());
        found.insert(spec.name, own.to_vec());
        rest = others;
    }
    found
}

#[test]
fn several_adapters_follow_one_that_accumulates_their_batches() {
    for (workers, bn) in [(2, BnMode::Train), (3, BnMode::Eval)] {
        let folder = tempfile::tempdir().unwrap();
        // The last step of an epoch has a short batch, and with three adapters one has none.
        let (rows, images, epochs) = (3, 11, 2);
        let network = NetworkSettings { bn, ..NetworkSettings::default() };
        let gpus: Vec<_> = std::iter::once(adapter()).chain((1..workers).map(|_| another())).collect();
        let config = config(rows, epochs, network);
        let ran = run(folder.path(), &gpus, &images_of(images, &[]), &config, |_| false).unwrap();
        let wanted = accumulated(workers, rows, images, epochs, bn);
        let found = by_name(&ran.model);
        for name in trained() {
            let error = relative(&found[&name], &wanted.0[&name]);
            assert!(error < 1e-6, "{workers} adapters, {bn:?}: {name} differs by {error:.1e}");
        }
        // Control: two steps of the same batches one after another are another run.
        let other = accumulated(1, rows, images, epochs, bn);
        assert!(relative(&found["fc.weight"], &other.0["fc.weight"]) > 1e-3);
        let last = &ran.epochs[1];
        assert_eq!((last.step, last.adapters.len()), (2 * 4u64.div_ceil(workers as u64), workers));
        assert_eq!(last.adapters.iter().map(|time| time.images).sum::<usize>(), images);
        assert!(last.adapters.iter().all(|time| time.busy >= 0.0 && time.waiting >= 0.0));
        assert!(last.adapters[0].busy > 0.0 && last.train_loss.is_finite());
    }
}

#[test]
fn all_settings_give_the_same_bits_after_a_stop() {
    let gpus = [adapter(), another()];
    let precision = match gpus[0].report().features.f16 {
        true => Precision::F16,
        false => Precision::F32,
    };
    let rich = NetworkSettings {
        ema: Some(0.9),
        clip_grad_norm: Some(0.1),
        log_gradients: true,
        precision,
        augment: "flip".parse().unwrap(),
        ..NetworkSettings::default()
    };
    let config = config(3, 3, rich);
    let images = images_of(10, &[4]);
    let [whole, again, stopped] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let straight = run(whole.path(), &gpus, &images, &config, |_| false).unwrap();
    assert_eq!(straight.skipped, ["image 4: is lost"], "each is named once");
    let first = &straight.epochs[0];
    assert!(first.grad_norm.unwrap() > 0.0);
    let blocks: Vec<_> = first.block_gradients.iter().map(|block| (block.block.as_str(), block.norm > 0.0)).collect();
    assert_eq!(blocks, [("layer1.0", true), ("layer2.0", true)]);
    assert_eq!(first.loss_scale, (precision == Precision::F16).then_some(65_536.0));
    let repeated = run(again.path(), &gpus, &images, &config, |_| false).unwrap();
    assert!(repeated.model == straight.model, "two runs differ");
    let after = |event: &Event| matches!(event, Event::Epoch(result) if result.epoch == 1);
    assert!(matches!(run(stopped.path(), &gpus, &images, &config, after), Err(Error::Interrupted)));
    // Another number of adapters has other steps.
    let other = run(stopped.path(), &gpus[..1], &images, &config, |_| false).map(|_| ()).unwrap_err().to_string();
    assert!(other.contains("its adapters is 2, and that of this run 1"), "{other}");
    let resumed = run(stopped.path(), &gpus, &images, &config, |_| false).unwrap();
    assert!(resumed.model == straight.model, "the run differs after it was resumed");
}

#[test]
fn an_overflow_on_one_adapter_skips_the_step_of_all() {
    let gpus = [adapter(), another()];
    if !gpus[0].report().features.f16 {
        println!("not tested: {} has no f16", gpus[0].report().name);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let network = NetworkSettings { precision: Precision::F16, bn: BnMode::Eval, ..NetworkSettings::default() };
    let mut config = config(2, 1, network);
    run(folder.path(), &gpus, &images_of(4, &[]), &config, |_| false).unwrap();
    // The checkpoint's scale is one that no gradient survives.
    let path = folder.path().join("checkpoint.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let (old, new) = (br#""loss_scale":"65536""#, br#""loss_scale":"1.3292279957849159e36""#);
    let at = bytes.windows(old.len()).position(|window| window == old).expect("a loss scale");
    let mut changed = [&bytes[8..at], &new[..], &bytes[at + old.len()..]].concat();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) + (new.len() - old.len()) as u64;
    let padding = header.next_multiple_of(8) - header;
    let end = header as usize;
    changed.splice(end..end, std::iter::repeat_n(b' ', padding as usize));
    std::fs::write(&path, [&(header + padding).to_le_bytes()[..], &changed].concat()).unwrap();
    config.training.epochs = Some(2);
    let before = std::fs::read(&path).unwrap();
    let ran = run(folder.path(), &gpus, &images_of(4, &[]), &config, |_| false).unwrap();
    assert_eq!(ran.epochs[1].skipped_steps, Some(1), "{:?}", ran.epochs[1]);
    assert_eq!(ran.epochs[1].loss_scale, Some(2f64.powi(119)));
    // No parameter moved.
    let tensors = |bytes: &[u8]| {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        file.tensor("conv1.weight").unwrap().data().to_vec()
    };
    assert!(tensors(&before) == tensors(&std::fs::read(&path).unwrap()));
}

#[test]
fn adapters_of_two_drivers_have_the_same_parameters() {
    let all = open_all();
    let Some(other) = all.iter().find(|gpu| gpu.report().driver_info != all[0].report().driver_info) else {
        println!("not tested: this machine shows one driver");
        return;
    };
    let gpus = [all[0].clone(), other.clone()];
    let [a, b] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let config = config(3, 2, NetworkSettings::default());
    let images = images_of(11, &[]);
    let once = run(a.path(), &gpus, &images, &config, |_| false).unwrap();
    let twice = run(b.path(), &gpus, &images, &config, |_| false).unwrap();
    assert!(once.model == twice.model, "two runs differ");
    let wanted = accumulated(2, 3, 11, 2, BnMode::Train);
    let found = by_name(&once.model);
    for name in trained() {
        let error = relative(&found[&name], &wanted.0[&name]);
        assert!(error < 1e-4, "{name} differs by {error:.1e}");
    }
}
