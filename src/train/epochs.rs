//! The loop over the epochs of a run, of a head or of a whole network: when it ends, and what is on disk after each epoch.

use std::time::Duration;

use web_time::Instant;

use super::Interrupt;
use super::event::Event;
use super::metrics::{EpochResult, never_finite};
use super::run_dir::RunDir;
use crate::error::Result;

/// Pictures are redrawn at most this often.
const CURVES: Duration = Duration::from_secs(2);

/// What is trained, epoch by epoch.
pub(super) trait Trained {
    /// Epochs that are done.
    fn epoch(&self) -> u64;

    /// The best of them, if there is one.
    fn best_epoch(&self) -> Option<u64>;

    /// The last epoch with enough progress to reset the patience; 0 before there is one.
    fn milestone(&self) -> u64;

    /// Trains epoch `epoch` (from 1) and validates.
    async fn train(&mut self, epoch: u64, events: &mut dyn FnMut(Event)) -> Result<EpochResult>;

    /// Takes the results of the epoch and writes the checkpoint.
    async fn keep(&mut self, result: &EpochResult) -> Result<()>;
}

/// How far a run goes.
pub(super) struct Epochs<'a> {
    /// The folder that the run is kept in, if it is kept.
    pub run: Option<&'a RunDir>,
    /// How many there are at most.
    pub most: u64,
    /// The patience: the run ends this many epochs after the last progress.
    pub patience: Option<u64>,
    pub interrupt: &'a Interrupt,
    /// Whether there are validation examples.
    pub validated: bool,
    /// For error messages: what is trained, and the learning rate.
    pub op: &'static str,
    pub lr: f64,
}

impl Epochs<'_> {
    /// Trains until the end: the epochs in order, and whether patience ended it. After each epoch first its line of metrics.jsonl is on
    /// disk, then the checkpoint, so that a run that is killed loses at most the current epoch.
    ///
    /// # Errors
    /// [`Error::Interrupted`](crate::Error::Interrupted), those of an epoch, and validation losses that were never finite.
    pub async fn train(
        &self,
        trained: &mut impl Trained,
        events: &mut dyn FnMut(Event),
    ) -> Result<(Vec<EpochResult>, bool)> {
        let mut results = self.run.map_or(Ok(Vec::new()), |run| run.keep_metrics(trained.epoch()))?;
        let (mut drawn, mut stopped_early) = (Instant::now(), false);
        while trained.epoch() < self.most {
            let waited = trained.epoch().saturating_sub(trained.milestone());
            if self.patience.is_some_and(|patience| waited >= patience) {
                stopped_early = true;
                break;
            }
            self.interrupt.check()?;
            let result = trained.train(trained.epoch() + 1, events).await?;
            self.run.map_or(Ok(()), |run| run.append_metrics(&result))?;
            trained.keep(&result).await?;
            results.push(result);
            if drawn.elapsed() > CURVES {
                self.draw(&results, trained)?;
                drawn = Instant::now();
            }
            if let Some(result) = results.last() {
                events(Event::Epoch(result));
            }
        }
        self.draw(&results, trained)?;
        if self.validated && trained.best_epoch().is_none() && !results.is_empty() {
            return Err(never_finite(self.op, &results, self.lr));
        }
        Ok((results, stopped_early))
    }

    fn draw(&self, results: &[EpochResult], trained: &impl Trained) -> Result<()> {
        self.run.map_or(Ok(()), |run| run.write_curves(results, trained.best_epoch()))
    }
}
