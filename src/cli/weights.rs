//! `gpu-resnet weights`: looking into weights files.

use super::Context;
use super::console::{print, print_json};
use crate::error::{Error, Result};
use crate::weights;

#[derive(Debug, clap::Subcommand)]
pub enum WeightsCommand {
    /// Say what a weights file holds and whether it can be used
    #[command(after_help = "Example:\n  gpu-resnet weights inspect runs/mine")]
    Inspect {
        /// A safetensors file, a run's folder, or the name of built-in weights (the default)
        file: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

pub fn run(_: &Context, command: &WeightsCommand) -> Result<()> {
    let WeightsCommand::Inspect { file, json } = command;
    let weights = weights::open(file.as_deref())?;
    let inspection = weights::inspect(&weights);
    if *json {
        print_json(&inspection)?
    } else {
        print(&inspection)?
    }
    match inspection.problems.len() {
        0 => Ok(()),
        1 => Err(Error::file(weights.label(), "it can't be used, for the reason above")),
        n => Err(Error::file(weights.label(), format!("it can't be used, for the {n} reasons above"))),
    }
}
