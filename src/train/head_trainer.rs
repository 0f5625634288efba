//! Epochs of head training: one recorded step, replayed many times a submit.
//!
//! A step computes logits, loss, gradient and the optimiser's update, and stores its loss, all on the device; the host reads the losses once per chunk of steps.

use std::sync::Arc;

use web_time::Instant;

use super::batches::{Batches, Examples};
use super::head::{Head, HeadShape};
use super::metrics::{EpochResult, Evaluation, Totals};
use super::options::{HeadOptions, check_lr};
use super::parameters::Parameters;
use super::scaler::Scaler;
use super::state::HeadState;
use super::update::schedule_row;
use crate::data::shuffled_indices;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Plan, Recording};
use crate::ops::attributes::CrossEntropyAttributes;
use crate::ops::head_step::HeadStep;

/// How long a chunk of steps should take: progress is shown, and interrupts are seen, this often.
const CHUNK_SECONDS: f64 = 0.15;
/// Examples per validation step.
const VALIDATION_ROWS: usize = 256;

/// Progress within an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochProgress {
    /// From 1.
    pub epoch: u64,
    /// Steps of this epoch so far, and in all.
    pub steps: [usize; 2],
    /// Examples of this epoch so far, and in all.
    pub examples: [usize; 2],
    /// Mean over the epoch so far.
    pub train: Evaluation,
}

/// Trains a linear head on features that stay the same from epoch to epoch.
///
/// After an error (an interrupt too) the weights are somewhere inside an epoch: call [`Self::start`] or
/// [`Self::restore`] before the next one.
pub struct HeadTrainer<'a> {
    gpu: Arc<Gpu>,
    shape: HeadShape,
    options: HeadOptions,
    scaler: Option<Arc<Scaler>>,
    parameters: Parameters,
    batches: Batches<'a>,
    schedule: Arc<Buffer>,
    plan: Plan,
    validation: Option<(Batches<'a>, Plan)>,
    step: u64,
    /// Steps of the next chunk.
    chunk: usize,
    losses: Vec<f32>,
}

impl<'a> HeadTrainer<'a> {
    /// Uploads the examples, records the step, and starts from [`Head::random`] of the options' seed. With a `scaler`
    /// the head is trained on standardised features, and [`Self::head`] undoes that.
    ///
    /// # Errors
    /// Those of [`HeadOptions::check`] and [`Examples::check`], and those of the device.
    pub fn new(
        gpu: &Arc<Gpu>,
        shape: HeadShape,
        train: Examples<'a>,
        val: Option<Examples<'a>>,
        options: HeadOptions,
        scaler: Option<Scaler>,
    ) -> Result<Self> {
        options.check()?;
        if let Some(scaler) = &scaler
            && (scaler.mean.len() != shape.features || scaler.scale.len() != shape.features)
        {
            return Err(Error::shape("head training", "the scaler has another number of features than the data"));
        }
        let scaler = scaler.map(Arc::new);
        let parameters = Parameters::new(gpu, shape, &options.optimizer)?;
        let batches = Batches::new(gpu, train, shape, options.batch_size, scaler.clone(), options.resident_bytes)?;
        let schedule = Arc::new(gpu.buffer("schedule", (batches.steps() as u64 + 1) * 16)?);
        let plan = Plan::new(gpu, &record_step(&batches, &parameters, shape, &options, &schedule)?)?;
        let validation = match val {
            None => None,
            Some(val) => {
                let rows = VALIDATION_ROWS;
                let batches = Batches::new(gpu, val, shape, rows, scaler.clone(), options.resident_bytes)?;
                let plan = Plan::new(gpu, &record_validation(&batches, &parameters, shape)?)?;
                Some((batches, plan))
            }
        };
        let mut trainer = Self {
            gpu: gpu.clone(),
            shape,
            options,
            scaler,
            parameters,
            batches,
            schedule,
            plan,
            validation,
            step: 0,
            chunk: 8,
            losses: Vec::new(),
        };
        trainer.start(&Head::random(shape, options.seed), options.lr)?;
        Ok(trainer)
    }

    /// Starts from `head` (for the features as trained on), with a fresh optimiser.
    pub fn start(&mut self, head: &Head, lr: f64) -> Result<()> {
        check_lr(lr)?;
        head.check(self.shape)?;
        self.options.lr = lr;
        self.step = 0;
        self.parameters.write(head, &[])
    }

    /// Everything that the next step depends on.
    pub async fn state(&self) -> Result<HeadState> {
        let (head, moments) = (self.parameters.read_head().await?, self.parameters.read_moments().await?);
        Ok(HeadState { head, moments, step: self.step })
    }

    /// Continues from `state` with the same bits as if training had never stopped.
    ///
    /// # Errors
    /// Those of [`HeadState::check`].
    pub fn restore(&mut self, state: &HeadState) -> Result<()> {
        state.check(self.shape, &self.options.optimizer)?;
        self.step = state.step;
        self.parameters.write(&state.head, &state.moments)
    }

    /// The head as it is now, for features as they were given.
    pub async fn head(&self) -> Result<Head> {
        Ok(self.unscaled(&self.parameters.read_head().await?))
    }

    /// Converts a head for the features as trained on to one for the features as given.
    pub fn unscaled(&self, head: &Head) -> Head {
        self.scaler.as_ref().map_or_else(|| head.clone(), |scaler| scaler.fold(head))
    }

