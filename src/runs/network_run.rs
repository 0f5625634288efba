//! A run that trains a network, or its upper part, on images.

use std::path::Path;
use std::sync::Arc;

use super::adapters;
use super::narrator::Narrator;
use super::remote_worker::{WorkerJob, flat};
#[cfg(feature = "reports")]
use super::report::{self, Answers, FinishedRun};
use super::save::save_model;
use super::sets::Sets;
use super::sitting::Sitting;
#[cfg(feature = "reports")]
use super::summary::AdapterUse;
use super::summary::RunSummary;
use crate::data::Preprocess;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::{Architecture, TensorSource};
use crate::ops::Precision;
use crate::runtime::Runtime;
#[cfg(feature = "reports")]
use crate::train::NetworkOutcome;
use crate::train::data_parallel::{RemoteWorkers, Trainers};
use crate::train::{Interrupt, NetworkFit, RunConfig, RunDir, Unreadable, fit_network, sample_images};
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
        if let Some(run) = &self.resumed {
            adapters::check_count(runtime, config, run)?;
        }
        let gpus = runtime.gpus_for(&Purpose { architecture, image_size, train: true, precision })?;
        gpus.iter().try_for_each(|gpu| precision.check(gpu.report()))?;
        Sitting::check_stop(runtime, self.command, self.resumed.as_ref(), self.interrupt)?;
        let goes_on = self.resumed.as_ref().is_some_and(RunDir::has_checkpoint);
        let mut config = config.clone();
        let names = gpus.iter().map(|gpu| adapters::name(gpu.report())).collect();
        if runtime.remote.is_none() {
            adapters::settle(runtime, &mut config, names, goes_on);
        }
        let sitting = Sitting::begin(runtime, self.command, self.resumed.take(), self.output, &config)?;
        let result = network_sitting(runtime, &self, &mut config, &gpus, &sitting);
        sitting.end(runtime, result)
    }
}

fn network_sitting(
    runtime: &Runtime,
    job: &NetworkRun,
    config: &mut RunConfig,
    gpus: &[Arc<Gpu>],
    sitting: &Sitting,
) -> Result<RunSummary> {
    let run = sitting.run();
    let (gpu, others) = gpus.split_first().ok_or_else(|| Error::NoAdapter("no adapter was named".into()))?;
    let (sets, unreadable) = sitting.readable(runtime, &job.sets, job.interrupt)?;
    run.keep_images(config, sample_images(&*sets.train), sitting.goes_on())?;
    if let Some(remote) = &runtime.remote {
        let mut names = vec![adapters::name(gpu.report())];
        names.extend(begin_remote(remote, job, config, &unreadable)?);
        adapters::settle(runtime, config, names, sitting.goes_on());
        run.write_config(config)?;
    }
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
    let trainer: Trainers = match config.adapters.len() {
        0 | 1 => fit.trainer(config)?.into(),
        _ => {
            adapters::note_batch(runtime, config);
            fit.parallel_trainer(config, adapters::workers(runtime, &fit, config, others)?)?.into()
        }
    };
    sitting.start()?;
    let mut narrator = Narrator::new(runtime, job.tensorboard.then(|| run.path()))?;
    let result = fit_network(&fit, trainer, config, run, &mut |event| narrator.tell(event));
    let outcome = narrator.finish(result)?;
    let adapters = adapters::uses(config, &outcome.epochs);
    adapters::note_uses(runtime, &adapters);
    #[cfg(feature = "reports")]
    write_report(runtime, job, config, run, &sets, &outcome, &adapters)?;
    let (lr, failed) = (config.training.lr.unwrap_or_default(), unreadable.len() + outcome.failed);
    let summary = RunSummary::new(runtime, run, (outcome.epoch, &outcome.epochs, outcome.stopped_early), lr, failed);
    Ok(RunSummary { adapters, ..summary })
}

/// Opens the workers of other processes; the names of their adapters.
fn begin_remote(
    remote: &Arc<dyn RemoteWorkers>,
    job: &NetworkRun,
    config: &RunConfig,
    unreadable: &Unreadable,
) -> Result<Vec<String>> {
    let told = WorkerJob {
        config: config.clone(),
        architecture: job.architecture.to_json()?,
        preprocess: serde_json::to_string(job.preprocess).map_err(|e| Error::Usage(e.to_string()))?,
        unreadable: unreadable.clone(),
        adapters: RemoteWorkers::count(&**remote) + 1,
    };
    remote.begin(&told.to_json()?, &flat(job.architecture, job.weights)?)
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
    adapters: &[AdapterUse],
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
        adapters,
        network: format!("{}.", job.architecture),
    };
    report::write(runtime, &finished, answers)
}
