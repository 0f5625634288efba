//! What `train` and `finetune` share: their options, and how they end.

use std::path::{Path, PathBuf};

use super::console::print_json;
use crate::data::{self, Augment};
use crate::error::{Error, Result};
use crate::model::Recompute;
use crate::ops::Precision;
use crate::runs::{DataChoice, RunSummary};
use crate::train::{BnMode, Curve, NetworkSettings, Optimizer, Schedule, Unfreeze};
use crate::weights::read_names;

/// Options of both commands.
#[derive(Debug, Clone, clap::Args)]
pub struct TrainingArgs {
    /// Epochs to run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub epochs: Option<u64>,
    /// Learning rate
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// Share of the target that is spread over all classes
    #[arg(long, value_name = "E", default_value_t = 0.0, allow_negative_numbers = true)]
    pub label_smoothing: f64,
    /// Weight decay, instead of the optimiser's own
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// SGD's momentum [default: 0.9]
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    pub momentum: Option<f64>,
    /// Apply no weight decay to normalisations and biases
    #[arg(long)]
    pub no_bias_decay: bool,
    /// Schedule of the learning rate over the run
    #[arg(long, value_enum, value_name = "CURVE")]
    pub lr_schedule: Option<Curve>,
    /// Epochs after which `step` drops the learning rate [default: half and three quarters of the run]
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    pub lr_milestones: Vec<u64>,
    /// What `step` multiplies the learning rate by
    #[arg(long, value_name = "G", default_value_t = 0.1, allow_negative_numbers = true)]
    pub lr_gamma: f64,
    /// Epochs of linear warm-up before the schedule
    #[arg(long, value_name = "N", default_value_t = 0.0, allow_negative_numbers = true)]
    pub warmup_epochs: f64,
    /// Scale gradients down to this norm if theirs is larger
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub clip_grad_norm: Option<f64>,
    /// Keep a moving average of the weights with this decay, and validate and save it
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    pub ema: Option<f64>,
    /// Stop after this many epochs without improvement
    #[arg(long, value_name = "N")]
    pub patience: Option<u64>,
    /// Random changes to training images: none, cifar, imagenet, or a list of crop[=PADDING], flip[=P],
    /// resized-crop[=MIN_SCALE], jitter[=STRENGTH]
    #[arg(long, value_name = "LIST", default_value = "none")]
    pub augment: Augment,
    /// What to recompute in the backward pass instead of keeping it in memory
    #[arg(long, value_enum, default_value_t = Recompute::None)]
    pub recompute: Recompute,
    /// Write gradient norms to metrics.jsonl: of all gradients, and of the one that enters each block
    #[arg(long)]
    pub log_gradients: bool,
    /// Show every class equally often: images of small classes several times per epoch, only some of large ones
    #[arg(long)]
    pub balance: bool,
    /// Also write each epoch's scalars for TensorBoard, into RUN/events.out.tfevents.…
    #[arg(long)]
    pub tensorboard: bool,
    /// Keep only images of these classes, in this order: a file with one name per line
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
    /// Labelled images to validate on, instead of a part of DATA
    #[arg(long, value_name = "DATA")]
    pub val: Option<PathBuf>,
    /// Share of each class to validate on, if DATA has no held-out part; 0 for none
    #[arg(long, value_name = "F", default_value_t = 0.1, allow_negative_numbers = true)]
    pub val_split: f64,
    /// Print one JSON object at the end
    #[arg(long)]
    pub json: bool,
}

impl TrainingArgs {
    /// The optimiser called `name`, with the given weight decay and momentum.
    pub fn optimizer(&self, name: &str, weight_decay: Option<f64>) -> Result<Optimizer> {
        Optimizer::with(name, self.weight_decay.or(weight_decay), self.momentum)
    }

    /// The images that a new run sees: those of DATA, which is `data`.
    pub fn data(&self, data: Option<&Path>) -> Result<DataChoice> {
        let data = data.ok_or_else(|| Error::Usage("name the labelled images to train on".into()))?;
        let classes = || self.classes.as_deref().map(read_names).transpose();
        DataChoice::new(data, self.val.as_deref(), self.val_split, classes()?)
    }

    /// The options of network training in `precision`; `curve` is the schedule if none was named.
    pub fn network(
        &self,
        unfreeze: Unfreeze,
        bn: BnMode,
        backbone_lr: Option<f64>,
        curve: Curve,
        precision: Precision,
    ) -> NetworkSettings {
        NetworkSettings {
            unfreeze,
            bn,
            backbone_lr,
            bias_decay: !self.no_bias_decay,
            clip_grad_norm: self.clip_grad_norm,
            ema: self.ema,
            patience: self.patience,
            log_gradients: self.log_gradients,
            recompute: self.recompute,
            precision,
            schedule: Schedule {
                curve: self.lr_schedule.unwrap_or(curve),
                milestones: self.lr_milestones.clone(),
                gamma: self.lr_gamma,
                warmup_epochs: self.warmup_epochs,
            },
            augment: self.augment,
        }
    }
}

/// Prints the end of a run, if requested, and reports what could not be read.
pub fn report(summary: &RunSummary, json: bool) -> Result<()> {
    if json {
        print_json(summary)?;
    }
    match summary.left_out {
        0 => Ok(()),
        failed => {
            let images = data::count(failed, "image");
            Err(Error::Partial(format!("{images} could not be read and were left out")))
        }
    }
}
