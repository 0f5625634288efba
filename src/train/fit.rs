//! A whole run of head training: the recipe's choice, the epochs, and the files.

use std::sync::Arc;

use super::Interrupt;
use super::batches::Examples;
use super::checkpoint::{Best, Checkpoint, Milestone};
use super::epochs::{Epochs, Trained};
use super::event::Event;
use super::head::{Head, HeadShape};
use super::head_trainer::HeadTrainer;
use super::metrics::EpochResult;
use super::options::HeadOptions;
use super::recipe::{Choice, Plan, Settings, Trial};
use super::run_dir::{RunConfig, RunDir};
use super::scaler::Scaler;
use crate::data::{balanced_indices, shuffled_indices};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, block_on};

/// The inputs of a run.
pub struct Fit<'a> {
    /// Where.
    pub gpu: &'a Arc<Gpu>,
    /// Features and classes of the head.
    pub shape: HeadShape,
    /// Features and classes to learn.
    pub train: Examples<'a>,
    /// The validation examples, by which early stopping and the sweep decide.
    pub val: Option<Examples<'a>>,
    /// Goes on from the folder's checkpoint, if it has one that follows the recipe's choice.
    pub resume: bool,
    /// Stops the run once it is raised.
    pub interrupt: &'a Interrupt,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The resulting head, for the features as given.
    pub head: Head,
    /// The epoch that it is from.
    pub epoch: u64,
    /// How it was trained.
    pub choice: Choice,
    /// The epochs in order.
    pub epochs: Vec<EpochResult>,
    /// Whether early stopping ended it.
    pub stopped_early: bool,
}

/// The relative decrease of the validation loss that counts as progress for early stopping. Without it, runs continue for the
/// fourth digit of the loss.
const WORTHWHILE: f64 = 0.01;
/// What errors call it.
const OP: &str = "head training";

/// Trains a head as `config` says and keeps `run` up to date. `config.chosen` is filled in.
///
/// # Errors
/// [`Error::Interrupted`] once `fit.interrupt` is raised; the checkpoint of the last whole epoch is then on disk.
pub fn fit(fit: &Fit, config: &mut RunConfig, run: &RunDir, events: &mut dyn FnMut(Event)) -> Result<Outcome> {
    block_on(fit_async(fit, config, Some(run), events))
}

/// [`fit`] for a page in a browser, which may not block, and where there may be no folder to keep the run in.
///
/// # Errors
/// Those of [`fit`].
pub async fn fit_async(
    fit: &Fit<'_>,
    config: &mut RunConfig,
    run: Option<&RunDir>,
    events: &mut dyn FnMut(Event),
) -> Result<Outcome> {
    let settings = config.training.clone();
    fit.check(&settings)?;
    let checkpoint = run.map_or(Ok(None), |run| fit.checkpoint(&settings, config, run))?;
    let plan = match (&config.chosen, &checkpoint) {
        (Some(chosen), Some(_)) => Plan::Decided(chosen.clone()),
        _ => settings.plan(fit.val.is_some(), fit.train.len().div_ceil(settings.batch_size) as u64),
    };
    let scaler = match &checkpoint {
        Some(checkpoint) => checkpoint.scaler.clone(),
        None => plan.choice().standardize.then(|| Scaler::fit(fit.train.features, fit.shape.features)),
    };
    let mut options = settings.options(plan.choice().lr);
    let mut trainer = HeadTrainer::new(fit.gpu, fit.shape, fit.train, fit.val, options, scaler.clone())?;
    let resumed = checkpoint.is_some();
    let now = match checkpoint {
        Some(checkpoint) => checkpoint,
        None => {
            let start = Checkpoint { epoch: 0, state: trainer.state().await?, best: None, milestone: None, scaler };
            // Something to go on from is there even if the sweep is interrupted.
            write(run, &start, &options, fit.train)?;
            start
        }
    };
    let choice = match plan {
        Plan::Decided(choice) => choice,
        Plan::Sweep { rates, epochs, choice } => {
            sweep(fit, &settings, &mut trainer, &now.state.head, &rates, epochs, choice, events).await?
        }
    };
    options.lr = choice.lr;
    if resumed {
        trainer.restore(&now.state)?;
    } else {
        trainer.start(&now.state.head, choice.lr)?;
        write(run, &now, &options, fit.train)?;
    }
    config.chosen = Some(choice.clone());
    run.map_or(Ok(()), |run| run.write_config(config))?;
    events(if resumed { Event::Resumed { epoch: now.epoch } } else { Event::Chosen(&choice) });
    let epochs = Epochs {
        run,
        most: choice.epochs,
        patience: choice.patience,
        interrupt: fit.interrupt,
        validated: fit.val.is_some(),
        op: OP,
        lr: choice.lr,
    };
    let mut job = Job { fit, settings: &settings, options, most: choice.epochs, run, trainer, now };
    let (epochs, stopped_early) = epochs.train(&mut job, events).await?;
    let (head, epoch) = match &job.now.best {
        Some(best) if choice.keep_best => (&best.head, best.epoch),
        _ => (&job.now.state.head, job.now.epoch),
    };
    Ok(Outcome { head: job.trainer.unscaled(head), epoch, choice, epochs, stopped_early })
}

