//! A whole run of network training: epochs, validation, and the files.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use web_time::Instant;

use super::Interrupt;
use super::data_parallel::{ParallelTrainer, Place, Share, Stepper, Trainers, Worker, Workers};
use super::epochs::{Epochs, Trained};
use super::event::Event;
use super::gradient_norms::Norms;
use super::head_trainer::EpochProgress;
use super::metrics::{EpochResult, Evaluation, Totals};
use super::network_checkpoint::{BestEpoch, Identity, NetworkCheckpoint};
use super::network_settings::NetworkSettings;
use super::network_shared::NetworkOptions;
use super::network_trainer::NetworkTrainer;
use super::read_failures::ReadFailures;
use super::recipe::Settings;
use super::run_dir::{RunConfig, RunDir};
use crate::data::{Dataset, Loader, Preprocess};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, block_on};
use crate::model::{Architecture, InputKind, TensorSource};
use crate::ops::Precision;

/// Writes a network's tensors as a model's file.
pub type SaveModel<'a> = dyn Fn(&Path, &dyn TensorSource) -> Result<()> + 'a;

/// The inputs of a run.
pub struct NetworkFit<'a> {
    pub gpu: &'a Arc<Gpu>,
    pub architecture: &'a Architecture,
    /// Where a new run starts.
    pub weights: &'a dyn TensorSource,
    pub preprocess: &'a Preprocess,
    pub train: Arc<dyn Dataset>,
    /// What the best epoch is chosen by.
    pub val: Option<Arc<dyn Dataset>>,
    /// Goes on from the folder's checkpoint, if it has one.
    pub resume: bool,
    pub interrupt: &'a Interrupt,
    pub save: &'a SaveModel<'a>,
}

/// The result of a run.
#[derive(Debug)]
pub struct NetworkOutcome {
    /// The epoch that model.safetensors is from.
    pub epoch: u64,
    /// The epochs in order.
    pub epochs: Vec<EpochResult>,
    /// Whether patience ended it.
    pub stopped_early: bool,
    /// Images that could not be read any more.
    pub failed: usize,
}

/// Batches that may wait to be validated.
const PREFETCH: usize = 2;
/// What errors call it.
const OP: &str = "training";

impl NetworkFit<'_> {
    /// Sets up the device for the run, before anything is written to disk.
    ///
    /// # Errors
    /// For settings that make no sense, and [`Error::OutOfMemory`] if the batch is too large for the device.
    pub fn trainer(&self, config: &RunConfig) -> Result<NetworkTrainer> {
        let options = options(config, self.preprocess)?;
        NetworkTrainer::new(self.gpu, self.architecture, self.weights, options, self.train.len())
    }

    /// The same for a run that `workers` share with `self.gpu`, which is the first of the adapters.
    ///
    /// # Errors
    /// Those of [`Self::trainer`].
    pub fn parallel_trainer(&self, config: &RunConfig, workers: Box<dyn Workers>) -> Result<ParallelTrainer> {
        let options = options(config, self.preprocess)?;
        let place = Place { index: 0, count: workers.count() + 1 };
        let share = Share::new(&self.train, self.preprocess, &config.training, &options.network, place);
        let trainer = NetworkTrainer::unplanned(self.gpu, self.architecture, self.weights, options)?;
        ParallelTrainer::new(trainer, share, workers)
    }

    /// The worker on another adapter of such a run, `gpu`, whose place among all of them is `place`.
    ///
    /// # Errors
    /// Those of [`Self::trainer`].
    pub fn worker(&self, gpu: &Arc<Gpu>, config: &RunConfig, place: Place) -> Result<Worker> {
        let options = options(config, self.preprocess)?;
        let data = (&self.train, self.preprocess);
        Worker::new(gpu, self.architecture, self.weights, options, &config.training, data, place)
    }
}

/// The options of the trainer of a run with `config`.
pub(crate) fn options(config: &RunConfig, preprocess: &Preprocess) -> Result<NetworkOptions> {
    let (settings, network, lr, _) = required(config)?;
    settings.check()?;
    let Preprocess { mean, std, crop, .. } = *preprocess;
    Ok(NetworkOptions {
        head: settings.options(lr),
        network: network.clone(),
        input: InputKind::Pixels { mean, std },
        size: [crop as usize; 2],
    })
}

/// The settings of network training, with the learning rate and the number of epochs, which must be there.
fn required(config: &RunConfig) -> Result<(&Settings, &NetworkSettings, f64, u64)> {
    match (&config.network, config.training.lr, config.training.epochs) {
        (Some(network), Some(lr), Some(epochs)) => Ok((&config.training, network, lr, epochs)),
        _ => Err(Error::Usage("network training needs its settings, a learning rate and a number of epochs".into())),
    }
}

