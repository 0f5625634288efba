//! What a run resumes from, damaged or made by a stranger. The first byte of an input says which: the checkpoint of a network, the same in
//! f16 with a moving average, the checkpoint of a head, or the other files of a run's folder (settings, metrics, left-out images).
#![no_main]

use gpu_resnet::fuzzing::{CheckpointLayout, NetworkCheckpoint};
use gpu_resnet::model::{Architecture, BlockKind, StemKind};
use gpu_resnet::train::{Checkpoint, Examples, HeadOptions, HeadShape, Optimizer, RunConfig, RunDir};
use gpu_resnet_fuzz as fuzz;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

const FOLDER: &str = "gpu-resnet-fuzz-";

/// The smallest network, with the tensors of an optimiser for its classifier.
fn layout(everything: bool) -> CheckpointLayout {
    let mut architecture = Architecture::new(BlockKind::Basic, &[1], StemKind::Cifar).expect("a network");
    (architecture.widths, architecture.stem.width, architecture.classes) = (vec![2], 2, 2);
    let parameters = architecture.parameters();
    let trained = parameters.iter().filter(|spec| spec.name.starts_with("fc."));
    let moment = |name: &str, shape: &[usize]| {
        ["exp_avg", "exp_avg_sq"].map(|moment| (format!("{moment}.{name}"), shape.to_vec()))
    };
    let moments = trained.flat_map(|spec| moment(&spec.name, &spec.shape)).collect();
    CheckpointLayout { parameters, moments, average: everything, loss_scale: everything }
}

fn network(folder: &fuzz::Folder, bytes: &[u8], everything: bool) {
    let path = folder.put("checkpoint.safetensors", bytes);
    let (layout, identity) = (layout(everything), vec![("version", "1".to_owned())]);
    let read = NetworkCheckpoint::read_as(&path, &layout, &identity);
    let Some(Some(mut found)) = fuzz::check(read, FOLDER) else { return };
    assert!(found.best.is_none_or(|best| best.epoch <= found.epoch && best.val_loss.is_finite()));
    assert_eq!(found.state.average.is_some(), everything);
    // The next step counts on from it.
    assert!(found.state.step < u64::MAX);
    found.state.loss_scale.iter_mut().for_each(|scale| drop(scale.update(true)));
}

fn head(folder: &fuzz::Folder, bytes: &[u8]) {
    let path = folder.put("checkpoint.safetensors", bytes);
    let train = Examples { features: &[0.0, 1.0, 1.0, 0.0], labels: &[0, 1] };
    let (shape, options) = (HeadShape { features: 2, classes: 2 }, HeadOptions::default());
    let Some(Some(found)) = fuzz::check(Checkpoint::read(&path, shape, &options, train), FOLDER) else { return };
    found.state.check(shape, &Optimizer::default()).expect("a state that was read");
    assert!(found.milestone.is_none_or(|milestone| milestone.epoch <= found.epoch));
}

/// What a run would do with its settings before the first step.
fn settings(config: &RunConfig) {
    let epochs = config.training.epochs.unwrap_or(1);
    if let Some(network) = &config.network {
        for step in [0, 1, u64::MAX] {
            let factor = network.schedule.factor(step, 7, epochs);
            assert!((0.0..=1.0).contains(&factor), "a factor of {factor}");
        }
        let _ = network.unfreeze.train_from(&Architecture::named("resnet18").expect("a network"));
        assert!(network.ema_decay(1).is_none_or(|decay| (0.0..1.0).contains(&decay)));
    }
}

fn run(folder: &fuzz::Folder, bytes: &[u8]) {
    let (config, rest) = fuzz::two(bytes);
    let (metrics, unreadable) = fuzz::two(rest);
    folder.put("run/config.toml", config);
    folder.put("run/metrics.jsonl", metrics);
    folder.put("run/unreadable.json", unreadable);
    let Some((run, config)) = fuzz::check(RunDir::open(folder.path().join("run")), FOLDER) else { return };
    settings(&config);
    fuzz::check(run.read_unreadable(), FOLDER);
    if let Some(kept) = fuzz::check(run.keep_metrics(3), FOLDER) {
        assert!(kept.len() <= 3 && kept.is_sorted_by_key(|result| result.epoch));
        fuzz::check(run.write_curves(&kept, Some(1)), FOLDER);
    }
    run.write_config(&config).expect("settings that were read");
    drop(run);
    let (_, again) = RunDir::open(folder.path().join("run")).expect("settings that were written");
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let folder = fuzz::Folder::new();
    fuzz::bounded(fuzz::some(bytes.len()), || match kind % 4 {
        0 => network(&folder, bytes, false),
        1 => network(&folder, bytes, true),
        2 => head(&folder, bytes),
        _ => run(&folder, bytes),
    });
});

// As in `weights`, behind the first byte.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    let is_tensors = size > 9 && data[0] % 4 < 3 && seed % 4 > 0;
    if is_tensors { 1 + fuzz::repair::safetensors(&mut data[1..], size - 1) } else { size }
});
