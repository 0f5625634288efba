//! A whole run of network training: epochs, validation, and what is kept of them on disk.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::Interrupt;
use super::fit::Event;
use super::head_trainer::EpochProgress;
use super::metrics::{BlockGradient, EpochResult, Evaluation, Totals, never_finite};
use super::network_checkpoint::{BestEpoch, Identity, NetworkCheckpoint};
use super::network_settings::{BnMode, NetworkSettings};
use super::network_shared::NetworkOptions;
use super::network_step::StepResult;
use super::network_trainer::NetworkTrainer;
use super::recipe::Settings;
use super::run_dir::{RunConfig, RunDir};
use crate::data::{Batch, Dataset, Loader, Preprocess, balanced_indices, shuffled_indices};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::{Architecture, InputKind, TensorSource};
use crate::ops::Precision;
use crate::ops::cross_entropy::IGNORE;

/// Writes a network's tensors as a model's file.
pub type SaveModel<'a> = dyn Fn(&Path, &dyn TensorSource) -> Result<()> + 'a;

/// What is trained on what.
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

/// What came of a run.
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

/// Batches that may wait to be trained on.
const PREFETCH: usize = 2;
/// Pictures are redrawn at most this often.
const CURVES: Duration = Duration::from_secs(2);

impl NetworkFit<'_> {
    /// What the run needs of the device, made before anything of it is on disk.
    ///
    /// # Errors
    /// For settings that make no sense, and [`Error::OutOfMemory`] if the batch is too large for the device.
    pub fn trainer(&self, config: &RunConfig) -> Result<NetworkTrainer> {
        let (settings, network, lr, _) = asked(config)?;
        settings.check()?;
        let Preprocess { mean, std, crop, .. } = *self.preprocess;
        let options = NetworkOptions {
            head: settings.options(lr),
            network: network.clone(),
            input: InputKind::Pixels { mean, std },
            size: [crop as usize; 2],
        };
        NetworkTrainer::new(self.gpu, self.architecture, self.weights, options, self.train.len())
    }
}

/// The settings of network training, with the learning rate and the number of epochs, which must be there.
fn asked(config: &RunConfig) -> Result<(&Settings, &NetworkSettings, f64, u64)> {
    match (&config.network, config.training.lr, config.training.epochs) {
        (Some(network), Some(lr), Some(epochs)) => Ok((&config.training, network, lr, epochs)),
        _ => Err(Error::Usage("network training needs its settings, a learning rate and a number of epochs".into())),
    }
}

/// Trains as `config` says (its `network`, `epochs` and `lr` must be there) and keeps `run` up to date: after each epoch its
/// line of metrics.jsonl, model.safetensors if it is the best so far, then the checkpoint, so that a run that is killed loses
/// at most the current epoch. The best is that of the highest validation accuracy, then of the lowest loss; without validation
/// images it is the last.
///
/// # Errors
/// [`Error::Interrupted`] once `fit.interrupt` is raised; the checkpoint of the last whole epoch is then on disk.
pub fn fit_network(
    fit: &NetworkFit,
    trainer: NetworkTrainer,
    config: &RunConfig,
    run: &RunDir,
    events: &mut dyn FnMut(Event),
) -> Result<NetworkOutcome> {
    let (settings, network, _, epochs) = asked(config)?;
    events(Event::Planned(trainer.memory()));
    let identity = identity(settings, network, fit)?;
    let checkpoint = match fit.resume {
        true => NetworkCheckpoint::read(&run.checkpoint_path(), &trainer, &identity)?,
        false => None,
    };
    let mut job = Job { fit, settings, network, trainer, epochs, failed: Failed::default() };
    let mut now = match checkpoint {
        Some(checkpoint) => {
            job.trainer.restore(&checkpoint.state)?;
            events(Event::Resumed { epoch: checkpoint.epoch });
            checkpoint
        }
        None => {
            let start = NetworkCheckpoint { epoch: 0, state: job.trainer.state()?, best: None };
            start.write(&run.checkpoint_path(), &job.trainer, &identity)?;
            start
        }
    };
    let mut results = run.keep_metrics(now.epoch)?;
    let (mut drawn, mut stopped_early) = (Instant::now(), false);
    while now.epoch < epochs {
        let waited = now.epoch - now.best.map_or(0, |best| best.epoch);
        if network.patience.is_some_and(|patience| fit.val.is_some() && waited >= patience) {
            stopped_early = true;
            break;
        }
        fit.interrupt.check()?;
        let result = job.epoch(now.epoch + 1, events)?;
        now.epoch = result.epoch;
        run.append_metrics(&result)?;
        now.state = job.trainer.state()?;
        if let Some(best) = better(now.best, &result) {
            (fit.save)(&run.model_path(), now.state.model())?;
            now.best = Some(best);
        }
        now.write(&run.checkpoint_path(), &job.trainer, &identity)?;
        results.push(result);
        if drawn.elapsed() > CURVES {
            run.write_curves(&results, now.best.map(|best| best.epoch))?;
            drawn = Instant::now();
        }
        if let Some(result) = results.last() {
            events(Event::Epoch(result));
        }
    }
    run.write_curves(&results, now.best.map(|best| best.epoch))?;
    if fit.val.is_some() && now.best.is_none() && !results.is_empty() {
        return Err(never_finite("training", &results, settings.lr.unwrap_or_default()));
    }
    let epoch = match now.best {
        Some(best) if best.epoch < now.epoch => {
            (fit.save)(&run.last_path(), now.state.model())?;
            best.epoch
        }
        Some(best) => best.epoch,
        None => {
            (fit.save)(&run.model_path(), now.state.model())?;
            now.epoch
        }
    };
    Ok(NetworkOutcome { epoch, epochs: results, stopped_early, failed: job.failed.0.len() })
}

