//! What `train` and `finetune` share: their options, the RUN folder, and what they say while they
//! work.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use indicatif::ProgressBar;

use super::Context;
use super::console::print_json;
use super::run_report::{self, Answers, Ended};
use super::sets::Sets;
use super::sitting::Sitting;
use crate::data::{self, Augment, Preprocess};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::{Architecture, Recompute, TensorSource};
use crate::ops::Precision;
use crate::train::{
    BnMode, Curve, EpochResult, Event, EventFile, Interrupt, NetworkFit, NetworkSettings, Optimizer, RunConfig, RunDir,
    Schedule, Unfreeze, fit_network, sample_images,
};
use crate::weights::{self, NamedTensor};

/// Options of both commands.
#[derive(Debug, Clone, clap::Args)]
pub struct TrainingArgs {
    /// Epochs to run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub epochs: Option<u64>,
    /// Learning rate
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// Share of the targets that is spread over all classes
    #[arg(long, value_name = "E", default_value_t = 0.0, allow_negative_numbers = true)]
    pub label_smoothing: f64,
    /// Weight decay, instead of the optimiser's own
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// SGD's momentum [default: 0.9]
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    pub momentum: Option<f64>,
    /// No weight decay on normalisations and biases
    #[arg(long)]
    pub no_bias_decay: bool,
    /// How the learning rate moves over the run
    #[arg(long, value_enum, value_name = "CURVE")]
    pub lr_schedule: Option<Curve>,
    /// Epochs after which `step` drops the learning rate [default: half and three quarters of the run]
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    pub lr_milestones: Vec<u64>,
    /// What `step` multiplies the learning rate by
    #[arg(long, value_name = "G", default_value_t = 0.1, allow_negative_numbers = true)]
    pub lr_gamma: f64,
    /// Epochs of linear warm-up before that
    #[arg(long, value_name = "N", default_value_t = 0.0, allow_negative_numbers = true)]
    pub warmup_epochs: f64,
    /// Scale gradients down to this norm where they are longer
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub clip_grad_norm: Option<f64>,
    /// Keep a moving average of the weights that decays by this, and validate and save it
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    pub ema: Option<f64>,
    /// Stop after this many epochs without a better one
    #[arg(long, value_name = "N")]
    pub patience: Option<u64>,
    /// Random changes to training images: none, cifar, imagenet, or a list of crop[=PADDING], flip[=P],
    /// resized-crop[=MIN_SCALE], jitter[=STRENGTH]
    #[arg(long, value_name = "LIST", default_value = "none")]
    pub augment: Augment,
    /// What to compute again in the backward pass rather than keep in memory
    #[arg(long, value_enum, default_value_t = Recompute::None)]
    pub recompute: Recompute,
    /// Note the norms of gradients in metrics.jsonl: of all, and of the one that enters each block
    #[arg(long)]
    pub log_gradients: bool,
    /// Show every class equally often: images of small classes several times an epoch, of large ones not all
    #[arg(long)]
    pub balance: bool,
    /// Write each epoch's scalars for TensorBoard too, into RUN/events.out.tfevents.…
    #[arg(long)]
    pub tensorboard: bool,
    /// Keep the images of these classes alone, in this order: a file with a name a line
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
    /// Labelled images to validate on, instead of a part of DATA
    #[arg(long, value_name = "DATA")]
    pub val: Option<PathBuf>,
    /// Share of each class to validate on, where DATA has no held-out part; 0 for none
    #[arg(long, value_name = "F", default_value_t = 0.1, allow_negative_numbers = true)]
    pub val_split: f64,
    /// Print one JSON object at the end
    #[arg(long)]
    pub json: bool,
}

impl TrainingArgs {
    /// The optimiser called `name`, with the weight decay and momentum that were asked for.
    pub fn optimizer(&self, name: &str, weight_decay: Option<f64>) -> Result<Optimizer> {
        let mut optimizer = Optimizer::named(name)?;
        let decay = self.weight_decay.or(weight_decay);
        match &mut optimizer {
            Optimizer::Adam(a) | Optimizer::AdamW(a) => {
                a.weight_decay = decay.unwrap_or(a.weight_decay);
                if self.momentum.is_some() {
                    return Err(Error::Usage(format!("{name} takes no --momentum; leave it out or use sgd")));
                }
            }
            Optimizer::Sgd(a) => {
                a.weight_decay = decay.unwrap_or(a.weight_decay);
                a.momentum = self.momentum.unwrap_or(a.momentum);
            }
        }
        Ok(optimizer)
    }

    /// What is asked of network training in `precision`; `curve` is the schedule where none was named.
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

/// Says on stderr what a run is doing.
pub struct Teller<'a> {
    context: &'a Context<'a>,
    bar: ProgressBar,
    started: Instant,
    events: Option<EventFile>,
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

impl<'a> Teller<'a> {
    /// `events` is the folder for TensorBoard's file, if one is wanted.
    pub fn new(context: &'a Context, events: Option<&Path>) -> Result<Self> {
        let events = events.map(EventFile::create).transpose()?;
        Ok(Self { context, bar: context.console.progress(0, "training"), started: Instant::now(), events })
    }

