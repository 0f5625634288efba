//! What `--weights` means.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::text::some;
use super::{BUILT_IN, EMBEDDED, EMBEDDED_NAME, FetchOptions, PREPROCESS_KEY, Pretrained, Weights, fetch, manifest};
use crate::error::{Error, Result};

/// The name of a run's network in its folder.
pub const MODEL_FILE: &str = "model.safetensors";

/// The names of a network's file in a folder, in order of preference.
const IN_FOLDERS: [&str; 4] =
    [MODEL_FILE, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Where weights come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Built-in weights: their name and the file.
    BuiltIn(&'static str, &'static [u8]),
    /// A file.
    File(PathBuf),
    /// A network of the manifest, in the cache or to be fetched into it.
    Pretrained(&'static Pretrained),
}

/// Finds what the argument of `--weights` names: the default weights if there is none, otherwise a file, a folder that `finetune` or
/// `train` wrote, or the name of weights that are built in or in the manifest. The error lists the choices.
pub fn resolve(argument: Option<&str>) -> Result<Source> {
    find(argument.map(OsStr::new))
}

/// [`resolve`] of a path that need not be UTF-8.
fn find(argument: Option<&OsStr>) -> Result<Source> {
    let Some(argument) = argument else { return Ok(Source::BuiltIn(EMBEDDED_NAME, EMBEDDED)) };
    let path = Path::new(argument);
    if path.is_dir() {
        return in_folder(path).map(Source::File);
    }
    if path.exists() {
        return Ok(Source::File(path.to_path_buf()));
    }
    if let Some((name, bytes)) = BUILT_IN.iter().find(|(name, _)| argument == *name) {
        return Ok(Source::BuiltIn(name, bytes));
    }
    if let Some(name) = argument.to_str()
        && let Some(entry) = manifest::find(name)?
    {
        return Ok(Source::Pretrained(entry));
    }
    if path.components().count() > 1 || is_weights(path) {
        return Err(Error::file(path, "does not exist; give a .safetensors or .pth file or a run's folder"));
    }
    Err(manifest::unknown(&argument.to_string_lossy(), &BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>()))
}

/// The weights in a run's folder or one of Hugging Face's hub.
fn in_folder(folder: &Path) -> Result<PathBuf> {
    let paths = IN_FOLDERS.iter().map(|name| folder.join(name));
    if let Some(path) = paths.into_iter().find(|path| path.exists()) {
        return Ok(path);
    }
    let entries = std::fs::read_dir(folder).map_err(|error| Error::file(folder, error))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    if names.iter().any(|name| name == "saved_model.pb") {
        let problem =
            "is a TensorFlow SavedModel, which is not read; convert it to PyTorch and save model.state_dict()";
        return Err(Error::file(folder, problem));
    }
    let weights: Vec<&str> = names.iter().map(String::as_str).filter(|name| is_weights(Path::new(name))).collect();
    let found = match weights.is_empty() {
        true => String::new(),
        false => format!(" (it has {})", some(weights.into_iter())),
    };
    let wanted = IN_FOLDERS.join(" or ");
    Err(Error::file(folder, format!("is a folder without {wanted}{found}; name the file, or give a run's folder")))
}

/// Whether a file name is that of weights.
fn is_weights(path: &Path) -> bool {
    path.extension().is_some_and(|end| ["safetensors", "pth", "pt", "bin", "ckpt", "tar"].iter().any(|e| end == *e))
}

/// Opens what the argument of `--weights` names; a network of the manifest is fetched if the cache does not have it.
pub fn open(argument: Option<&str>) -> Result<Weights> {
    open_with(argument, &FetchOptions::from_env())
}

/// [`open`] with options for fetching.
pub fn open_with(argument: Option<&str>, options: &FetchOptions) -> Result<Weights> {
    open_key(argument.map(OsStr::new), None, options)
}

/// [`open_with`] for the network under the prefix `key` in the file; its path need not be UTF-8.
pub fn open_key(argument: Option<&OsStr>, key: Option<&str>, options: &FetchOptions) -> Result<Weights> {
    let mut weights = match find(argument)? {
        Source::File(path) => return Weights::open_key(&path, key),
        Source::BuiltIn(name, _) if key.is_some() => {
            return Err(Error::Usage(format!("{name} is one network; leave --weights-key out")));
        }
        Source::BuiltIn(name, bytes) => Weights::from_bytes(bytes, name)?,
        Source::Pretrained(entry) => {
            let mut weights = Weights::open_key(&fetch(entry, options, false)?.path, key)?;
            weights.default_metadata(PREPROCESS_KEY, entry.preprocess_json());
            weights
        }
    };
    weights.mark_known();
    Ok(weights)
}