/// Writes the checkpoint, if the run is kept.
fn write(run: Option<&RunDir>, checkpoint: &Checkpoint, options: &HeadOptions, train: Examples) -> Result<()> {
    run.map_or(Ok(()), |run| checkpoint.write(&run.checkpoint_path(), options, train))
}

impl Fit<'_> {
    fn check(&self, settings: &Settings) -> Result<()> {
        settings.check()?;
        if let Some(val) = &self.val {
            val.check(self.shape)?;
        }
        self.train.check(self.shape)
    }

    /// The checkpoint to resume from, if there is one. A newly given number of epochs takes effect.
    fn checkpoint(&self, settings: &Settings, config: &mut RunConfig, run: &RunDir) -> Result<Option<Checkpoint>> {
        let Some(chosen) = config.chosen.as_mut().filter(|_| self.resume) else {
            return Ok(None);
        };
        if let Some(epochs) = settings.epochs {
            (chosen.epochs, chosen.patience) = (epochs, None);
        }
        run.read_checkpoint(self.shape, &settings.options(chosen.lr), self.train)
    }
}

/// The state of a run.
struct Job<'a> {
    fit: &'a Fit<'a>,
    settings: &'a Settings,
    options: HeadOptions,
    /// Epochs at most.
    most: u64,
    run: Option<&'a RunDir>,
    trainer: HeadTrainer<'a>,
    now: Checkpoint,
}

impl Trained for Job<'_> {
    fn epoch(&self) -> u64 {
        self.now.epoch
    }

    fn best_epoch(&self) -> Option<u64> {
        self.now.best.as_ref().map(|best| best.epoch)
    }

    fn milestone(&self) -> u64 {
        self.now.milestone.map_or(0, |milestone| milestone.epoch)
    }

    async fn train(&mut self, epoch: u64, events: &mut dyn FnMut(Event)) -> Result<EpochResult> {
        let (fit, epochs) = (self.fit, self.most);
        let training = self.trainer.epoch_in_order(epoch, order(fit, self.settings, epoch), |progress| {
            events(Event::Progress { progress, sweep: false, epochs });
            fit.interrupt.check()
        });
        let result = training.await?;
        if !result.train_loss.is_finite() {
            let (epoch, lr) = (result.epoch, self.options.lr);
            let problem = format!("the loss is no longer finite in epoch {epoch}; use a smaller --lr than {lr}");
            return Err(Error::shape(OP, problem));
        }
        Ok(result)
    }

    async fn keep(&mut self, result: &EpochResult) -> Result<()> {
        let now = &mut self.now;
        now.epoch = result.epoch;
        now.state = self.trainer.state().await?;
        if let (Some(val_loss), Some(val_accuracy)) = (result.val_loss, result.val_accuracy)
            && improves(now.best.as_ref().map(|b| (b.val_loss, b.val_accuracy)), (val_loss, val_accuracy))
        {
            now.best = Some(Best { epoch: now.epoch, val_loss, val_accuracy, head: now.state.head.clone() });
        }
        if let Some(val_loss) = result.val_loss.filter(|loss| loss.is_finite())
            && now.milestone.is_none_or(|milestone| val_loss < milestone.val_loss * (1.0 - WORTHWHILE))
        {
            now.milestone = Some(Milestone { epoch: now.epoch, val_loss });
        }
        write(self.run, now, &self.options, self.fit.train)
    }
}

