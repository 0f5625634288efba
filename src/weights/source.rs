//! What `--weights` means.

use std::path::{Path, PathBuf};

use super::{BUILT_IN, EMBEDDED, EMBEDDED_NAME, FetchOptions, PREPROCESS_KEY, Pretrained, Weights, fetch, manifest};
use crate::error::{Error, Result};

/// The name of a run's network in its folder.
pub const MODEL_FILE: &str = "model.safetensors";

/// Where weights come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Weights inside the program: their name and the file.
    BuiltIn(&'static str, &'static [u8]),
    /// A file.
    File(PathBuf),
    /// A network of the manifest, in the cache or to be fetched into it.
    Pretrained(&'static Pretrained),
}

/// Finds what the argument of `--weights` names: nothing the default weights, else a file, a folder that `finetune` or
/// `train` wrote, or the name of built-in weights or of the manifest's. The error says what there is.
pub fn resolve(argument: Option<&str>) -> Result<Source> {
    let Some(argument) = argument else { return Ok(Source::BuiltIn(EMBEDDED_NAME, EMBEDDED)) };
    let path = Path::new(argument);
    if path.is_dir() {
        let model = path.join(MODEL_FILE);
        return match model.exists() {
            true => Ok(Source::File(model)),
            false => Err(Error::file(path, format!("is a folder without {MODEL_FILE}; give a run's folder or a file"))),
        };
    }
    if path.exists() {
        return Ok(Source::File(path.to_path_buf()));
    }
    if let Some((name, bytes)) = BUILT_IN.iter().find(|(name, _)| *name == argument) {
        return Ok(Source::BuiltIn(name, bytes));
    }
    if let Some(entry) = manifest::find(argument)? {
        return Ok(Source::Pretrained(entry));
    }
    let is_file = path.extension().is_some_and(|end| ["safetensors", "pth", "pt", "bin"].iter().any(|e| end == *e));
    if path.components().count() > 1 || is_file {
        return Err(Error::file(path, "does not exist; give a .safetensors or .pth file or a run's folder"));
    }
    Err(manifest::unknown(argument, &BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>()))
}

/// Opens what the argument of `--weights` names; a network of the manifest is fetched if the cache does not have it.
pub fn open(argument: Option<&str>) -> Result<Weights> {
    open_with(argument, &FetchOptions::from_env())
}

/// [`open`] with a say in how it is fetched.
pub fn open_with(argument: Option<&str>, options: &FetchOptions) -> Result<Weights> {
    match resolve(argument)? {
        Source::BuiltIn(name, bytes) => Weights::from_bytes(bytes, name),
        Source::File(path) => Weights::open(path),
        Source::Pretrained(entry) => {
            let mut weights = Weights::open(fetch(entry, options, false)?.path)?;
            weights.default_metadata(PREPROCESS_KEY, entry.preprocess_json());
            Ok(weights)
        }
    }
}
