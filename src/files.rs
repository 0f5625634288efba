//! Files that are there whole or not at all: written under a temporary name beside their own, then renamed.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file being written. Dropped without [`NewFile::commit`], it leaves nothing behind.
pub struct NewFile {
    path: PathBuf,
    file: BufWriter<tempfile::NamedTempFile>,
}

impl NewFile {
    /// Starts writing what will become `path`, in the same folder.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".gpu-resnet-").suffix(".part");
        #[cfg(unix)]
        {
            // What any new file gets, less the umask; temporary files are private otherwise.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(|e| failed(path, e))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 20, file) })
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| failed(&self.path, e))
    }

    /// Puts the file on disk under its name, replacing one that is there.
    pub fn commit(self) -> Result<()> {
        let Self { path, file } = self;
        let file = file.into_inner().map_err(|e| failed(&path, e.error()))?;
        let sync = |file: &File| file.sync_all();
        sync(file.as_file()).map_err(|e| failed(&path, e))?;
        file.persist(&path).map_err(|e| failed(&path, e.error))?;
        Ok(())
    }
}

/// Writes a whole file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write(bytes)?;
    file.commit()
}

fn failed(path: &Path, error: impl Display) -> Error {
    Error::file(path, format!("could not be written: {error}; check the folder and its space"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut dropped = NewFile::create(&path).unwrap();
        dropped.write(b"half").unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        let message = write(&folder.path().join("no/such/folder"), b"").unwrap_err().to_string();
        assert!(message.contains("no/such/folder"), "{message}");
    }
}
