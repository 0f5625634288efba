//! Options that name a network, and what commands do with it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::Context;
use super::network::{ImageArgs, NetworkArgs};
use crate::error::{Error, Result};
use crate::predict::NetworkSource;
pub(super) use crate::predict::warn;
pub use crate::predict::{LoadedNetwork, Use, needs_head};
use crate::weights::{Description, Overrides, Weights};
pub use crate::weights::{default_preprocess, numbered_labels as numbered, read_labels};

/// Options that choose a network and how it is run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ModelArgs {
    /// A .safetensors or .pth file, the folder of a run or of a hub, or a name of `weights list` [default: resnet50-thin, built in]
    #[arg(long, value_name = "W")]
    pub weights: Option<OsString>,
    /// Images per batch, on each adapter
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch_size: u32,
    /// Scale and crop images to N x N pixels instead of the size that the weights were made for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=4096),
        conflicts_with_all = ["resize", "crop"])]
    pub image_size: Option<u32>,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub images: ImageArgs,
}

impl ModelArgs {
    /// The network that the options name, with what they say about it.
    pub fn source(&self) -> Result<NetworkSource> {
        let overrides = self.network.overrides(&self.images)?;
        Ok(NetworkSource { weights: self.weights.clone(), image_size: self.image_size, overrides })
    }

    /// Reads and checks the weights, without a GPU.
    pub fn load(&self, context: &Context, purpose: Use) -> Result<LoadedNetwork> {
        self.source()?.load(&context.runtime(), purpose)
    }
}

/// The weights that `argument` names, complete and checked, and their description, for a command without options about images.
pub fn open_weights(
    context: &Context,
    argument: Option<&OsStr>,
    overrides: &Overrides,
    purpose: Use,
) -> Result<(Weights, Description)> {
    let source =
        NetworkSource { weights: argument.map(OsStr::to_owned), image_size: None, overrides: overrides.clone() };
    source.describe(&context.runtime(), purpose)
}

/// Refuses an output that would overwrite an input.
pub fn distinct(input: &Path, output: &Path) -> Result<()> {
    let same = |a: &Path| a.canonicalize().unwrap_or_else(|_| PathBuf::from(a));
    if same(input) == same(output) {
        return Err(Error::Usage(format!("{} is both input and output; name another output", input.display())));
    }
    Ok(())
}
