//! The steps of a run, which one adapter makes alone or with others.

use std::sync::Arc;

use super::part::AdapterTime;
use super::share::{Place, Share};
use super::team::{Step, Team, Trainers};
use crate::data::{Dataset, Preprocess};
use crate::error::Result;
use crate::gpu::block_on;
use crate::train::network_settings::NetworkSettings;
use crate::train::network_trainer::{NetworkTrainer, TrainingMemory};
use crate::train::read_failures::filled;
use crate::train::recipe::Settings;

/// The first adapter, which keeps the optimiser's state, and what it computes a step with.
pub(in crate::train) struct Stepper {
    pub trainer: NetworkTrainer,
    adapters: Adapters,
}

enum Adapters {
    One(Box<Share>),
    Several(Box<Team>),
}

impl Stepper {
    /// `data` are all training images of the run, `settings` and `network` are the run's.
    pub fn new(
        trainers: Trainers,
        data: &Arc<dyn Dataset>,
        preprocess: &Preprocess,
        settings: &Settings,
        network: &NetworkSettings,
    ) -> Self {
        match trainers {
            Trainers::One(trainer) => {
                let share = Share::new(data, preprocess, settings, network, Place { index: 0, count: 1 });
                Self { trainer: *trainer, adapters: Adapters::One(Box::new(share)) }
            }
            Trainers::Several(several) => {
                Self { trainer: several.trainer, adapters: Adapters::Several(Box::new(several.team)) }
            }
        }
    }

    /// How many adapters there are.
    pub fn count(&self) -> usize {
        match &self.adapters {
            Adapters::One(_) => 1,
            Adapters::Several(team) => team.count(),
        }
    }

    /// What training takes on the first adapter.
    pub fn memory(&self) -> TrainingMemory {
        match &self.adapters {
            Adapters::One(_) => self.trainer.memory(),
            Adapters::Several(team) => team.memory(&self.trainer),
        }
    }

    /// See [`Team::take_times`]; empty for one adapter.
    pub fn take_times(&mut self) -> Vec<AdapterTime> {
        match &mut self.adapters {
            Adapters::One(_) => Vec::new(),
            Adapters::Several(team) => team.take_times(),
        }
    }

    /// How many images and steps an epoch has.
    pub fn length(&self) -> [usize; 2] {
        match &self.adapters {
            Adapters::One(share) => share.length(),
            Adapters::Several(team) => team.share.length(),
        }
    }

    /// Step `step` (from 0) of epoch `epoch`; `lr_factor` is the schedule's.
    ///
    /// # Errors
    /// What the devices report; images that can't be read are in [`Step::failures`].
    pub fn step(&mut self, epoch: u64, step: usize, lr_factor: f64) -> Result<Step> {
        let share = match &mut self.adapters {
            Adapters::Several(team) => return team.step(&mut self.trainer, epoch, step, lr_factor),
            Adapters::One(share) => share,
        };
        let mut made = Step::default();
        let Some(batch) = share.batch(epoch, step)? else { return Ok(made) };
        made.failures = batch.failures.iter().map(|(image, error)| (*image, error.to_string())).collect();
        if let Some((pixels, targets)) = filled(&batch, share.data()) {
            made.images = targets.len();
            made.result = Some(block_on(self.trainer.step(&pixels, &targets, lr_factor))?);
        }
        Ok(made)
    }
}
