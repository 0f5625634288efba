//! `gpu-resnet weights`: lists, fetches, converts and inspects weights.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Context;
use super::console::{print, print_json};
use super::model::{Use, distinct, open_weights};
use super::network::{ImageArgs, NetworkArgs};
use crate::error::{Error, Result};
use crate::weights::{self, BUILT_IN, ElementType, Names, Overrides, Source};

#[derive(Debug, clap::Subcommand)]
pub enum WeightsCommand {
    /// List the networks that `--weights` knows by name
    #[command(after_help = "Example:\n  gpu-resnet weights list")]
    List {
        /// Print one JSON list
        #[arg(long)]
        json: bool,
    },
    /// Fetch a network into the cache, or check the copy there
    #[command(
        after_help = "Example:\n  gpu-resnet weights fetch resnet50.a1_in1k\n\nAn interrupted transfer continues \
                            where it ended. GPU_RESNET_CACHE names the cache's folder, GPU_RESNET_MIRROR a server to use \
                            instead of the hub, HTTPS_PROXY a proxy."
    )]
    Fetch {
        /// A name of `weights list`
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write a network as safetensors: from a PyTorch checkpoint, with another element type, or under other names
    #[command(after_help = "Examples:\n  gpu-resnet weights convert model.pth model.safetensors\n  \
                            gpu-resnet weights convert runs/mine small.safetensors --dtype f16")]
    Convert {
        /// A .safetensors or .pth file, a run's folder, or a name of `weights list`
        input: OsString,
        /// The .safetensors file to write
        output: PathBuf,
        /// Element type [default: each tensor's own]
        #[arg(long, value_enum)]
        dtype: Option<ElementType>,
        /// Naming scheme of the tensors
        #[arg(long, value_enum, default_value_t)]
        names: Names,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        images: ImageArgs,
    },
    /// Show what a weights file holds and whether it can be used
    #[command(after_help = "Example:\n  gpu-resnet weights inspect runs/mine")]
    Inspect {
        /// A .safetensors or .pth file, a run's folder, or a name of `weights list` [default: resnet50-thin, built in]
        file: Option<OsString>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        images: ImageArgs,
    },
}

pub fn run(context: &Context, command: &WeightsCommand) -> Result<()> {
    match command {
        WeightsCommand::List { json } => list(*json),
        WeightsCommand::Fetch { name, json } => fetch(context, name, *json),
        WeightsCommand::Convert { input, output, dtype, names, network, images } => {
            convert(context, input, output, (*dtype, *names), &network.overrides(images)?)
        }
        WeightsCommand::Inspect { file, json, network, images } => {
            inspect(context, file.as_deref(), *json, &network.overrides(images)?)
        }
    }
}

/// One entry of `weights list`.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    entry: &'a weights::Pretrained,
    url: String,
    /// Its path in the cache; none if it is not there.
    cached: Option<PathBuf>,
}

fn list(json: bool) -> Result<()> {
    let mirror = weights::FetchOptions::from_env().mirror;
    let cache = crate::cache_dir().ok();
    let listed = weights::manifest()?.iter().map(|entry| {
        let path = cache.as_ref().map(|folder| folder.join("weights").join(entry.file_name()));
        Listed { entry, url: entry.url(mirror.as_deref()), cached: path.filter(|path| path.is_file()) }
    });
    let listed: Vec<_> = listed.collect();
    if json {
        return print_json(&listed);
    }
    let mut text =
        format!("{:<19}{:<14}{:>7}{:>7}  {:<13}where\n", "name", "architecture", "top-1", "top-5", "licence");
    for Listed { entry, url, cached } in &listed {
        let weights::Accuracy { top1, top5 } = entry.accuracy;
        let place = cached.as_ref().map_or(url.clone(), |path| path.display().to_string());
        text += &format!(
            "{:<19}{:<14}{top1:>7.2}{top5:>7.2}  {:<13}{place}\n",
            entry.name, entry.architecture, entry.licence
        );
    }
    for (name, _) in BUILT_IN {
        text += &format!("{name:<19}built in\n");
    }
    print(text)
}

fn fetch(context: &Context, name: &str, json: bool) -> Result<()> {
    let entry = match weights::resolve(Some(name))? {
        Source::Pretrained(entry) => entry,
        Source::BuiltIn(..) => return Err(Error::Usage(format!("{name} is built in; there is nothing to fetch"))),
        Source::File(path) => {
            return Err(Error::file(path, "is a file or folder here; give a name of `gpu-resnet weights list`"));
        }
    };
    let fetched = context.fetching(name, |options| weights::fetch(entry, options, true))?;
    if json {
        return print_json(&fetched);
    }
    let done = if fetched.cached { "was already in the cache, and is intact" } else { "fetched" };
    print(format!("{name} {done}: {}\nsha256 {}\n", fetched.path.display(), fetched.sha256.unwrap_or_default()))
}

fn convert(
    context: &Context,
    input: &OsStr,
    output: &Path,
    (dtype, names): (Option<ElementType>, Names),
    overrides: &Overrides,
) -> Result<()> {
    if !output.extension().is_some_and(|end| end.eq_ignore_ascii_case("safetensors")) {
        let problem = format!("{}: what is written is safetensors; end the name in .safetensors", output.display());
        return Err(Error::Usage(problem));
    }
    let (weights, description) = open_weights(context, Some(input), overrides, Use::PREDICTIONS)?;
    distinct(weights.label(), output)?;
    weights::convert(&weights, &description, output, dtype, names)?;
    context.console.note(format!("wrote {} to {}", description.architecture, output.display()));
    Ok(())
}

fn inspect(context: &Context, file: Option<&OsStr>, json: bool, overrides: &Overrides) -> Result<()> {
    let weights = context.weights(file, overrides.weights_key.as_deref())?;
    let inspection = weights::inspect(&weights, overrides);
    if json {
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
