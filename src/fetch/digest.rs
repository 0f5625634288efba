//! SHA-256 of files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The SHA-256 of the file at `path`, in hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let hasher = File::open(path).and_then(hash);
    Ok(format!("{:x}", hasher.map_err(|error| Error::file(path, format!("could not be read: {error}")))?.finalize()))
}

/// The hash of everything that is left to read.
pub(super) fn hash(mut file: impl Read) -> std::io::Result<Sha256> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(hasher)
}
