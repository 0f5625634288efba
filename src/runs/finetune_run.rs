//! A fine-tuning run that is about to start, or to go on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::features::Extractor;
use super::finetune_command::FineTuneCommand;
use super::head_run::HeadSitting;
use super::network_run::NetworkRun;
use super::sets::{Sets, open_data};
use super::sitting::Sitting;
use super::summary::RunSummary;
use crate::error::{Error, Result};
use crate::predict::{LoadedNetwork, NetworkSource, Use};
use crate::runtime::Runtime;
use crate::train::{Interrupt, RunConfig, RunDir, with_fresh_head};

/// A run that is about to start or to go on: [`FineTune::begin`](super::FineTune::begin) or [`StoppedFineTune::load`] makes
/// it.
pub struct FineTuneRun {
    /// Its settings, complete but for what the data and the recipe tell.
    pub config: RunConfig,
    pub(super) command: FineTuneCommand,
    /// The folder, if the run is there already.
    pub(super) resumed: Option<RunDir>,
    /// The network that it begins with.
    pub network: LoadedNetwork,
    pub(super) tensorboard: bool,
    pub(super) runtime: Runtime,
    pub(super) interrupt: Interrupt,
}

impl FineTuneRun {
    /// Trains, and writes the run into `folder`, or into the next free one of `runs/finetune`. A run that goes on stays
    /// where it is.
    ///
    /// # Errors
    /// Data, settings, a folder or an adapter that can't be used, and [`Error::Interrupted`].
    pub fn run(mut self, folder: Option<&Path>) -> Result<RunSummary> {
        let sets = open_data(&self.runtime, &self.command.data, self.config.training.seed)?;
        match &self.resumed {
            Some(run) => run.check_classes(&mut self.config, sets.train.classes())?,
            None => self.config.classes = sets.train.classes().to_vec(),
        }
        match self.config.network {
            Some(_) => self.train_upper_part(sets, folder),
            None => self.train_head(sets, folder),
        }
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

    /// A new head on features that are computed once.
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
        let result = head.train(&mut extractor, &mut config, sets);
        sitting.end(&runtime, result)
    }
}

/// A run that was stopped, its folder claimed: [`FineTune::resume`](super::FineTune::resume) opens it. It has its settings
/// already; what may be another is how far it goes, and where its weights lie.
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
    /// The run's weights, if they lie elsewhere now.
    pub weights: Option<OsString>,
    /// Whether each epoch's scalars are written for TensorBoard too.
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

    /// The run's folder, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Goes on until this many epochs are done.
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

    /// Opens the network that the run began with.
    ///
    /// # Errors
    /// Weights that are not there any more, or not the same.
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

    /// Goes on.
    ///
    /// # Errors
    /// Those of [`Self::load`] and [`FineTuneRun::run`].
    pub fn run(self) -> Result<RunSummary> {
        self.load()?.run(None)
    }
}
