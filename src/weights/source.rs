//! What `--weights` means.

use std::path::{Path, PathBuf};

use super::{EMBEDDED, EMBEDDED_NAME, Weights};
use crate::error::{Error, Result};

/// The name of a run's network in its folder.
pub const MODEL_FILE: &str = "model.safetensors";

/// Where weights come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The weights inside the program.
    Embedded,
    /// A safetensors file.
    File(PathBuf),
}

/// Finds what the argument of `--weights` names: nothing or `resnet50-thin` the embedded weights, else a file, or a folder
/// that `finetune` or `train` wrote. The error says what there is.
pub fn resolve(argument: Option<&str>) -> Result<Source> {
    let Some(argument) = argument else { return Ok(Source::Embedded) };
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
    if argument == EMBEDDED_NAME {
        return Ok(Source::Embedded);
    }
    if path.components().count() > 1 || path.extension().is_some_and(|end| end == "safetensors") {
        return Err(Error::file(path, "does not exist; give a .safetensors file or a run's folder"));
    }
    Err(Error::Usage(format!(
        "--weights {argument:?} is neither a file, nor a run's folder with {MODEL_FILE}, nor a name of built-in weights; \
         the only name is {EMBEDDED_NAME}"
    )))
}

/// Opens what the argument of `--weights` names.
pub fn open(argument: Option<&str>) -> Result<Weights> {
    match resolve(argument)? {
        Source::Embedded => Weights::from_bytes(EMBEDDED, EMBEDDED_NAME),
        Source::File(path) => Weights::open(path),
    }
}
