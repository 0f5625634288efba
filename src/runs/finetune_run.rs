//! A fine-tuning run that is about to start or to continue.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::feature_sets::{FeatureSets, open_features};
use super::features::Extractor;
use super::finetune_command::FineTuneCommand;
use super::head_run::{HeadData, HeadSitting};
use super::network_run::NetworkRun;
use super::sets::{Sets, open_data};
use super::sitting::Sitting;
use super::summary::RunSummary;
use crate::error::{Error, Result};
use crate::predict::{LoadedNetwork, NetworkSource, Use};
use crate::runtime::Runtime;
use crate::train::{Interrupt, RunConfig, RunDir, with_fresh_head};

/// A run that is about to start or to continue. [`FineTune::begin`](super::FineTune::begin) or [`StoppedFineTune::load`] creates
/// it.
pub struct FineTuneRun {
    /// Its settings, complete except for what the data and the recipe decide.
    pub config: RunConfig,
    pub(super) command: FineTuneCommand,
    /// The folder, if the run already exists.
    pub(super) resumed: Option<RunDir>,
    /// The network that it starts from.
    pub network: LoadedNetwork,
    pub(super) tensorboard: bool,
    pub(super) runtime: Runtime,
    pub(super) interrupt: Interrupt,
}

impl FineTuneRun {
    /// Trains, and writes the run into `folder`, or into the next free one of `runs/finetune`. A resumed run stays
    /// where it is.
    ///
    /// # Errors
    /// Data, settings, a folder or an adapter that can't be used, and [`Error::Interrupted`].
    pub fn run(mut self, folder: Option<&Path>) -> Result<RunSummary> {
        let (choice, seed) = (&self.command.data, self.config.training.seed);
        if !choice.features.is_empty() {
            let found = open_features(&self.runtime, choice, &self.network, seed)?;
            self.settle_classes(found.sets.train.classes())?;
            return self.train_on_features(found, folder);
        }
        let sets = open_data(&self.runtime, choice, seed)?;
        self.settle_classes(sets.train.classes())?;
        match self.config.network {
            Some(_) => self.train_upper_part(sets, folder),
            None => self.train_head(sets, folder),
        }
    }

    /// Notes the classes of the data, which those of a run that goes on must be.
    fn settle_classes(&mut self, found: &[String]) -> Result<()> {
        match &self.resumed {
            Some(run) => run.check_classes(&mut self.config, found)?,
            None => self.config.classes = found.to_vec(),
        }
        Ok(())
    }

    /// More than a head on features that stay the same.
    fn train_upper_part(self, sets: Sets, output: Option<&Path>) -> Result<RunSummary> {
        let Self { config, network, resumed, .. } = self;
        let architecture = network.architecture.clone().with_classes(sets.train.classes().len());
        let weights = with_fresh_head(&architecture, &network.weights, config.training.seed)?;
        let run = NetworkRun {
            command: "finetune",
            architecture: &architecture,
            weights: &weights,
            preprocess: &network.preprocess,
            sets,
            resumed,
            output,
            tensorboard: self.tensorboard,
            interrupt: &self.interrupt,
        };
        run.run(&self.runtime, &config)
    }

    /// Trains a new head on features that are computed once.
    fn train_head(self, sets: Sets, output: Option<&Path>) -> Result<RunSummary> {
        let Self { mut config, network, resumed, tensorboard, runtime, interrupt, .. } = self;
        if let Some(run) = &resumed {
            runtime.tuning.go_on(runtime.tuned, run)?;
        }
        let batch = u32::try_from(config.training.batch_size).unwrap_or(u32::MAX);
        let mut extractor = Extractor::new(&runtime, &network, batch, &interrupt)?;
        Sitting::check_stop(&runtime, "finetune", resumed.as_ref(), &interrupt)?;
        let sitting = Sitting::begin(&runtime, "finetune", resumed, output, &config)?;
        let head = HeadSitting { runtime: &runtime, model: &network, tensorboard, sitting: &sitting, stop: &interrupt };
        let read = head.features(&mut extractor, sets);
        let result = read.and_then(|read| head.train(extractor.gpu(), &mut config, read));
        sitting.end(&runtime, result)
    }