    fn note(&self, line: String) {
        self.bar.suspend(|| self.context.console.note(line));
    }

    pub fn tell(&mut self, event: Event) {
        match event {
            Event::Progress { progress, sweep, epochs } => {
                let what = if sweep { "sweep" } else { "epoch" };
                let bar = &self.bar;
                bar.set_prefix(format!("{what} {}/{epochs}", progress.epoch));
                bar.set_length(progress.examples[1] as u64);
                bar.set_position(progress.examples[0] as u64);
                let (loss, accuracy) = (progress.train.loss, percent(progress.train.accuracy));
                bar.set_message(format!("loss {loss:.4} accuracy {accuracy}"));
            }
            Event::Tried { trial, number, of } => {
                let found = match trial.val_loss {
                    Some(loss) => format!("{loss:.4}, accuracy {}", percent(trial.val_accuracy)),
                    None => "not finite".into(),
                };
                self.note(format!("learning rate {number}/{of}: {:e}: validation loss {found}", trial.lr));
            }
            Event::Chosen(choice) => {
                let stop = choice
                    .patience
                    .map_or(String::new(), |p| format!(", stopping after {p} epochs without a better one"));
                let (lr, epochs, reason) = (choice.lr, choice.epochs, &choice.reason);
                self.note(format!("learning rate {lr:e}, at most {epochs} epochs{stop}: {reason}"));
            }
            Event::Planned(memory) => {
                let mib = |bytes: u64| bytes.div_ceil(1 << 20);
                self.note(format!(
                    "on the device: {} MiB of activations and gradients, {} MiB of parameters and the optimiser's state",
                    mib(memory.activations),
                    mib(memory.parameters)
                ));
            }
            Event::Skipped(error) => self.bar.suspend(|| self.context.console.complain(error)),
            Event::Resumed { epoch } => self.note(format!("going on after epoch {epoch}")),
            Event::Epoch(e) => {
                // A full disk ends the picture of the run, not the run.
                if let Some(Err(error)) = self.events.as_mut().map(|events| events.epoch(e)) {
                    self.bar.suspend(|| self.context.console.complain(error));
                    self.events = None;
                }
                let val = match (e.val_loss, e.val_accuracy) {
                    (Some(loss), Some(accuracy)) => {
                        format!(", validation loss {loss:.4} accuracy {}", percent(accuracy))
                    }
                    (Some(_), None) => ", validation loss not finite".into(),
                    _ => String::new(),
                };
                let (epoch, loss, accuracy) = (e.epoch, e.train_loss, percent(e.train_accuracy));
                self.note(format!("epoch {epoch:3}: loss {loss:.4} accuracy {accuracy}{val}"));
            }
        }
    }

    /// The last words: how long it took.
    pub fn finish<T>(self, result: Result<T>) -> Result<T> {
        self.bar.finish_and_clear();
        if result.is_ok() {
            self.context.console.note(format!("trained in {:.1} s", self.started.elapsed().as_secs_f64()));
        }
        result
    }
}

/// Writes the tensors of `source` as a model that `infer` needs nothing beside.
pub fn save_model(
    path: &Path,
    architecture: &Architecture,
    classes: &[String],
    preprocess: &Preprocess,
    source: &dyn TensorSource,
) -> Result<()> {
    let preprocess = serde_json::to_string(preprocess).map_err(|e| Error::file(path, e))?;
    let metadata = weights::metadata(architecture, Some(classes), Some(&preprocess))?;
    let specs = architecture.parameters();
    let mut tensors = Vec::with_capacity(specs.len());
    for spec in &specs {
        let values = source.tensor(&spec.name)?;
        // The last step may leave weights that no loss was measured with any more.
        if values.iter().any(|value| !value.is_finite()) {
            let problem = format!("{} is no longer finite after the last step; use a smaller --lr", spec.name);
            return Err(Error::shape("training", problem));
        }
        tensors.push(NamedTensor::new(spec.name.as_str(), &spec.shape, values));
    }
    weights::save(path, &tensors, &metadata)
}

/// The end of a run, as `--json` prints it.
#[derive(serde::Serialize)]
pub struct Summary<'a> {
    /// Paths as text: bytes that are not UTF-8 become U+FFFD.
    pub run: Cow<'a, str>,
    pub model: Cow<'a, str>,
    pub epoch: u64,
    pub lr: f64,
    pub train_loss: Option<f64>,
    pub train_accuracy: Option<f64>,
    pub val_loss: Option<f64>,
    pub val_accuracy: Option<f64>,
    pub stopped_early: bool,
    /// How maps are stored, and with f16 what the loss was multiplied by in the end.
    pub precision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Steps that changed nothing, since a gradient of f16 was not finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<u64>,
}