/// Trains as `config` says (its `network`, `epochs` and `lr` must be there) and keeps `run` up to date, and model.safetensors with the
/// best epoch so far. The best is that of the highest validation accuracy, then of the lowest loss; without validation images it is the
/// last.
///
/// # Errors
/// [`Error::Interrupted`] once `fit.interrupt` is raised; the checkpoint of the last whole epoch is then on disk.
pub fn fit_network(
    fit: &NetworkFit,
    trainers: impl Into<Trainers>,
    config: &RunConfig,
    run: &RunDir,
    events: &mut dyn FnMut(Event),
) -> Result<NetworkOutcome> {
    let (settings, network, lr, most) = required(config)?;
    let mut stepper = Stepper::new(trainers.into(), &fit.train, fit.preprocess, settings, network);
    events(Event::Planned(stepper.memory()));
    let identity = identity(settings, network, fit, stepper.count())?;
    let trainer = &mut stepper.trainer;
    let checkpoint = match fit.resume {
        true => NetworkCheckpoint::read(&run.checkpoint_path(), trainer, &identity)?,
        false => None,
    };
    let now = match checkpoint {
        Some(checkpoint) => {
            trainer.restore(&checkpoint.state)?;
            events(Event::Resumed { epoch: checkpoint.epoch });
            checkpoint
        }
        None => {
            let start = NetworkCheckpoint { epoch: 0, state: block_on(trainer.state())?, best: None };
            start.write(&run.checkpoint_path(), trainer, &identity)?;
            start
        }
    };
    let validated = fit.val.is_some();
    let patience = network.patience.filter(|_| validated);
    let epochs = Epochs { run: Some(run), most, patience, interrupt: fit.interrupt, validated, op: OP, lr };
    let failures = ReadFailures::default();
    let mut job = Job { fit, settings, network, lr, most, run, stepper, identity, now, failures };
    let (epochs, stopped_early) = block_on(epochs.train(&mut job, events))?;
    Ok(NetworkOutcome { epoch: job.finish()?, epochs, stopped_early, failed: job.failures.count() })
}

/// The state of a run.
struct Job<'a> {
    fit: &'a NetworkFit<'a>,
    settings: &'a Settings,
    network: &'a NetworkSettings,
    lr: f64,
    /// Epochs at most.
    most: u64,
    run: &'a RunDir,
    stepper: Stepper,
    identity: Identity,
    now: NetworkCheckpoint,
    failures: ReadFailures,
}

impl Trained for Job<'_> {
    fn epoch(&self) -> u64 {
        self.now.epoch
    }

    fn best_epoch(&self) -> Option<u64> {
        self.now.best.map(|best| best.epoch)
    }

    fn milestone(&self) -> u64 {
        self.now.best.map_or(0, |best| best.epoch)
    }

    async fn train(&mut self, epoch: u64, events: &mut dyn FnMut(Event)) -> Result<EpochResult> {
        let train = &self.fit.train;
        let skipped = self.stepper.trainer.loss_scale().map_or(0, |scale| scale.skipped);
        let pass = self.steps(epoch, events)?;
        if pass.seen == 0 {
            let problem =
                format!("can't be read any more in epoch {epoch}, nor can any other image; bring the data back");
            return Err(Error::file(train.name(0), problem));
        }
        let mean = pass.totals.mean();
        let val = self.validate(events)?;
        let (grad_norm, block_gradients) = pass.norms.mean();
        Ok(EpochResult {
            epoch,
            step: self.stepper.trainer.steps(),
            train_loss: mean.loss,
            train_accuracy: mean.accuracy,
            val_loss: val.map(|v| v.loss),
            val_accuracy: val.filter(Evaluation::is_finite).map(|v| v.accuracy),
            lr: self.lr * pass.factor,
            images_per_second: pass.seen as f64 / pass.seconds.max(1e-9),
            grad_norm,
            block_gradients,
            loss_scale: self.stepper.trainer.loss_scale().map(|scale| scale.scale.into()),
            skipped_steps: self.stepper.trainer.loss_scale().map(|scale| scale.skipped - skipped),
            adapters: self.stepper.take_times(),
        })
    }

    async fn keep(&mut self, result: &EpochResult) -> Result<()> {
        let now = &mut self.now;
        now.epoch = result.epoch;
        now.state = block_on(self.stepper.trainer.state())?;
        if let Some(best) = better(now.best, result) {
            (self.fit.save)(&self.run.model_path(), now.state.model())?;
            now.best = Some(best);
        }
        now.write(&self.run.checkpoint_path(), &self.stepper.trainer, &self.identity)
    }
}

/// What was measured while an epoch trained.
struct Steps {
    totals: Totals,
    norms: Norms,
    /// Images.
    seen: usize,
    /// The schedule's at the last step.
    factor: f64,
    seconds: f64,
}

