//! A run that trains a network, or its upper part, on images.

use std::path::Path;
use std::sync::Arc;

use super::narrator::Narrator;
#[cfg(feature = "reports")]
use super::report::{self, Answers, FinishedRun};
use super::save::save_model;
use super::sets::Sets;
use super::sitting::Sitting;
use super::summary::RunSummary;
use crate::data::Preprocess;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::model::{Architecture, TensorSource};
use crate::ops::Precision;
use crate::runtime::Runtime;
#[cfg(feature = "reports")]
use crate::train::NetworkOutcome;
use crate::train::{Interrupt, NetworkFit, RunConfig, RunDir, fit_network, sample_images};
use crate::tune::first::Purpose;

/// A network to train, and on what.
pub struct NetworkRun<'a> {
    /// The command that continues it.
    pub command: &'static str,
    /// The network.
    pub architecture: &'a Architecture,
    /// Where a new run starts.
    pub weights: &'a dyn TensorSource,
    /// How its images are prepared.
    pub preprocess: &'a Preprocess,
    /// The images.
    pub sets: Sets,
    /// The run to resume.
    pub resumed: Option<RunDir>,
    /// A new run's folder; if `None`, the next free one of `runs/COMMAND`.
    pub output: Option<&'a Path>,
    /// Whether each epoch's scalars are also written for TensorBoard.
    pub tensorboard: bool,
    /// Stops the run once it is raised.
    pub interrupt: &'a Interrupt,
}

impl NetworkRun<'_> {
    /// Trains the network into the run's folder.
    ///
    /// # Errors
    /// [`Interrupted`](crate::Error::Interrupted) once a stop was requested; data, a folder or an adapter that can't be used.
    pub fn run(mut self, runtime: &Runtime, config: &RunConfig) -> Result<RunSummary> {
        if let Some(run) = &self.resumed {
            runtime.tuning.go_on(runtime.tuned, run)?;
        }
        let (architecture, image_size) = (self.architecture, self.preprocess.crop as usize);
        let precision = config.network.as_ref().map_or(Precision::F32, |network| network.precision);
        let gpu = runtime.gpu_for(&Purpose { architecture, image_size, train: true, precision })?;
        precision.check(gpu.report())?;
        Sitting::check_stop(runtime, self.command, self.resumed.as_ref(), self.interrupt)?;
        let sitting = Sitting::begin(runtime, self.command, self.resumed.take(), self.output, config)?;
        let mut config = config.clone();
        let result = network_sitting(runtime, &self, &mut config, &gpu, &sitting);
        sitting.end(runtime, result)
    }
}

fn network_sitting(
    runtime: &Runtime,
    job: &NetworkRun,
    config: &mut RunConfig,
    gpu: &Arc<Gpu>,
    sitting: &Sitting,
) -> Result<RunSummary> {
    let run = sitting.run();
    let (sets, unreadable) = sitting.readable(runtime, &job.sets, job.interrupt)?;
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
    let mut narrator = Narrator::new(runtime, job.tensorboard.then(|| run.path()))?;
    let result = fit_network(&fit, trainer, config, run, &mut |event| narrator.tell(event));
    let outcome = narrator.finish(result)?;
    #[cfg(feature = "reports")]
    write_report(runtime, job, config, run, &sets, &outcome)?;
    let (lr, failed) = (config.training.lr.unwrap_or_default(), unreadable.len() + outcome.failed);
    Ok(RunSummary::new(runtime, run, (outcome.epoch, &outcome.epochs, outcome.stopped_early), lr, failed))
}

/// Runs the network on the validation images, and writes report.html.
#[cfg(feature = "reports")]
fn write_report(
    runtime: &Runtime,
    job: &NetworkRun,
    config: &RunConfig,
    run: &RunDir,
    sets: &Sets,
    outcome: &NetworkOutcome,
) -> Result<()> {
    let answers = match &sets.val {
        Some(val) => Some(Answers::of_saved(runtime, run, val, config.training.batch_size, job.interrupt)?),
        None => None,
    };
    let finished = FinishedRun {
        command: job.command,
        run,
        config,
        epochs: &outcome.epochs,
        epoch: outcome.epoch,
        stopped_early: outcome.stopped_early,
        sets,
        network: format!("{}.", job.architecture),
    };
    report::write(runtime, &finished, answers)
}
