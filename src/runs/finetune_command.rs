//! What a fine-tuning run keeps in config.toml beside its settings: which data and which network.

use std::path::Path;

use super::sets::DataChoice;
use super::sitting::other_command;
use crate::error::{Error, Result};
use crate::ops::Precision;
use crate::train::RunConfig;
use crate::weights::Overrides;

/// Which data and which network, as config.toml keeps it under `command`: a resumed run must see the same data and network.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FineTuneCommand {
    /// Which images it sees.
    #[serde(flatten)]
    pub data: DataChoice,
    /// The value of `--weights`; `None` for the built-in network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The file's SHA-256, in hexadecimal.
    pub weights_sha256: String,
    /// The images' side, if it is not the one that the weights were made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<u32>,
    /// The lowest part that is trained.
    pub unfreeze: String,
    /// How feature maps are stored, if not as f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// What the user said about the network because its file does not.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub network: Overrides,
}

fn is_nothing(overrides: &Overrides) -> bool {
    *overrides == Overrides::default()
}

impl FineTuneCommand {
    /// How the features are computed.
    ///
    /// # Errors
    /// An unknown precision.
    pub fn precision(&self) -> Result<Precision> {
        let Some(name) = &self.precision else { return Ok(Precision::F32) };
        let known = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        known.ok_or_else(|| {
            Error::Usage(format!("the run's precision is {name}, which does not exist; correct its config.toml"))
        })
    }

    /// The command of the run in `run`, whose settings are `config`.
    ///
    /// # Errors
    /// A run of another command.
    pub fn of(config: &RunConfig, run: &Path) -> Result<Self> {
        if config.command.contains_key("architecture") {
            return Err(Error::file(run, other_command("train", run)));
        }
        let read: Result<Self, _> = config.command.clone().try_into();
        read.map_err(|e| Error::file(run.join("config.toml"), format!("is not of a finetune run: {e}")))
    }
}