impl Job<'_> {
    /// The steps of epoch `epoch`.
    fn steps(&mut self, epoch: u64, events: &mut dyn FnMut(Event)) -> Result<Steps> {
        let [examples, steps] = self.stepper.length();
        let started = Instant::now();
        let (totals, norms) = (Totals::default(), Norms::default());
        let mut pass = Steps { totals, norms, seen: 0, factor: 1.0, seconds: 0.0 };
        for step in 1..=steps {
            self.fit.interrupt.check()?;
            let factor = self.network.schedule.factor(self.stepper.trainer.steps(), steps as u64, self.most);
            let made = self.stepper.step(epoch, step - 1, factor)?;
            let failures: Vec<_> = made.failures.into_iter().map(|(image, why)| (image, Error::Partial(why))).collect();
            self.failures.note(&failures, false, events);
            // A batch without any image makes no step.
            let Some(result) = made.result else { continue };
            pass.factor = factor;
            if !result.summary[0].is_finite() {
                return Err(self.not_finite(epoch, step));
            }
            pass.totals.add(result.summary);
            pass.norms.add(&result);
            pass.seen += made.images;
            let (steps, examples) = ([step, steps], [pass.seen, examples]);
            let progress = EpochProgress { epoch, steps, examples, train: pass.totals.mean() };
            events(Event::Progress { progress: &progress, sweep: false, epochs: self.most });
        }
        pass.seconds = started.elapsed().as_secs_f64();
        Ok(pass)
    }

    fn not_finite(&self, epoch: u64, step: usize) -> Error {
        let lr = self.lr;
        // What f16 can't hold, no learning rate mends.
        let first = if self.network.precision == Precision::F16 {
            "use --precision f32, since f16 ends at 65504, or"
        } else {
            "use"
        };
        let problem = format!(
            "the loss is no longer finite in step {step} of epoch {epoch}; {first} a smaller --lr than {lr}, or clip the gradients"
        );
        Error::shape(OP, problem)
    }

    /// Leaves the network to use in model.safetensors, and the last one beside it if that is another; the epoch of the first.
    fn finish(&self) -> Result<u64> {
        let now = &self.now;
        match now.best {
            Some(best) if best.epoch < now.epoch => {
                (self.fit.save)(&self.run.last_path(), now.state.model())?;
                Ok(best.epoch)
            }
            Some(best) => Ok(best.epoch),
            None => {
                (self.fit.save)(&self.run.model_path(), now.state.model())?;
                Ok(now.epoch)
            }
        }
    }

    fn validate(&mut self, events: &mut dyn FnMut(Event)) -> Result<Option<Evaluation>> {
        let Some(val) = &self.fit.val else {
            return Ok(None);
        };
        let rows = self.settings.batch_size.min(val.len());
        let loader = Loader::new(val.clone(), (0..val.len()).collect(), rows, self.fit.preprocess.clone(), PREFETCH)?;
        let mut totals = Totals::default();
        for batch in loader {
            self.fit.interrupt.check()?;
            self.failures.note(&batch.failures, true, events);
            if !batch.indices.is_empty() {
                let targets: Vec<u32> = batch.indices.iter().map(|&i| val.label(i) as u32).collect();
                totals.add(block_on(self.stepper.trainer.validate(rows, &batch.pixels, &targets))?);
            }
        }
        match totals.is_empty() {
            false => Ok(Some(totals.mean())),
            true => {
                let problem = "can't be read any more, nor can any other image to validate on; bring the data back";
                Err(Error::file(val.name(0), problem))
            }
        }
    }
}

/// The new best epoch, if `result` is one.
fn better(best: Option<BestEpoch>, result: &EpochResult) -> Option<BestEpoch> {
    let (val_loss, val_accuracy) = (result.val_loss?, result.val_accuracy?);
    let better = best.is_none_or(|best| {
        val_accuracy > best.val_accuracy || (val_accuracy == best.val_accuracy && val_loss < best.val_loss)
    });
    (better && val_loss.is_finite()).then_some(BestEpoch { epoch: result.epoch, val_loss, val_accuracy })
}

fn identity(settings: &Settings, network: &NetworkSettings, fit: &NetworkFit, workers: usize) -> Result<Identity> {
    let mut labels = Sha256::new();
    (0..fit.train.len()).for_each(|i| labels.update((fit.train.label(i) as u32).to_le_bytes()));
    let text = |error: &dyn std::fmt::Display| Error::Usage(format!("the settings can't be written: {error}"));
    let lr = settings.lr.unwrap_or_default();
    // Settings that do not affect the result may differ when a run is resumed.
    let settled =
        NetworkSettings { patience: None, recompute: Default::default(), log_gradients: false, ..network.clone() };
    Ok(vec![
        ("version", "1".to_owned()),
        ("architecture", fit.architecture.to_json()?),
        ("preprocess", serde_json::to_string(fit.preprocess).map_err(|e| text(&e))?),
        ("optimizer", format!("{:?}", settings.optimizer)),
        ("lr", lr.to_string()),
        ("batch_size", settings.batch_size.to_string()),
        ("adapters", workers.to_string()),
        ("label_smoothing", settings.label_smoothing.to_string()),
        ("seed", settings.seed.to_string()),
        ("network", toml::to_string(&settled).map_err(|e| text(&e))?),
        ("examples", format!("{}{}", fit.train.len(), if settings.balance { ", balanced" } else { "" })),
        ("labels", format!("{:x}", labels.finalize())),
    ])
}
