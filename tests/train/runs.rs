//! Whole runs: the recipes, the RUN folder, interrupts and resumption.

use std::path::Path;

use gpu_resnet::Error;
use gpu_resnet::train::{Event, Examples, Fit, Interrupt, Outcome, Recipe, RunConfig, RunDir, Settings, fit};

use super::support::{Data, adapter};
use crate::adapters::open_all as adapters;

fn config(settings: Settings) -> RunConfig {
    RunConfig { training: Settings { seed: 3, ..settings }, ..RunConfig::default() }
}

fn notes(epochs: u64) -> RunConfig {
    config(Settings { recipe: Recipe::Notes, lr: Some(1e-3), epochs: Some(epochs), ..Settings::default() })
}

/// Runs to the end in `folder`, or until `stop` says so.
fn run(
    data: &Data,
    folder: &Path,
    config: RunConfig,
    resume: bool,
    mut stop: impl FnMut(&Event) -> bool,
) -> gpu_resnet::Result<(Outcome, RunConfig)> {
    let gpu = adapter();
    let interrupt = Interrupt::new();
    let what =
        Fit { gpu: &gpu, shape: data.shape, train: data.train(), val: Some(data.val()), resume, interrupt: &interrupt };
    let (run, mut config) = if resume { RunDir::open(folder)? } else { (RunDir::create(folder, &config)?, config) };
    let outcome = fit(&what, &mut config, &run, &mut |event| {
        if stop(&event) {
            interrupt.raise();
        }
    })?;
    Ok((outcome, config))
}

fn never(_: &Event) -> bool {
    false
}

/// metrics.jsonl without the times, which differ from run to run.
fn metrics(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics.jsonl");
    let parse = |line: &str| -> serde_json::Value {
        let mut value: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
        value["images_per_second"] = 0.into();
        value
    };
    text.lines().map(parse).collect()
}

#[test]
fn a_run_leaves_its_files() {
    let (data, folder) = (Data::small(), tempfile::tempdir().unwrap());
    let (outcome, config) = run(&data, folder.path(), notes(4), false, never).unwrap();
    assert_eq!((outcome.epochs.len(), outcome.epoch, outcome.stopped_early), (4, 4, false));
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    names.sort();
    let drawn = cfg!(feature = "plots").then_some("curves.svg");
    let expected = ["checkpoint.safetensors", "config.toml"].into_iter().chain(drawn).chain(["metrics.jsonl"]);
    assert_eq!(names, expected.collect::<Vec<_>>());
    let keys = "epoch step train_loss train_accuracy val_loss val_accuracy lr images_per_second";
    for line in std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap().lines() {
        let found: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        assert_eq!(found.join(" "), keys);
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value.as_object().unwrap().values().all(serde_json::Value::is_number), "{line}");
    }
    let last = outcome.epochs.last().unwrap();
    assert_eq!((last.epoch, last.step), (4, 28));
    assert!(last.train_loss < outcome.epochs[0].train_loss && last.lr == 1e-3);
    assert_eq!(RunDir::open(folder.path()).unwrap().1, config);
}

