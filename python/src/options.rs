//! The keywords of Python's functions, as JSON: what the commands' options are.

use std::path::PathBuf;
use std::sync::Arc;

use gpu_resnet::gpu::{AdapterChoice, BackendName};
use gpu_resnet::model::Recompute;
use gpu_resnet::ops::Precision;
use gpu_resnet::predict::NetworkSource;
use gpu_resnet::runs::{DataChoice, TrainRun, train_architecture};
use gpu_resnet::runtime::{Reporter, Runtime};
use gpu_resnet::train::{BnMode, Curve, Interrupt, NetworkSettings, Optimizer, Recipe, Schedule, Settings};
use gpu_resnet::weights::{Overrides, default_preprocess};
use gpu_resnet::{Error, FineTune, Result};
use serde::Deserialize;

/// What a task runs on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Numbers or names; empty for the best adapter.
    #[serde(default)]
    pub adapters: Vec<String>,
    #[serde(default)]
    pub backend: Option<BackendName>,
    #[serde(default)]
    pub precision: Option<String>,
    #[serde(default)]
    pub offline: bool,
    #[serde(default = "yes")]
    pub tuned: bool,
}

fn yes() -> bool {
    true
}

impl Machine {
    pub fn runtime(&self, reporter: Arc<dyn Reporter>) -> Result<Runtime> {
        let choice = |adapter| AdapterChoice { adapter, backend: self.backend };
        let adapters = match self.adapters.is_empty() {
            true => vec![choice(None)],
            false => self.adapters.iter().map(|name| choice(Some(name.clone()))).collect(),
        };
        let precision = precision(self.precision.as_deref().unwrap_or("f32"))?;
        let (tuned, offline) = (self.tuned, self.offline);
        Ok(Runtime { adapters, precision, tuned, offline, reporter, ..Runtime::default() })
    }
}

fn precision(name: &str) -> Result<Precision> {
    let known = Precision::ALL.into_iter().find(|precision| precision.name() == name);
    known.ok_or_else(|| Error::Usage(format!("precision {name:?} is not known; use f32 or f16")))
}

/// Which network.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    #[serde(default)]
    pub weights: Option<String>,
    #[serde(default)]
    pub image_size: Option<u32>,
    #[serde(default)]
    pub overrides: Overrides,
}

impl Source {
    pub fn into_source(self) -> NetworkSource {
        let Self { weights, image_size, overrides } = self;
        NetworkSource { weights: weights.map(Into::into), image_size, overrides }
    }
}

/// The options of `finetune`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuneOptions {
    pub data: PathBuf,
    pub features: Vec<PathBuf>,
    pub val: Option<PathBuf>,
    pub val_split: f64,
    pub classes: Option<Vec<String>>,
    pub source: Source,
    pub machine: Machine,
    pub recipe: Recipe,
    pub lr: Option<f64>,
    pub epochs: Option<u64>,
    pub batch_size: usize,
    pub label_smoothing: f64,
    pub balance: bool,
    pub seed: u64,
    pub optimizer: String,
    pub weight_decay: Option<f64>,
    pub momentum: Option<f64>,
    pub unfreeze: String,
    pub bn: BnMode,
    pub backbone_lr: Option<f64>,
    pub bias_decay: bool,
    pub clip_grad_norm: Option<f64>,
    pub ema: Option<f64>,
    pub patience: Option<u64>,
    pub log_gradients: bool,
    pub recompute: Recompute,
    pub augment: String,
    pub lr_schedule: Option<Curve>,
    pub lr_milestones: Vec<u64>,
    pub lr_gamma: f64,
    pub warmup_epochs: f64,
    pub tensorboard: bool,
}

impl FineTuneOptions {
    /// The run that they describe.
    pub fn run(self, reporter: Arc<dyn Reporter>, stop: &Interrupt) -> Result<FineTune> {
        let runtime = self.machine.runtime(reporter)?;
        self.fine_tune(runtime, stop)
    }

    /// The same on `runtime`.
    pub fn fine_tune(self, runtime: Runtime, stop: &Interrupt) -> Result<FineTune> {
        let network = self.network(runtime.precision, Curve::default())?;
        Ok(FineTune {
            training: self.training()?,
            network,
            features: self.features,
            val: self.val,
            val_split: self.val_split,
            classes: self.classes,
            source: self.source.into_source(),
            curve: self.lr_schedule,
            tensorboard: self.tensorboard,
            runtime,
            interrupt: stop.clone(),
            ..FineTune::new(self.data)
        })
    }

    fn training(&self) -> Result<Settings> {
        Ok(Settings {
            recipe: self.recipe,
            lr: self.lr,
            epochs: self.epochs,
            batch_size: self.batch_size,
            label_smoothing: self.label_smoothing,
            balance: self.balance,
            seed: self.seed,
            optimizer: Optimizer::with(&self.optimizer, self.weight_decay, self.momentum)?,
        })
    }

    /// `curve` is the schedule if none was named.
    fn network(&self, precision: Precision, curve: Curve) -> Result<NetworkSettings> {
        let schedule = Schedule {
            curve: self.lr_schedule.unwrap_or(curve),
            milestones: self.lr_milestones.clone(),
            gamma: self.lr_gamma,
            warmup_epochs: self.warmup_epochs,
        };
        Ok(NetworkSettings {
            unfreeze: self.unfreeze.parse()?,
            bn: self.bn,
            backbone_lr: self.backbone_lr,
            bias_decay: self.bias_decay,
            clip_grad_norm: self.clip_grad_norm,
            ema: self.ema,
            patience: self.patience,
            log_gradients: self.log_gradients,
            recompute: self.recompute,
            precision,
            schedule,
            augment: self.augment.parse()?,
        })
    }
}

/// The options of a run that several processes share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelOptions {
    /// The network to train from scratch; none to fine-tune one.
    pub arch: Option<String>,
    pub shortcut: Option<String>,
    pub stride_in: Option<String>,
    pub options: FineTuneOptions,
}

impl ParallelOptions {
    /// The run from scratch that they describe.
    pub fn train_run(self, precision: Precision) -> Result<TrainRun> {
        let Self { arch, shortcut, stride_in, options } = self;
        let name = arch.unwrap_or_default();
        let architecture = train_architecture(&name, shortcut.as_deref(), stride_in.as_deref())?;
        let preprocess = match options.source.image_size {
            Some(size) => default_preprocess(&architecture).with_image_size(size)?,
            None => default_preprocess(&architecture),
        };
        let (val, classes) = (options.val.as_deref(), options.classes.clone());
        let data = DataChoice::new(&options.data, val, options.val_split, classes)?;
        let network = options.network(precision, Curve::Cosine)?;
        TrainRun::begin(data, &architecture, &preprocess, options.training()?, network)
    }
}

/// Reads the JSON that the Python half wrote.
pub fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Error::Usage(format!("an argument can't be used: {error}")))
}
