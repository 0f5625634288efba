//! A run that trains a network from scratch.

use std::path::Path;

use super::network_run::NetworkRun;
use super::sets::{DataChoice, open_data};
use super::sitting::other_command;
use super::summary::RunSummary;
use crate::data::Preprocess;
use crate::error::{Error, Result};
use crate::model::{Architecture, Shortcut};
use crate::runtime::Runtime;
use crate::train::{Interrupt, NetworkSettings, RunConfig, RunDir, Settings, fresh};

/// Data and network of the command, as config.toml keeps them: a resumed run must see the same data and network.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct TrainCommand {
    /// Which images it sees.
    #[serde(flatten)]
    pub data: DataChoice,
    /// Its JSON, without the number of classes, which comes from the data.
    pub architecture: String,
    /// How images are prepared, as JSON.
    pub preprocess: String,
}

impl TrainCommand {
    /// The command of the run in the folder `run`, whose settings are `config`.
    ///
    /// # Errors
    /// A run of another command.
    pub fn of(config: &RunConfig, run: &Path) -> Result<Self> {
        if config.command.contains_key("weights_sha256") {
            return Err(Error::file(run, other_command("finetune", run)));
        }
        let command: Result<Self, _> = config.command.clone().try_into();
        command.map_err(|e| Error::file(run.join("config.toml"), format!("is not of a train run: {e}")))
    }
}

/// The architecture called `name`, with another shortcut or another place of its strides where they are given.
///
/// # Errors
/// Names that do not exist, or do not fit together.
pub fn train_architecture(name: &str, shortcut: Option<&str>, stride_in: Option<&str>) -> Result<Architecture> {
    let mut architecture = Architecture::named(name)?;
    if let Some(shortcut) = shortcut {
        if architecture.shortcut == Shortcut::None {
            return Err(Error::Usage(format!("{name} has no shortcuts; leave --shortcut out")));
        }
        architecture.shortcut = shortcut.parse()?;
    }
    if let Some(stride_in) = stride_in {
        architecture.stride_in = stride_in.parse()?;
    }
    architecture.validate()?;
    Ok(architecture)
}

/// A run of `gpu-resnet train` that is about to start or to continue.
pub struct TrainRun {
    /// Its settings.
    pub config: RunConfig,
    /// Its data and network.
    pub command: TrainCommand,
    resumed: Option<RunDir>,
    /// Whether each epoch's scalars are also written for TensorBoard.
    pub tensorboard: bool,
    /// What it runs on; the run has its own precision.
    pub runtime: Runtime,
    /// Stops the run once it is raised.
    pub interrupt: Interrupt,
}

impl TrainRun {
    /// A new run of `architecture` on `data`. `training` must have a learning rate and a number of epochs.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub fn begin(
        data: DataChoice,
        architecture: &Architecture,
        preprocess: &Preprocess,
        training: Settings,
        network: NetworkSettings,
    ) -> Result<Self> {
        training.check().map_err(|e| Error::Usage(e.to_string()))?;
        network.check()?;
        let kept = |e: &dyn std::fmt::Display| Error::Usage(format!("the options can't be kept: {e}"));
        let command = TrainCommand {
            data,
            architecture: architecture.to_json()?,
            preprocess: serde_json::to_string(preprocess).map_err(|e| kept(&e))?,
        };
        let table = toml::Table::try_from(&command).map_err(|e| kept(&e))?;
        let config = RunConfig { command: table, training, network: Some(network), ..RunConfig::default() };
        Ok(Self::with(config, command, None))
    }

    /// Opens the run in `folder`, which was stopped, to continue it.
    ///
    /// # Errors
    /// A folder without such a run, or one that another process is using.
    pub fn resume(folder: &Path) -> Result<Self> {
        let (run, config) = RunDir::open(folder)?;
        let command = TrainCommand::of(&config, folder)?;
        Ok(Self::with(config, command, Some(run)))
    }

    fn with(config: RunConfig, command: TrainCommand, resumed: Option<RunDir>) -> Self {
        let (runtime, interrupt) = (Runtime::default(), Interrupt::new());
        Self { config, command, resumed, tensorboard: false, runtime, interrupt }
    }

    /// Trains, and writes the run into `folder`, or into the next free one of `runs/train`. A resumed run stays where it is.
    ///
    /// # Errors
    /// Data, settings, a folder or an adapter that can't be used, and [`Error::Interrupted`].
    pub fn run(self, folder: Option<&Path>) -> Result<RunSummary> {
        let Self { mut config, command, resumed, tensorboard, mut runtime, interrupt } = self;
        runtime.precision = config.network.as_ref().map_or(runtime.precision, |network| network.precision);
        let seed = config.training.seed;
        let sets = open_data(&runtime, &command.data, seed)?;
        match &resumed {
            Some(run) => run.check_classes(&mut config, sets.train.classes())?,
            None => config.classes = sets.train.classes().to_vec(),
        }
        let architecture = Architecture::from_json(&command.architecture)?.with_classes(sets.train.classes().len());
        let preprocess = Preprocess::from_json(&command.preprocess)?;
        architecture.macs(preprocess.crop as usize, preprocess.crop as usize)?;
        let parameters = architecture.parameter_count() as f64 / 1e6;
        runtime.note(format!("{architecture}: {parameters:.2} million parameters"));
        let run = NetworkRun {
            command: "train",
            architecture: &architecture,
            weights: &fresh(&architecture, seed),
            preprocess: &preprocess,
            sets,
            resumed,
            output: folder,
            tensorboard,
            interrupt: &interrupt,
        };
        run.run(&runtime, &config)
    }
}