#[test]
fn auto_says_what_it_chose_and_learns() {
    let data = Data::small();
    let folder = tempfile::tempdir().unwrap();
    let mut tried = 0;
    let (outcome, config) = run(&data, folder.path(), config(Settings::default()), false, |event| {
        tried += usize::from(matches!(event, Event::Tried { .. }));
        false
    })
    .unwrap();
    let choice = &outcome.choice;
    assert!(tried == 5 && choice.sweep.len() == 5 && choice.standardize && choice.keep_best);
    let best = choice.sweep.iter().min_by(|a, b| a.val_loss.partial_cmp(&b.val_loss).unwrap()).unwrap();
    assert_eq!(choice.lr, best.lr);
    assert_eq!(config.chosen.as_ref(), Some(choice));
    let kept = outcome.epochs.iter().find(|e| e.epoch == outcome.epoch).unwrap();
    assert!(outcome.epochs.iter().all(|e| e.val_loss >= kept.val_loss), "the best head is kept");
    assert!(kept.val_accuracy.unwrap() > 0.9, "{kept:?}");
    // What is kept is that epoch's head, with the scaling folded in.
    let correct = (0..data.val().len()).filter(|&i| {
        let row = &data.val().features[i * data.shape.features..][..data.shape.features];
        let logit = |k: usize| {
            let weight = &outcome.head.weight[k * data.shape.features..][..data.shape.features];
            weight.iter().zip(row).map(|(w, x)| w * x).sum::<f32>() + outcome.head.bias[k]
        };
        let best = (0..data.shape.classes).max_by(|&a, &b| logit(a).total_cmp(&logit(b)));
        best == Some(data.val().labels[i] as usize)
    });
    assert_eq!(correct.count() as f64 / data.val().len() as f64, kept.val_accuracy.unwrap());
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let data = Data::small();
    for config in [notes(6), config(Settings { epochs: Some(6), ..Settings::default() })] {
        let folder = tempfile::tempdir().unwrap();
        let straight = run(&data, folder.path(), config.clone(), false, never).unwrap().0;
        let wanted = metrics(folder.path());
        // Stopped in the sweep or before the first epoch, inside an epoch, and between two.
        let mut first = true;
        let anywhere = |_: &Event| true;
        let in_the_third =
            |event: &Event| matches!(event, Event::Progress { progress, sweep: false, .. } if progress.epoch == 3);
        let after_the_fourth = |event: &Event| matches!(event, Event::Epoch(result) if result.epoch == 4);
        let folder = tempfile::tempdir().unwrap();
        let stops: [&dyn Fn(&Event) -> bool; 3] = [&anywhere, &in_the_third, &after_the_fourth];
        for (stop, epochs) in stops.into_iter().zip([0, 2, 4]) {
            let error = run(&data, folder.path(), config.clone(), !first, stop).expect_err("an interrupt");
            assert!(matches!(error, Error::Interrupted), "{error}");
            assert!(folder.path().join("checkpoint.safetensors").exists());
            assert_eq!(metrics_or_none(folder.path()), wanted[..epochs]);
            first = false;
        }
        let resumed = run(&data, folder.path(), config, true, never).unwrap().0;
        assert_eq!(resumed.head, straight.head);
        assert_eq!((resumed.epoch, resumed.epochs.len()), (straight.epoch, 6));
        assert_eq!(metrics(folder.path()), wanted);
    }
}

fn metrics_or_none(folder: &Path) -> Vec<serde_json::Value> {
    if folder.join("metrics.jsonl").exists() { metrics(folder) } else { Vec::new() }
}

#[test]
fn a_finished_run_can_be_lengthened() {
    let data = Data::small();
    let (long, short) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let straight = run(&data, long.path(), notes(5), false, never).unwrap().0;
    let (_, mut config) = run(&data, short.path(), notes(2), false, never).unwrap();
    config.training.epochs = Some(5);
    RunDir::open(short.path()).unwrap().0.write_config(&config).unwrap();
    let longer = run(&data, short.path(), config, true, never).unwrap().0;
    assert_eq!(longer.head, straight.head);
}

#[test]
fn early_stopping_stops() {
    // Labels without any relation to the features: the validation loss soon rises.
    let data = Data::small();
    let labels: Vec<u32> = (0..data.val().len()).map(|i| (i * i % 5) as u32).collect();
    let folder = tempfile::tempdir().unwrap();
    let gpu = adapter();
    let interrupt = Interrupt::new();
    let val = gpu_resnet::train::Examples { labels: &labels, ..data.val() };
    let what =
        Fit { gpu: &gpu, shape: data.shape, train: data.train(), val: Some(val), resume: false, interrupt: &interrupt };
    let mut config = config(Settings { lr: Some(1e-2), ..Settings::default() });
    let run = RunDir::create(folder.path(), &config).unwrap();
    let outcome = fit(&what, &mut config, &run, &mut |_| ()).unwrap();
    assert!(outcome.stopped_early && outcome.epochs.len() < 100);
    // It waited as long as it said, and no longer than that after the last progress.
    let (patience, losses) = (outcome.choice.patience.unwrap() as usize, &outcome.epochs);
    let loss = |e: &gpu_resnet::train::EpochResult| e.val_loss.unwrap();
    let (before, waited) = losses.split_at(losses.len() - patience);
    let reached = before.iter().map(loss).fold(f64::INFINITY, f64::min);
    assert!(waited.iter().all(|e| loss(e) > reached * 0.98), "it stopped although the loss fell");
    assert_eq!(outcome.epoch, losses.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap().epoch);
}