/// Tells where the network of epoch `epoch` is and how good, and what could not be read.
pub fn report(
    context: &Context,
    json: bool,
    run: &RunDir,
    (epoch, epochs, stopped_early): (u64, &[EpochResult], bool),
    lr: f64,
    failed: usize,
) -> Result<()> {
    let kept = epochs.iter().find(|e| e.epoch == epoch);
    let model = run.model_path();
    let accuracy = kept
        .and_then(|e| e.val_accuracy)
        .map_or(String::new(), |a| format!(" (validation accuracy {:.2} %)", a * 100.0));
    context.console.note(format!("the network of epoch {epoch}{accuracy} is in {}", model.display()));
    if let (Some(skipped), Some(scale)) = (skipped_steps(epochs), epochs.last().and_then(|e| e.loss_scale)) {
        context
            .console
            .note(format!("trained in f16: the loss's scale is {scale}, {skipped} steps were skipped for it"));
    }
    if json {
        print_json(&Summary {
            run: run.path().to_string_lossy(),
            model: model.to_string_lossy(),
            epoch,
            lr,
            train_loss: kept.map(|e| e.train_loss),
            train_accuracy: kept.map(|e| e.train_accuracy),
            val_loss: kept.and_then(|e| e.val_loss),
            val_accuracy: kept.and_then(|e| e.val_accuracy),
            stopped_early,
            precision: context.precision().name(),
            loss_scale: epochs.last().and_then(|e| e.loss_scale),
            skipped_steps: skipped_steps(epochs),
        })?;
    }
    if failed > 0 {
        let images = data::count(failed, "image");
        return Err(Error::Partial(format!("{images} could not be read, and left out")));
    }
    Ok(())
}

/// The steps of all epochs that were skipped, where gradients are f16.
pub fn skipped_steps(epochs: &[EpochResult]) -> Option<u64> {
    epochs.iter().filter_map(|e| e.skipped_steps).reduce(|a, b| a + b)
}

/// A network to train, and on what.
pub struct NetworkJob<'a> {
    pub command: &'static str,
    pub architecture: &'a Architecture,
    /// Where a new run starts.
    pub weights: &'a dyn TensorSource,
    pub preprocess: &'a Preprocess,
    pub sets: Sets,
    /// A run that goes on; a new one's folder is `output`, or a free one.
    pub resumed: Option<RunDir>,
    pub output: Option<&'a Path>,
    pub json: bool,
    pub tensorboard: bool,
    pub interrupt: &'a Interrupt,
}

/// Trains a network and reports.
pub fn train_network(context: &Context, mut job: NetworkJob, config: &RunConfig) -> Result<()> {
    let gpu = context.gpu()?;
    config.network.as_ref().map_or(Ok(()), |network| network.precision.check(gpu.report()))?;
    Sitting::check_stop(context, job.command, job.resumed.as_ref(), job.interrupt)?;
    let sitting = Sitting::begin(context, job.command, job.resumed.take(), job.output, config)?;
    let mut config = config.clone();
    let result = network_sitting(context, &job, &mut config, &gpu, &sitting);
    sitting.end(context, result)
}

fn network_sitting(
    context: &Context,
    job: &NetworkJob,
    config: &mut RunConfig,
    gpu: &Arc<Gpu>,
    sitting: &Sitting,
) -> Result<()> {
    let run = sitting.run();
    let (sets, unreadable) = sitting.readable(context, &job.sets, job.interrupt)?;
    run.keep_images(config, sample_images(&*sets.train), sitting.goes_on())?;
    let classes = sets.train.classes().to_vec();
    let save =
        |path: &Path, tensors: &dyn TensorSource| save_model(path, job.architecture, &classes, job.preprocess, tensors);
    let fit = NetworkFit {
        gpu,
        architecture: job.architecture,
        weights: job.weights,
        preprocess: job.preprocess,
        train: sets.train.clone(),
        val: sets.val.clone(),
        resume: sitting.goes_on(),
        interrupt: job.interrupt,
        save: &save,
    };
    let trainer = fit.trainer(config)?;
    sitting.start()?;
    let mut teller = Teller::new(context, job.tensorboard.then(|| run.path()))?;
    let result = fit_network(&fit, trainer, config, run, &mut |event| teller.tell(event));
    let outcome = teller.finish(result)?;
    let answers = match &sets.val {
        Some(val) => Some(Answers::of_saved(context, run, val, config.training.batch_size)?),
        None => None,
    };
    let ended = Ended {
        command: job.command,
        run,
        config,
        epochs: &outcome.epochs,
        epoch: outcome.epoch,
        stopped_early: outcome.stopped_early,
        sets: &sets,
        network: format!("{}.", job.architecture),
    };
    run_report::write(context, &ended, answers)?;
    let (lr, failed) = (config.training.lr.unwrap_or_default(), unreadable.len() + outcome.failed);
    report(context, job.json, run, (outcome.epoch, &outcome.epochs, outcome.stopped_early), lr, failed)
}
