//! The bytes of a weights file: mapped, or in memory.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::contents;
use super::formats::named_format;
use super::stored::Contents;
use crate::error::{Error, Result};
use crate::files;

/// Where a file's bytes are.
pub(super) enum Bytes {
    Mapped(Mmap),
    Memory(Cow<'static, [u8]>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

impl Bytes {
    /// Maps a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        // Before opening, because opening a pipe would wait for a writer.
        let kind = std::fs::metadata(path).map_err(|error| Error::file(path, error))?;
        if !kind.is_file() {
            return Err(Error::file(path, "is not a regular file; give a .safetensors or .pth file"));
        }
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        if kind.len() == 0 {
            return Err(Error::file(path, "is empty; copy or download it again"));
        }
        Ok(Bytes::Mapped(files::map(&file).map_err(|error| Error::file(path, error))?))
    }

    /// The tensors in it; `label` is its path in errors.
    pub fn contents(&self, label: &Path) -> Result<Contents> {
        let named = || named_format(&label.file_name().unwrap_or_default().to_string_lossy());
        contents::read(self).map_err(|problem| Error::file(label, named().unwrap_or(problem)))
    }
}
