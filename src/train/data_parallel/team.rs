//! All adapters of a run together: the steps that they make.

use std::time::Instant;

use super::average::weighted_mean;
use super::gradient_plan::GradientPlans;
use super::part::{AdapterTime, Combined, Part};
use super::share::Share;
use super::update_plan::UpdatePlan;
use super::worker::{StepRequest, own_part};
use super::workers::Workers;
use crate::error::Result;
use crate::gpu::block_on;
use crate::train::network_step::StepResult;
use crate::train::network_trainer::{NetworkTrainer, TrainingMemory};

/// What trains a network: one adapter, or several.
pub enum Trainers {
    One(Box<NetworkTrainer>),
    Several(Box<ParallelTrainer>),
}

impl From<NetworkTrainer> for Trainers {
    fn from(trainer: NetworkTrainer) -> Self {
        Self::One(Box::new(trainer))
    }
}

impl From<ParallelTrainer> for Trainers {
    fn from(trainer: ParallelTrainer) -> Self {
        Self::Several(Box::new(trainer))
    }
}

/// The first adapter, which keeps the optimiser's state, with all the others.
pub struct ParallelTrainer {
    pub(in crate::train) trainer: NetworkTrainer,
    pub(in crate::train) team: Team,
}

/// What the first adapter needs beside its [`NetworkTrainer`], and the other adapters.
pub(in crate::train) struct Team {
    plans: GradientPlans,
    update: UpdatePlan,
    pub(super) share: Share,
    workers: Box<dyn Workers>,
    /// The trained parameters as they are now; empty before the first step.
    parameters: Vec<f32>,
    mean: Vec<f32>,
    times: Vec<AdapterTime>,
}

/// A step of all adapters.
#[derive(Default)]
pub(in crate::train) struct Step {
    /// None if no adapter had an image that could be read.
    pub result: Option<StepResult>,
    /// Images of all adapters.
    pub images: usize,
    /// See [`super::PartReport::failures`].
    pub failures: Vec<(usize, String)>,
}

impl ParallelTrainer {
    /// `trainer` is the first adapter's, without plans.
    pub(in crate::train) fn new(mut trainer: NetworkTrainer, share: Share, workers: Box<dyn Workers>) -> Result<Self> {
        let options = trainer.options().clone();
        let plans = GradientPlans::new(&trainer.shared, &options, share.rows())?;
        let update = UpdatePlan::new(&mut trainer.shared, &options, plans.layout())?;
        let times = vec![AdapterTime::default(); workers.count() + 1];
        let team = Team { plans, update, share, workers, parameters: Vec::new(), mean: Vec::new(), times };
        Ok(Self { trainer, team })
    }
}

impl Team {
    /// How many adapters there are.
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// What the first adapter's plans take, with those of `trainer`.
    pub fn memory(&self, trainer: &NetworkTrainer) -> TrainingMemory {
        let mut memory = trainer.memory();
        memory.activations += self.plans.bytes() + self.update.bytes();
        memory
    }

    /// How each adapter has spent its time since this was last asked for.
    pub fn take_times(&mut self) -> Vec<AdapterTime> {
        let fresh = vec![AdapterTime::default(); self.count()];
        std::mem::replace(&mut self.times, fresh)
    }

    /// Step `step` (from 0) of epoch `epoch`; `lr_factor` is the schedule's.
    pub fn step(&mut self, trainer: &mut NetworkTrainer, epoch: u64, step: usize, lr_factor: f64) -> Result<Step> {
        if self.parameters.is_empty() {
            self.parameters = read_parameters(trainer, self.plans.layout())?;
        }
        let loss_scale = trainer.loss_scale().map_or(1.0, |scale| scale.scale);
        let request = StepRequest { epoch, step, loss_scale, parameters: &self.parameters };
        let started = Instant::now();
        let (plans, share, first) = (&mut self.plans, &mut self.share, &*trainer);
        let mut own = || {
            let mut part = own_part(first, plans, share, &request)?;
            part.report.seconds = started.elapsed().as_secs_f64();
            Ok(part)
        };
        let mut parts = self.workers.gradients(&request, &mut own)?;
        self.note_times(&parts, started.elapsed().as_secs_f64());
        let failures = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.report.failures)).collect();
        let combined = Combined::of(&parts)?;
        let images = combined.images;
        if combined.summary[2] == 0.0 {
            return Ok(Step { result: None, images, failures });
        }
        let weighted: Vec<(&[f32], f64)> = parts
            .iter()
            .filter(|part| !part.gradients.is_empty())
            .map(|part| (&part.gradients[..], f64::from(part.report.summary[2])))
            .collect();
        weighted_mean(&weighted, &mut self.mean);
        trainer.begin_step(lr_factor)?;
        let overflow = combined.overflow;
        let norm = self.update.run(&trainer.shared, &self.mean, overflow, &mut self.parameters)?;
        trainer.update_loss_scale(overflow)?;
        Ok(Step { result: Some(combined.result(norm)), images, failures })
    }

    fn note_times(&mut self, parts: &[Part], seconds: f64) {
        for (time, part) in self.times.iter_mut().zip(parts) {
            time.images += part.report.images;
            time.busy += part.report.seconds;
            time.waiting += (seconds - part.report.seconds).max(0.0);
        }
    }
}

/// The parameters of `trainer` in the order of `layout`.
fn read_parameters(trainer: &NetworkTrainer, layout: &[(String, usize)]) -> Result<Vec<f32>> {
    let mut all = Vec::with_capacity(layout.iter().map(|(_, elements)| elements).sum());
    for (name, elements) in layout {
        let buffer = &trainer.shared.network.parameter(name)?.buffer;
        all.extend(block_on(trainer.shared.gpu.read::<f32>(buffer, *elements))?);
    }
    Ok(all)
}
