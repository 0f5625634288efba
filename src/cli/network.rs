//! Options for what a network's file does not say: where the network is in the file, what it is, and how its images are prepared.
//! All of them take precedence over the file.

use std::path::PathBuf;

use crate::data::Interpolation;
use crate::error::{Error, Result};
use crate::files;
use crate::weights::Overrides;

/// The largest description that is read.
const MAX_DESCRIPTION: u64 = 1 << 20;

/// Where the network is in its file, and what it is.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct NetworkArgs {
    /// Use the network under this key, such as state_dict_ema, if the file holds several
    #[arg(long, value_name = "KEY", help_heading = "What the weights file does not say")]
    pub weights_key: Option<String>,
    /// Description of the network as JSON, with the keys of `gpu_resnet.architecture`
    #[arg(long, value_name = "FILE.json", help_heading = "What the weights file does not say")]
    pub architecture: Option<PathBuf>,
    /// One value of that description, such as stride_in=1x1 or shortcut=zero-pad; repeatable
    #[arg(long, value_name = "KEY=VALUE", help_heading = "What the weights file does not say")]
    pub set: Vec<String>,
}

/// How images are prepared.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ImageArgs {
    /// Mean of red, green and blue, as fractions of 255, which is subtracted
    #[arg(long, value_name = "R,G,B", value_parser = three, help_heading = "What the weights file does not say")]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of red, green and blue, as fractions of 255, by which they are then divided
    #[arg(long, value_name = "R,G,B", value_parser = three, help_heading = "What the weights file does not say")]
    pub std: Option<[f32; 3]>,
    /// Scale the shorter side to N pixels
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8192), help_heading = "What the weights file does not say")]
    pub resize: Option<u32>,
    /// Then crop the central N x N pixels
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096), help_heading = "What the weights file does not say")]
    pub crop: Option<u32>,
    /// Interpolation when scaling: bilinear or bicubic
    #[arg(long, value_name = "FILTER", value_parser = filter, help_heading = "What the weights file does not say")]
    pub interpolation: Option<Interpolation>,
}

/// The names of the options of [`NetworkArgs`] and [`ImageArgs`] that a resumed run already has.
pub const SETTLED: [&str; 8] = ["weights_key", "architecture", "set", "mean", "std", "resize", "crop", "interpolation"];

impl NetworkArgs {
    /// What the options say, including `images`, with the description read and checked.
    pub fn overrides(&self, images: &ImageArgs) -> Result<Overrides> {
        let read = |path: &PathBuf| {
            let failed = |why: &dyn std::fmt::Display| {
                Error::file(path, format!("could not be read ({why}); give a JSON file that describes a network"))
            };
            let text = files::read_text(path, MAX_DESCRIPTION).map_err(|e| failed(&e))?;
            text.ok_or_else(|| failed(&format!("it has more than {MAX_DESCRIPTION} bytes")))
        };
        let ImageArgs { mean, std, resize, crop, interpolation } = *images;
        let overrides = Overrides {
            weights_key: self.weights_key.clone(),
            architecture: self.architecture.as_ref().map(read).transpose()?,
            set: self.set.clone(),
            mean,
            std,
            resize,
            crop,
            interpolation,
        };
        overrides.check()?;
        Ok(overrides)
    }
}

fn three(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    let three = numbers.ok().and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
    three.ok_or_else(|| "it takes three numbers, such as 0.485,0.456,0.406".to_owned())
}

fn filter(text: &str) -> Result<Interpolation, String> {
    match text {
        "bilinear" => Ok(Interpolation::Bilinear),
        "bicubic" => Ok(Interpolation::Bicubic),
        _ => Err("it takes bilinear or bicubic".to_owned()),
    }
}
