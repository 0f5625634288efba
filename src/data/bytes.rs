//! Read-only access to a whole file: read into memory when it is an image, mapped when it is a table of many images.

use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The bytes of a file: mapped, or unpacked into memory.
pub(crate) struct Mapped(Bytes);

enum Bytes {
    Map(memmap2::Mmap),
    Memory(Vec<u8>),
}

impl Mapped {
    /// Maps `path`; an empty file is an error, since no format here allows one.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = open_regular(path)?;
        if file.metadata().map_err(|e| Error::file(path, e))?.len() == 0 {
            return Err(Error::file(path, "is empty; copy or download it again"));
        }
        crate::files::map(&file)
            .map(|map| Mapped(Bytes::Map(map)))
            .map_err(|e| Error::file(path, format!("could not be mapped into memory: {e}")))
    }

    /// Bytes that were unpacked from a file.
    pub(crate) fn unpacked(bytes: Vec<u8>) -> Self {
        Mapped(Bytes::Memory(bytes))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Map(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

/// Opens `path` if it is a regular file: a pipe or a device such as `/dev/zero` would never end.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    let about = std::fs::metadata(path).map_err(|e| Error::file(path, describe(&e)))?;
    if !about.is_file() {
        let what = if about.is_dir() { "is a folder, where a file is needed" } else { "is not a regular file" };
        return Err(Error::file(path, what));
    }
    File::open(path).map_err(|e| Error::file(path, describe(&e)))
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_regular(path)?;
    let length = file.metadata().map_err(|e| Error::file(path, e))?.len();
    let too_long = || Error::file(path, format!("is larger than the {} MiB that are read of such a file", limit >> 20));
    if length > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(length as usize + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Error::file(path, format!("could not be read: {e}")))?;
    // The file may have grown since it was measured.
    if bytes.len() as u64 > limit {
        return Err(too_long());
    }
    Ok(bytes)
}

/// An I/O error as a sentence that says what to do.
pub(crate) fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist; check the path".into(),
        std::io::ErrorKind::PermissionDenied => "may not be read; check its permissions".into(),
        _ => format!("could not be read: {error}"),
    }
}

/// A path from its bytes. Paths are bytes on Unix. Elsewhere they are text, and bytes that are not UTF-8 give `None`.
pub(crate) fn path_from_bytes(bytes: &[u8]) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Some(std::ffi::OsStr::from_bytes(bytes).into())
    }
    #[cfg(not(unix))]
    {
        std::str::from_utf8(bytes).ok().map(PathBuf::from)
    }
}
