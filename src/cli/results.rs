//! `gpu-resnet results FOLDER`: a page about a folder that `scripts/measure-gpu.sh` filled. What is missing there is missing on the page.

mod folder;
mod page;
mod tables;

use std::path::PathBuf;

use super::Context;
use crate::error::{Error, Result};
use crate::files;
use folder::Folder;

/// Write README.md in a folder of measurements of scripts/measure-gpu.sh.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet results docs/results/2026-11-28-llvmpipe")]
pub struct ResultsArgs {
    /// The folder
    folder: PathBuf,
}

pub fn run(context: &Context, args: &ResultsArgs) -> Result<()> {
    let folder = Folder::open(&args.folder)?;
    if folder.steps().is_empty() {
        return Err(Error::file(&args.folder, "holds no steps.tsv; name a folder that scripts/measure-gpu.sh filled"));
    }
    let path = args.folder.join("README.md");
    files::write(&path, page::page(&folder).as_bytes())?;
    context.console.note(format!("the page is {}", path.display()));
    Ok(())
}