/// A run's moving parts.
struct Job<'a> {
    fit: &'a NetworkFit<'a>,
    settings: &'a Settings,
    network: &'a NetworkSettings,
    trainer: NetworkTrainer,
    epochs: u64,
    failed: Failed,
}

/// Images that could not be read although they could before: of the validation images or not, with their numbers.
#[derive(Default)]
struct Failed(BTreeSet<(bool, usize)>);

impl Failed {
    /// Passes on which images of `batch` could not be read, each once.
    fn note(&mut self, batch: &Batch, held_out: bool, events: &mut dyn FnMut(Event)) {
        for (image, error) in &batch.failures {
            if self.0.insert((held_out, *image)) {
                events(Event::Skipped(error));
            }
        }
    }
}

impl Job<'_> {
    /// Trains epoch `epoch` (from 1) and validates.
    fn epoch(&mut self, epoch: u64, events: &mut dyn FnMut(Event)) -> Result<EpochResult> {
        let (settings, train) = (self.settings, &self.fit.train);
        let rows = settings.batch_size.min(train.len());
        let mut order = match settings.balance {
            false => shuffled_indices(train.len(), settings.seed, epoch),
            true => {
                let labels: Vec<usize> = (0..train.len()).map(|i| train.label(i)).collect();
                balanced_indices(&labels, settings.seed, epoch)
            }
        };
        if order.len() % rows == 1 && rows > 1 && self.network.bn == BnMode::Train {
            // A batch of one image has no variance to normalise by where a feature map is a single pixel.
            order.pop();
        }
        let (examples, steps) = (order.len(), order.len().div_ceil(rows));
        let mut loader = Loader::augmented(
            train.clone(),
            order,
            rows,
            self.fit.preprocess.clone(),
            PREFETCH,
            self.network.augment,
            settings.seed,
            epoch,
        )?;
        let skipped = self.trainer.loss_scale().map_or(0, |scale| scale.skipped);
        let started = Instant::now();
        let (mut totals, mut norms) = (Totals::default(), Norms::default());
        let (mut seen, mut factor) = (0, 1.0);
        for step in 0..steps {
            self.fit.interrupt.check()?;
            let Some(batch) = loader.next() else { break };
            self.failed.note(&batch, false, events);
            // A batch without any image makes no step.
            let Some((pixels, targets)) = filled(&batch, train.as_ref()) else { continue };
            factor = self.network.schedule.factor(self.trainer.steps(), steps as u64, self.epochs);
            let result = self.trainer.step(&pixels, &targets, factor)?;
            if !result.summary[0].is_finite() {
                let lr = self.settings.lr.unwrap_or_default();
                let beyond = if self.network.precision == Precision::F16 { ", or use --precision f32" } else { "" };
                let problem = format!(
                    "the loss is no longer finite in step {} of epoch {epoch}; use a smaller --lr than {lr}, or clip the \
                     gradients{beyond}",
                    step + 1
                );
                return Err(Error::shape("training", problem));
            }
            totals.add(result.summary);
            norms.add(&result);
            seen += targets.len();
            let (steps, examples) = ([step + 1, steps], [seen, examples]);
            let progress = EpochProgress { epoch, steps, examples, train: totals.mean() };
            events(Event::Progress { progress: &progress, sweep: false, epochs: self.epochs });
        }
        let seconds = started.elapsed().as_secs_f64();
        if seen == 0 {
            let problem =
                format!("can't be read any more in epoch {epoch}, nor can any other image; bring the data back");
            return Err(Error::file(train.name(0), problem));
        }
        let train = totals.mean();
        let val = self.validate(events)?;
        let (grad_norm, block_gradients) = norms.mean();
        Ok(EpochResult {
            epoch,
            step: self.trainer.steps(),
            train_loss: train.loss,
            train_accuracy: train.accuracy,
            val_loss: val.map(|v| v.loss),
            val_accuracy: val.filter(Evaluation::is_finite).map(|v| v.accuracy),
            lr: self.settings.lr.unwrap_or_default() * factor,
            images_per_second: seen as f64 / seconds.max(1e-9),
            grad_norm,
            block_gradients,
            loss_scale: self.trainer.loss_scale().map(|scale| scale.scale.into()),
            skipped_steps: self.trainer.loss_scale().map(|scale| scale.skipped - skipped),
        })
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
            self.failed.note(&batch, true, events);
            if !batch.indices.is_empty() {
                let targets: Vec<u32> = batch.indices.iter().map(|&i| val.label(i) as u32).collect();
                totals.add(self.trainer.validate(rows, &batch.pixels, &targets)?);
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

/// Pixels and targets of a batch, if any of its images could be read. In place of those that could not stands the first one
/// again, which doesn't count.
fn filled<'b>(batch: &'b Batch, data: &dyn Dataset) -> Option<(Cow<'b, [u8]>, Vec<u32>)> {
    let mut targets: Vec<u32> = batch.indices.iter().map(|&i| data.label(i) as u32).collect();
    if targets.is_empty() {
        return None;
    }
    if batch.failures.is_empty() {
        return Some(((&batch.pixels[..]).into(), targets));
    }
    let image = batch.pixels.len() / targets.len();
    let mut pixels = batch.pixels.clone();
    batch.failures.iter().for_each(|_| pixels.extend_from_within(..image));
    targets.resize(targets.len() + batch.failures.len(), IGNORE);
    Some((pixels.into(), targets))
}

/// The new best epoch, if `result` is one.
fn better(best: Option<BestEpoch>, result: &EpochResult) -> Option<BestEpoch> {
    let (val_loss, val_accuracy) = (result.val_loss?, result.val_accuracy?);
    let better = best.is_none_or(|best| {
        val_accuracy > best.val_accuracy || (val_accuracy == best.val_accuracy && val_loss < best.val_loss)
    });
    (better && val_loss.is_finite()).then_some(BestEpoch { epoch: result.epoch, val_loss, val_accuracy })
}

/// Means of gradient norms over an epoch.
#[derive(Default)]
struct Norms {
    steps: usize,
    total: f64,
    blocks: Vec<(String, f64)>,
}

impl Norms {
    fn add(&mut self, result: &StepResult) {
        // Norms of gradients that were not finite would make the mean none.
        let Some(norm) = result.grad_norm.filter(|_| !result.skipped) else { return };
        if self.steps == 0 {
            self.blocks = result.block_gradients.iter().map(|(name, _)| (name.clone(), 0.0)).collect();
        }
        self.steps += 1;
        self.total += f64::from(norm);
        self.blocks.iter_mut().zip(&result.block_gradients).for_each(|(mean, (_, norm))| mean.1 += f64::from(*norm));
    }

    /// The mean of all, and of each block from the first to the last.
    fn mean(self) -> (Option<f64>, Vec<BlockGradient>) {
        let steps = self.steps as f64;
        let blocks = self.blocks.into_iter().rev().map(|(block, sum)| BlockGradient { block, norm: sum / steps });
        ((self.steps > 0).then(|| self.total / steps), blocks.collect())
    }
}

fn identity(settings: &Settings, network: &NetworkSettings, fit: &NetworkFit) -> Result<Identity> {
    let mut labels = Sha256::new();
    (0..fit.train.len()).for_each(|i| labels.update((fit.train.label(i) as u32).to_le_bytes()));
    let text = |error: &dyn std::fmt::Display| Error::Usage(format!("the settings can't be written: {error}"));
    let lr = settings.lr.unwrap_or_default();
    // What changes no bit of the result may change between two sittings.
    let settled =
        NetworkSettings { patience: None, recompute: Default::default(), log_gradients: false, ..network.clone() };
    Ok(vec![
        ("version", "1".to_owned()),
        ("architecture", fit.architecture.to_json()?),
        ("preprocess", serde_json::to_string(fit.preprocess).map_err(|e| text(&e))?),
        ("optimizer", format!("{:?}", settings.optimizer)),
        ("lr", lr.to_string()),
        ("batch_size", settings.batch_size.to_string()),
        ("label_smoothing", settings.label_smoothing.to_string()),
        ("seed", settings.seed.to_string()),
        ("network", toml::to_string(&settled).map_err(|e| text(&e))?),
        ("examples", format!("{}{}", fit.train.len(), if settings.balance { ", balanced" } else { "" })),
        ("labels", format!("{:x}", labels.finalize())),
    ])
}