/// The order in which epoch `epoch` visits the examples.
fn order(fit: &Fit, settings: &Settings, epoch: u64) -> Vec<usize> {
    if !settings.balance {
        return shuffled_indices(fit.train.len(), settings.seed, epoch);
    }
    let labels: Vec<usize> = fit.train.labels.iter().map(|&label| label as usize).collect();
    balanced_indices(&labels, settings.seed, epoch)
}

/// Tries each learning rate from the same head and completes `choice` with the best.
#[allow(clippy::too_many_arguments)] // a run's parts, once
async fn sweep(
    fit: &Fit<'_>,
    settings: &Settings,
    trainer: &mut HeadTrainer<'_>,
    head: &Head,
    rates: &[f64],
    epochs: u64,
    mut choice: Choice,
    events: &mut dyn FnMut(Event),
) -> Result<Choice> {
    for (i, &lr) in rates.iter().enumerate() {
        trainer.start(head, lr)?;
        let mut trial = Trial { lr, epochs: 0, best_epoch: 0, val_loss: None, val_accuracy: 0.0 };
        for epoch in 1..=epochs {
            fit.interrupt.check()?;
            let training = trainer.epoch_in_order(epoch, order(fit, settings, epoch), |progress| {
                events(Event::Progress { progress, sweep: true, epochs });
                fit.interrupt.check()
            });
            let result = training.await?;
            trial.epochs = epoch;
            let before = trial.val_loss.map(|loss| (loss, trial.val_accuracy));
            if let (Some(loss), Some(accuracy)) = (result.val_loss, result.val_accuracy)
                && improves(before, (loss, accuracy))
            {
                (trial.best_epoch, trial.val_loss, trial.val_accuracy) = (epoch, Some(loss), accuracy);
            }
            if !result.train_loss.is_finite() {
                break;
            }
        }
        events(Event::Tried { trial: &trial, number: i + 1, of: rates.len() });
        choice.sweep.push(trial);
    }
    let mut best: Option<(f64, f64)> = None;
    for trial in &choice.sweep {
        if let Some(loss) = trial.val_loss
            && improves(best, (loss, trial.val_accuracy))
        {
            best = Some((loss, trial.val_accuracy));
            choice.lr = trial.lr;
        }
    }
    if best.is_none() {
        let problem = "no learning rate of the sweep gave a finite loss; check the features, or give a smaller --lr";
        return Err(Error::shape(OP, problem));
    }
    choice.reason = format!("lowest validation loss of {} learning rates after {epochs} epochs", rates.len());
    Ok(choice)
}

/// Whether validation `(loss, accuracy)` beats the best so far: by the loss, then by the accuracy.
fn improves(best: Option<(f64, f64)>, (loss, accuracy): (f64, f64)) -> bool {
    loss.is_finite() && best.is_none_or(|(l, a)| loss < l || (loss == l && accuracy > a))
}

#[cfg(test)]
mod tests {
    use super::improves;

    #[test]
    fn the_best_is_by_loss_then_accuracy() {
        assert!(improves(None, (1.0, 0.0)) && !improves(None, (f64::NAN, 1.0)));
        assert!(improves(Some((1.0, 0.9)), (0.9, 0.1)) && improves(Some((1.0, 0.9)), (1.0, 0.95)));
        assert!(!improves(Some((1.0, 0.9)), (1.0, 0.9)) && !improves(Some((1.0, 0.9)), (f64::NAN, 1.0)));
    }
}
