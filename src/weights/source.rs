//! What `--weights` means.

use std::path::{Path, PathBuf};

use super::{BUILT_IN, EMBEDDED, EMBEDDED_NAME, Weights};
use crate::error::{Error, Result};

/// The name of a run's network in its folder.
pub const MODEL_FILE: &str = "model.safetensors";

/// Where weights come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Weights inside the program: their name and the file.
    BuiltIn(&'static str, &'static [u8]),
    /// A safetensors file.
    File(PathBuf),
}

/// Finds what the argument of `--weights` names: nothing the default weights, else a file, a folder that `finetune` or
/// `train` wrote, or the name of built-in weights. The error says what there is.
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
    let names = BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" and ");
    if path.components().count() > 1 || path.extension().is_some_and(|end| end == "safetensors") {
        return Err(Error::file(path, "does not exist; give a .safetensors file or a run's folder"));
    }
    Err(Error::Usage(format!(
        "--weights {argument:?} is neither a file, nor a run's folder with {MODEL_FILE}, nor a name of built-in weights; \
         the names are {names}"
    )))
}

/// Opens what the argument of `--weights` names.
pub fn open(argument: Option<&str>) -> Result<Weights> {
    match resolve(argument)? {
        Source::BuiltIn(name, bytes) => Weights::from_bytes(bytes, name),
        Source::File(path) => Weights::open(path),
    }
}
