//! Files of a RUN folder and of the cache, read with a limit. They are written by `crate::files`.

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Reads a regular file of at most `limit` bytes; none if there is no such file.
pub(super) fn read_limited(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let failed = |error: std::io::Error| Error::file(path, format!("could not be read: {error}"));
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !about.is_file() {
        return Err(Error::file(path, "is not a regular file; move it away"));
    }
    let mut bytes = Vec::with_capacity(about.len().min(limit) as usize);
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Error::file(path, format!("is larger than the {limit} bytes that it can have; it is damaged")));
    }
    Ok(Some(bytes))
}

/// Creates a folder and those above it.
pub(super) fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| Error::file(path, format!("the folder could not be made: {error}")))
}