    /// A new head on features that were computed before.
    fn train_on_features(self, found: FeatureSets, output: Option<&Path>) -> Result<RunSummary> {
        let Self { mut config, network, resumed, tensorboard, runtime, interrupt, .. } = self;
        if let Some(run) = &resumed {
            runtime.tuning.go_on(runtime.tuned, run)?;
        }
        let gpu = runtime.gpu()?;
        Sitting::check_stop(&runtime, "finetune", resumed.as_ref(), &interrupt)?;
        let sitting = Sitting::begin(&runtime, "finetune", resumed, output, &config)?;
        let head = HeadSitting { runtime: &runtime, model: &network, tensorboard, sitting: &sitting, stop: &interrupt };
        let read = found.read(sitting.run().path()).map(|(train, val)| HeadData {
            sets: found.sets,
            train,
            val,
            failed: found.failed,
        });
        let result = read.and_then(|read| head.train(&gpu, &mut config, read));
        sitting.end(&runtime, result)
    }
}

/// A run that was stopped, with its folder claimed. [`FineTune::resume`](super::FineTune::resume) opens it. Its settings are fixed,
/// except for the number of epochs and the path of its weights.
///
/// ```no_run
/// use gpu_resnet::FineTune;
///
/// # fn main() -> gpu_resnet::Result<()> {
/// let summary = FineTune::resume("runs/x")?.epochs(20).run()?;
/// println!("validation accuracy {:?}", summary.val_accuracy);
/// # Ok(())
/// # }
/// ```
pub struct StoppedFineTune {
    run: RunDir,
    path: PathBuf,
    /// The run's settings.
    pub config: RunConfig,
    /// The run's data and network.
    pub command: FineTuneCommand,
    /// The path of the run's weights, if it has changed.
    pub weights: Option<OsString>,
    /// Whether each epoch's scalars are also written for TensorBoard.
    pub tensorboard: bool,
    /// What it runs on; the run has its own precision.
    pub runtime: Runtime,
    /// Stops the run once it is raised.
    pub interrupt: Interrupt,
}

impl StoppedFineTune {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (run, config) = RunDir::open(path)?;
        let command = FineTuneCommand::of(&config, path)?;
        Ok(Self {
            run,
            path: path.to_owned(),
            config,
            command,
            weights: None,
            tensorboard: false,
            runtime: Runtime::default(),
            interrupt: Interrupt::new(),
        })
    }

    /// The run's folder, as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Continues until this many epochs are done.
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.config.training.epochs = Some(epochs);
        self
    }

    /// What it runs on.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    /// Stops the run once it is raised, between two chunks of steps.
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// Opens the network that the run started from.
    ///
    /// # Errors
    /// Weights that no longer exist, or that have changed.
    pub fn load(self) -> Result<FineTuneRun> {
        let Self { run, config, command, weights, tensorboard, mut runtime, interrupt, .. } = self;
        runtime.precision = command.precision()?;
        let source = NetworkSource {
            weights: weights.or_else(|| command.weights.clone().map(Into::into)),
            image_size: command.image_size,
            overrides: command.network.clone(),
        };
        let network = source.load(&runtime, Use::BACKBONE)?;
        if network.weights.sha256() != command.weights_sha256 {
            let problem =
                "is not the file that the run began with; give the run its own weights back, or start a new run";
            return Err(Error::file(network.weights.label(), problem));
        }
        Ok(FineTuneRun { config, command, resumed: Some(run), network, tensorboard, runtime, interrupt })
    }

    /// Continues the run.
    ///
    /// # Errors
    /// Those of [`Self::load`] and [`FineTuneRun::run`].
    pub fn run(self) -> Result<RunSummary> {
        self.load()?.run(None)
    }
}
