//! Atomic files, written under a temporary name in the same folder and then renamed; mapping a file into memory; and reading files
//! of bounded size.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

mod temporary;

pub use temporary::{is_part, is_same, remove_parts};

/// A file being written. Dropped without [`NewFile::commit`], it leaves nothing behind.
pub struct NewFile {
    path: PathBuf,
    file: BufWriter<Target>,
}

/// Where the bytes go.
enum Target {
    /// A file that gets the name `to` when it is complete.
    Renamed { file: tempfile::NamedTempFile, to: PathBuf },
    /// Anything but a regular file (`/dev/null`, a pipe), which must not be replaced by one.
    Direct(File),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            // Straight to the file: its errors do not tell the temporary name.
            Target::Renamed { file, .. } => file.as_file_mut().write(bytes),
            Target::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Target::Renamed { file, .. } => file.as_file_mut().flush(),
            Target::Direct(file) => file.flush(),
        }
    }
}

impl NewFile {
    /// Starts writing the file `path`, in the same folder; for a symbolic link, the file that it points to.
    pub fn create(path: &Path) -> Result<Self> {
        let buffered = |target| Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 20, target) };
        let to = match std::fs::metadata(path) {
            Ok(about) if about.is_dir() => return Err(Error::file(path, "is a folder; name a file to write")),
            Ok(about) if !about.is_file() => {
                let file = std::fs::OpenOptions::new().write(true).open(path).map_err(|e| failed(path, e))?;
                return Ok(buffered(Target::Direct(file)));
            }
            Ok(_) => path.canonicalize().map_err(|e| failed(path, e))?,
            Err(_) => path.to_owned(),
        };
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(Error::file(
                path,
                format!("could not be written: there is no folder {}; create it", folder.display()),
            ));
        }
        let name = to.file_name().unwrap_or_default();
        let file = temporary::create(folder, name).map_err(|e| failed(path, e))?;
        Ok(buffered(Target::Renamed { file, to }))
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| failed(&self.path, e))
    }

    /// Moves the file to its name, replacing an existing one.
    pub fn commit(self) -> Result<()> {
        let Self { path, file } = self;
        let file = file.into_inner().map_err(|e| failed(&path, e.error()))?;
        if let Target::Renamed { file, to } = file {
            file.as_file().sync_all().map_err(|e| failed(&path, e))?;
            file.persist(to).map_err(|e| failed(&path, e.error))?;
        }
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Maps an open file to be read.
#[allow(unsafe_code)]
pub fn map(file: &File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the map is private and only ever read as bytes, which have no invalid values. If another process shortens the file
    // meanwhile, reading past its end raises SIGBUS. That ends this process, as in every program that maps files, but corrupts
    // nothing. This program replaces files by renaming, never in place.
    unsafe { memmap2::Mmap::map(file) }
}

/// The text of `path`, which may be a pipe; `None` if it has more than `limit` bytes, so that reading `/dev/zero` ends too.
pub fn read_text(path: &Path, limit: u64) -> std::io::Result<Option<String>> {
    let mut text = String::new();
    let read = File::open(path)?.take(limit + 1).read_to_string(&mut text)?;
    Ok((read as u64 <= limit).then_some(text))
}

/// Reads a regular file of at most `limit` bytes; `None` if there is no such file.
pub fn read_limited(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
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
        return Err(Error::file(path, format!("is larger than the {limit} bytes that it can have, so it is damaged")));
    }
    Ok(Some(bytes))
}

/// Creates a folder and those above it.
pub fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)
        .map_err(|error| Error::file(path, format!("the folder could not be created: {error}")))
}

/// Returns an error if `path` could not be written now: better before hours of work than after.
#[cfg(feature = "cli")]
pub fn check_writable(path: &Path) -> Result<()> {
    NewFile::create(path).map(drop)
}

/// Writes a whole file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write(bytes)?;
    file.commit()
}

fn failed(path: &Path, error: impl Display) -> Error {
    // The temporary name in the message would only confuse.
    let error = error.to_string();
    let why = error.split(" at path ").next().unwrap_or_default();
    Error::file(path, format!("could not be written: {why}; check the folder and its space"))
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
        assert!(message.contains("no/such/folder") && !message.contains(".part"), "{message}");
        #[cfg(feature = "cli")]
        assert!(check_writable(folder.path()).unwrap_err().to_string().contains("is a folder"));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_links_stay_what_they_are() {
        use std::os::unix::fs::FileTypeExt;
        let folder = tempfile::tempdir().unwrap();
        let (link, file, device) =
            (folder.path().join("link"), folder.path().join("file"), folder.path().join("device"));
        std::fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink() && std::fs::read(&file).unwrap() == b"new");
        // Through a link, so that a failure of this test does not cost the machine its /dev/null.
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        write(&device, b"gone").unwrap();
        assert!(device.is_symlink() && std::fs::metadata(&device).unwrap().file_type().is_char_device());
    }
}
