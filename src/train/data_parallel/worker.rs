//! An adapter beside the first one: the network on it, and its share of the images.

use std::sync::Arc;
use std::time::Instant;

use super::gradient_plan::GradientPlans;
use super::part::{Part, PartReport};
use super::share::{Place, Share};
use crate::data::{Dataset, Preprocess};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::{Architecture, TensorSource};
use crate::train::network_shared::NetworkOptions;
use crate::train::network_trainer::{NetworkTrainer, check_targets};
use crate::train::read_failures::filled;
use crate::train::recipe::Settings;

/// Which batch's gradients are wanted, and by which parameters.
#[derive(Clone, Copy, Debug)]
pub struct StepRequest<'a> {
    /// From 1.
    pub epoch: u64,
    /// Within the epoch, from 0.
    pub step: usize,
    /// What the loss is multiplied by, where gradients are f16.
    pub loss_scale: f32,
    /// The trained parameters, laid out like [`Part::gradients`].
    pub parameters: &'a [f32],
}

/// One adapter's part of data-parallel training.
pub struct Worker {
    trainer: NetworkTrainer,
    plans: GradientPlans,
    share: Share,
}

impl Worker {
    /// Uploads `weights` and plans the gradients of a batch. `options` and `settings` are the run's, `data` all of its training images.
    ///
    /// # Errors
    /// Those of [`NetworkTrainer::new`].
    pub fn new(
        gpu: &Arc<Gpu>,
        architecture: &Architecture,
        weights: &dyn TensorSource,
        options: NetworkOptions,
        settings: &Settings,
        (data, preprocess): (&Arc<dyn Dataset>, &Preprocess),
        place: Place,
    ) -> Result<Self> {
        let share = Share::new(data, preprocess, settings, &options.network, place);
        let trainer = NetworkTrainer::unplanned(gpu, architecture, weights, options)?;
        let plans = GradientPlans::new(&trainer.shared, trainer.options(), share.rows())?;
        Ok(Self { trainer, plans, share })
    }

    /// Takes the parameters of `request`, and computes the gradients of its own batch of that step.
    ///
    /// # Errors
    /// Parameters of another network, and what the device reports.
    pub fn gradients(&mut self, request: &StepRequest) -> Result<Part> {
        let started = Instant::now();
        self.load(request.parameters)?;
        let mut part = own_part(&self.trainer, &mut self.plans, &mut self.share, request)?;
        part.report.seconds = started.elapsed().as_secs_f64();
        Ok(part)
    }

    fn load(&self, parameters: &[f32]) -> Result<()> {
        let expected: usize = self.plans.layout().iter().map(|(_, elements)| elements).sum();
        if parameters.len() != expected {
            let problem = format!("{} parameters came, where the network has {expected}", parameters.len());
            return Err(Error::shape("data-parallel training", problem));
        }
        let mut rest = parameters;
        for (name, elements) in self.plans.layout() {
            let (own, others) = rest.split_at(*elements);
            let shared = &self.trainer.shared;
            shared.gpu.write(&shared.network.parameter(name)?.buffer, own)?;
            rest = others;
        }
        Ok(())
    }
}

/// The gradients of the adapter's batch in the step of `request`, by the parameters that it has.
pub(super) fn own_part(
    trainer: &NetworkTrainer,
    plans: &mut GradientPlans,
    share: &mut Share,
    request: &StepRequest,
) -> Result<Part> {
    let Some(batch) = share.batch(request.epoch, request.step)? else { return Ok(Part::default()) };
    let failures: Vec<_> = batch.failures.iter().map(|(image, error)| (*image, error.to_string())).collect();
    let Some((pixels, targets)) = filled(&batch, share.data()) else {
        return Ok(Part { report: PartReport { failures, ..PartReport::default() }, ..Part::default() });
    };
    check_targets(&targets, trainer.architecture().classes)?;
    let mut part = plans.run(&trainer.shared, trainer.options(), (&pixels, &targets), request.loss_scale)?;
    part.report.failures = failures;
    Ok(part)
}