    /// The plan of one step, for profiling.
    pub fn plan_mut(&mut self) -> &mut Plan {
        &mut self.plan
    }

    /// Mean loss of each step of the last epoch.
    pub fn step_losses(&self) -> &[f32] {
        &self.losses
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.batches.steps()
    }

    /// Trains epoch `epoch` (from 1) in the order that the seed gives it, then validates. `progress` is called between
    /// chunks of steps; its error ends the epoch. A learning rate that is too large shows as a loss that is not finite.
    pub async fn epoch(
        &mut self,
        epoch: u64,
        progress: impl FnMut(&EpochProgress) -> Result<()>,
    ) -> Result<EpochResult> {
        let order = shuffled_indices(self.batches.len(), self.options.seed, epoch);
        self.epoch_in_order(epoch, order, progress).await
    }

    /// The same in an order of the caller's: as many training examples as there are, one maybe several times.
    pub async fn epoch_in_order(
        &mut self,
        epoch: u64,
        order: impl IntoIterator<Item = usize>,
        mut progress: impl FnMut(&EpochProgress) -> Result<()>,
    ) -> Result<EpochResult> {
        self.batches.begin(order)?;
        self.gpu.write(&self.schedule, &self.schedule_rows())?;
        self.losses.clear();
        let (steps, examples) = (self.batches.steps(), self.batches.len());
        let started = Instant::now();
        let mut totals = Totals::default();
        let mut done = 0;
        while done < steps {
            let count = self.chunk.min(steps - done).min(self.batches.window());
            let chunk_started = Instant::now();
            self.batches.prepare(done, count)?;
            self.plan.run_repeated(count).await?;
            for summary in self.batches.results(done, count).await? {
                totals.add(summary);
                self.losses.push(summary[0]);
            }
            done += count;
            self.adapt_chunk(count, chunk_started.elapsed().as_secs_f64());
            let seen = (done * self.batches.rows()).min(examples);
            let now = EpochProgress { epoch, steps: [done, steps], examples: [seen, examples], train: totals.mean() };
            progress(&now)?;
        }
        self.step += steps as u64;
        let seconds = started.elapsed().as_secs_f64();
        let train = totals.mean();
        let val = self.validate().await?;
        Ok(EpochResult {
            epoch,
            step: self.step,
            train_loss: train.loss,
            train_accuracy: train.accuracy,
            val_loss: val.map(|v| v.loss),
            val_accuracy: val.filter(Evaluation::is_finite).map(|v| v.accuracy),
            lr: self.options.lr,
            images_per_second: examples as f64 / seconds.max(1e-9),
            grad_norm: None,
            block_gradients: Vec::new(),
            loss_scale: None,
            skipped_steps: None,
            adapters: Vec::new(),
        })
    }

    /// The head as it is now on the validation examples; none if there are none.
    pub async fn validate(&mut self) -> Result<Option<Evaluation>> {
        let Some((batches, plan)) = &mut self.validation else {
            return Ok(None);
        };
        batches.begin(0..batches.len())?;
        let mut totals = Totals::default();
        let mut done = 0;
        while done < batches.steps() {
            let count = batches.window().min(batches.steps() - done);
            batches.prepare(done, count)?;
            plan.run_repeated(count).await?;
            batches.results(done, count).await?.into_iter().for_each(|summary| totals.add(summary));
            done += count;
        }
        Ok(Some(totals.mean()))
    }

    /// The optimiser's row for each step of the next epoch, after an unused one: the counter has already been incremented by the time
    /// of the update.
    fn schedule_rows(&self) -> Vec<[f32; 4]> {
        let lr = self.options.lr;
        let steps = self.step + 1..=self.step + self.batches.steps() as u64;
        let rows = steps.map(|t| schedule_row(&self.options.optimizer, lr, t));
        std::iter::once([0.0; 4]).chain(rows).collect()
    }

    /// Chooses the next chunk's length by the time that `count` steps took.
    fn adapt_chunk(&mut self, count: usize, seconds: f64) {
        let wanted = count as f64 * CHUNK_SECONDS / seconds.max(1e-4);
        self.chunk = (wanted as usize).clamp(1, self.chunk.saturating_mul(4));
    }
}

/// One training step.
fn record_step(
    batches: &Batches,
    parameters: &Parameters,
    shape: HeadShape,
    options: &HeadOptions,
    schedule: &Arc<Buffer>,
) -> Result<Recording> {
    let step = HeadStep { layer: shape.layer(batches.rows()) };
    let mut r = Recording::new();
    let tensors = batches.tensors(&mut r, &parameters.head);
    let schedule = r.external("schedule", schedule.clone());
    let grad_logits = step.loss(&mut r, &tensors, &options.loss())?;
    let grad = step.gradient(&mut r, &tensors, grad_logits)?;
    parameters.update(&mut r, &options.optimizer, &tensors, schedule, grad)?;
    Ok(r)
}

/// One step of validation: the same without gradients and update.
fn record_validation(batches: &Batches, parameters: &Parameters, shape: HeadShape) -> Result<Recording> {
    let step = HeadStep { layer: shape.layer(batches.rows()) };
    let mut r = Recording::new();
    let tensors = batches.tensors(&mut r, &parameters.head);
    step.loss(&mut r, &tensors, &CrossEntropyAttributes::default())?;
    Ok(r)
}
