//! Whole runs of network training: images that can't be read any more, a disk that is full, and going on afterwards.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use gpu_resnet::data::{Dataset, Preprocess, Rgb8};
use gpu_resnet::model::{Architecture, TensorSource};
use gpu_resnet::train::{
    Event, Interrupt, NetworkFit, NetworkOutcome, NetworkSettings, RunConfig, RunDir, Settings, fit_network, fresh,
};
use gpu_resnet::{Error, Result};

use super::support::adapter;

/// Images of two classes. From an epoch on, some can't be read.
pub struct Images {
    classes: Vec<String>,
    count: usize,
    lost: Vec<usize>,
    from: u64,
    epoch: AtomicU64,
}

impl Images {
    /// Seven images.
    fn new(lost: &[usize], from: u64) -> Arc<Self> {
        Self::of(7, lost, from)
    }

    pub fn of(count: usize, lost: &[usize], from: u64) -> Arc<Self> {
        let classes = vec!["a".into(), "b".into()];
        Arc::new(Self { classes, count, lost: lost.to_vec(), from, epoch: AtomicU64::new(1) })
    }
}

impl Dataset for Images {
    fn len(&self) -> usize {
        self.count
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, i: usize) -> String {
        format!("image {i}")
    }

    fn label(&self, i: usize) -> usize {
        i % 2
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        if self.lost.contains(&i) && self.epoch.load(SeqCst) >= self.from {
            return Err(Error::file(self.name(i), "is lost"));
        }
        Ok(Rgb8 { width: 8, height: 8, pixels: pixels(i) })
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        Ok([i as u8; 32])
    }
}

/// The 8 x 8 pixels of image `i`.
pub fn pixels(i: usize) -> Vec<u8> {
    (0..8 * 8 * 3).map(|at| ((at * (i + 3) * 7) % 251) as u8).collect()
}

fn architecture() -> Architecture {
    let json = r#"{"block": "basic", "depths": [1], "widths": [8], "expansion": 1, "stem": {"kind": "cifar", "width": 8},
                   "classes": 2}"#;
    Architecture::from_json(json).unwrap()
}

fn config(batch_size: usize, epochs: u64) -> RunConfig {
    let training = Settings { lr: Some(0.05), epochs: Some(epochs), batch_size, ..Settings::default() };
    RunConfig { training, network: Some(NetworkSettings::default()), ..RunConfig::default() }
}

/// What a run came to, and what it said of images.
struct Ran {
    result: Result<NetworkOutcome>,
    skipped: Vec<String>,
}

impl Ran {
    fn model(self, folder: &Path) -> Vec<u8> {
        self.result.unwrap();
        std::fs::read(folder.join("model.safetensors")).unwrap()
    }
}

/// Runs in `folder` until `stop` says so, from its checkpoint if it has one.
fn run(folder: &Path, images: &Arc<Images>, config: &RunConfig, mut stop: impl FnMut(&Event) -> bool) -> Ran {
    let run = match folder.join("config.toml").exists() {
        true => RunDir::open(folder).unwrap().0,
        false => RunDir::create(folder, config).unwrap(),
    };
    let (gpu, architecture, interrupt) = (adapter(), architecture(), Interrupt::new());
    let save = |path: &Path, tensors: &dyn TensorSource| {
        let bytes: Vec<u8> = architecture
            .parameters()
            .iter()
            .flat_map(|spec| {
                tensors.tensor(&spec.name).unwrap().iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>()
            })
            .collect();
        std::fs::write(path, bytes).map_err(|error| Error::file(path, error))
    };
    let fit = NetworkFit {
        gpu: &gpu,
        architecture: &architecture,
        weights: &fresh(&architecture, 1),
        preprocess: &Preprocess { resize: 8, crop: 8, ..Preprocess::default() },
        train: images.clone(),
        val: None,
        resume: run.has_checkpoint(),
        interrupt: &interrupt,
        save: &save,
    };
    let mut skipped = Vec::new();
    let result = fit.trainer(config).and_then(|trainer| {
        fit_network(&fit, trainer, config, &run, &mut |event| {
            if stop(&event) {
                interrupt.raise();
            }
            match event {
                Event::Skipped(error) => skipped.push(error.to_string()),
                Event::Resumed { epoch } => images.epoch.store(epoch + 1, SeqCst),
                Event::Epoch(result) => images.epoch.store(result.epoch + 1, SeqCst),
                _ => {}
            }
        })
    });
    Ran { result, skipped }
}

fn after(epoch: u64) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Epoch(result) if result.epoch == epoch)
}

#[test]
fn an_image_that_is_lost_midway_ends_no_run() {
    // Alone in its batch, and beside others.
    for batch_size in [1, 3] {
        let [whole, stopped, untouched] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let config = config(batch_size, 4);
        let ran = run(whole.path(), &Images::new(&[4], 2), &config, |_| false);
        assert_eq!(ran.skipped, ["image 4: is lost"], "each is named once");
        let outcome = ran.result.as_ref().unwrap();
        assert_eq!((outcome.failed, outcome.epochs.len()), (1, 4));
        let wanted = ran.model(whole.path());

        let images = Images::new(&[4], 2);
        let ran = run(stopped.path(), &images, &config, after(3));
        assert!(matches!(ran.result, Err(Error::Interrupted)));
        let ran = run(stopped.path(), &images, &config, |_| false);
        assert_eq!(ran.skipped, ["image 4: is lost"]);
        assert!(ran.model(stopped.path()) == wanted, "batches of {batch_size}: the run differs after it was resumed");
        // Negative control: the image counts where it can be read.
        assert!(run(untouched.path(), &Images::new(&[], 0), &config, |_| false).model(untouched.path()) != wanted);
    }
}

#[test]
fn an_epoch_without_any_image_ends_a_run_that_can_go_on() {
    let [whole, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let config = config(7, 3);
    let wanted = run(whole.path(), &Images::new(&[], 0), &config, |_| false).model(whole.path());
    let ran = run(stopped.path(), &Images::new(&[0, 1, 2, 3, 4, 5, 6], 2), &config, |_| false);
    let said = ran.result.unwrap_err().to_string();
    assert!(said.contains("image 0: can't be read any more in epoch 2, nor can any other image"), "{said}");
    assert_eq!(ran.skipped.len(), 7);
    let ran = run(stopped.path(), &Images::new(&[], 0), &config, |_| false);
    assert!(ran.model(stopped.path()) == wanted, "the run differs after its data came back");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_a_run_that_can_go_on() {
    let [whole, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let config = config(2, 3);
    let wanted = run(whole.path(), &Images::new(&[], 0), &config, |_| false).model(whole.path());
    let metrics = stopped.path().join("metrics.jsonl");
    let ran = run(stopped.path(), &Images::new(&[], 0), &config, |event| {
        if after(1)(event) {
            std::fs::rename(&metrics, stopped.path().join("kept")).unwrap();
            std::os::unix::fs::symlink("/dev/full", &metrics).unwrap();
        }
        false
    });
    let said = ran.result.unwrap_err().to_string();
    assert!(said.contains("metrics.jsonl: could not be written: No space left on device"), "{said}");
    std::fs::rename(stopped.path().join("kept"), &metrics).unwrap();
    let ran = run(stopped.path(), &Images::new(&[], 0), &config, |_| false);
    assert_eq!(ran.result.as_ref().unwrap().epochs.len(), 3);
    assert!(ran.model(stopped.path()) == wanted, "the run differs after there was space again");
}