#[test]
fn checkpoints_that_do_not_fit_are_refused() {
    let data = Data::small();
    let folder = tempfile::tempdir().unwrap();
    let (_, config) = run(&data, folder.path(), notes(2), false, never).unwrap();
    let resume = |data: &Data| run(data, folder.path(), config.clone(), true, never).err().map(|e| e.to_string());
    assert_eq!(resume(&data), None, "the checkpoint itself is good");
    let wider = Data::new(gpu_resnet::train::HeadShape { features: 38, classes: 5 }, 203, 61);
    assert!(resume(&wider).unwrap().contains("weight is F32 [5, 37]"));
    let more = Data::new(data.shape, 204, 61);
    assert!(resume(&more).unwrap().contains("examples is 203"));
    let path = folder.path().join("checkpoint.safetensors");
    let good = std::fs::read(&path).unwrap();
    let replaced = |from: &[u8], to: &[u8]| {
        let mut bytes = good.clone();
        let at = bytes.windows(from.len()).position(|w| w == from).expect("the text is there");
        bytes[at..at + from.len()].copy_from_slice(to);
        bytes
    };
    let mut infinite = good.clone();
    let end = infinite.len();
    infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    for bytes in [
        Vec::new(),
        b"garbage".to_vec(),
        vec![255; 100],
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0; 1 << 21]].concat(),
        replaced(b"\"step\":\"14\"", b"\"step\":\"-4\""),
        replaced(b"\"seed\":\"3\"", b"\"seed\":\"4\""),
        replaced(b"exp_avg.weight", b"exp_avg.height"),
        infinite,
    ] {
        std::fs::write(&path, bytes).unwrap();
        let message = resume(&data).expect("an error");
        assert!(message.contains("checkpoint.safetensors"), "{message}");
    }
    // Without one, the run begins again.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(resume(&data), None);
}

#[test]
fn every_adapter_can_run_a_recipe() {
    let data = Data::small();
    for gpu in adapters() {
        let folder = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::new();
        let what =
            Fit { gpu: &gpu, shape: data.shape, train: data.train(), val: None, resume: false, interrupt: &interrupt };
        let mut config = config(Settings { epochs: Some(2), ..Settings::default() });
        let run = RunDir::create(folder.path(), &config).unwrap();
        let outcome = fit(&what, &mut config, &run, &mut |_| ()).unwrap();
        assert!(outcome.choice.reason.contains("no validation images"));
        assert_eq!((outcome.epoch, outcome.epochs[1].val_loss), (2, None));
    }
}

#[test]
fn a_run_whose_validation_is_never_finite_fails() {
    let (data, folder) = (Data::small(), tempfile::tempdir().unwrap());
    let (gpu, interrupt) = (adapter(), Interrupt::new());
    // Finite features whose logits are not, once the weights have moved.
    let features = vec![3e38f32; 2 * data.shape.features];
    let val = Some(Examples { features: &features, labels: &[0, 1] });
    let what = Fit { gpu: &gpu, shape: data.shape, train: data.train(), val, resume: false, interrupt: &interrupt };
    let mut config = config(Settings { recipe: Recipe::Notes, lr: Some(1.0), epochs: Some(3), ..Settings::default() });
    let run = RunDir::create(folder.path(), &config).unwrap();
    let error = fit(&what, &mut config, &run, &mut |_| ()).unwrap_err();
    let said = error.to_string();
    assert_eq!(error.exit_status(), 1);
    assert!(
        said.contains("the validation loss was not finite after any of 3 epochs, the first of them epoch 1"),
        "{said}"
    );
    for line in metrics(folder.path()) {
        assert!(
            line["val_loss"].is_null() && line["val_accuracy"].is_null() && line["train_loss"].is_number(),
            "{line}"
        );
    }
}
