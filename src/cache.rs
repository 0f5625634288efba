//! The folder for what the crate can compute or fetch again: features, compiled pipelines, tuned choices, weights.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// `GPU_RESNET_CACHE`, or the folder `gpu-resnet` in the platform's cache folder. It need not exist yet.
///
/// # Errors
/// [`Error::Usage`] if the environment does not say.
pub fn cache_dir() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = variable("GPU_RESNET_CACHE") {
        return Ok(path);
    }
    let platform = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        // A relative path must be ignored (XDG Base Directory Specification).
        variable("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| variable("HOME").map(|h| h.join(".cache")))
    };
    let folder = platform.map(|path| path.join("gpu-resnet"));
    folder.ok_or_else(|| Error::Usage("the environment names no cache folder; set GPU_RESNET_CACHE to one".into()))
}
