//! Prevents two processes from using one RUN folder: a file `.lock` in it is locked as long as a run is written there. The system
//! releases the lock when the process ends, for whatever reason, so a file left behind by a killed run blocks nobody.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file's name in the folder.
pub(super) const LOCK_FILE: &str = ".lock";

/// A lock that is held. Dropped, it is released, and its file removed.
#[derive(Debug)]
pub(super) struct RunLock {
    path: PathBuf,
    file: File,
    exclusive: bool,
}

/// Why a folder could not be locked.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// Another process, or another run of this one, has it.
    Busy,
    /// The folder is not there (any more).
    Gone,
    /// The file can't be made or opened.
    Failed(std::io::Error),
}

impl RunLock {
    /// Locks `folder`, which must exist.
    pub fn acquire(folder: &Path) -> Result<Self, NotLocked> {
        Self::acquire_by(folder, File::try_lock)
    }

    /// The same by another function, for tests.
    fn acquire_by(folder: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self, NotLocked> {
        let path = folder.join(LOCK_FILE);
        loop {
            // Network file systems lock only what is open for writing.
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(|error| match error.kind() {
                ErrorKind::NotFound => NotLocked::Gone,
                _ => NotLocked::Failed(error),
            })?;
            match lock(&file) {
                // Whoever had it may have removed the file meanwhile: then this lock excludes nobody.
                Ok(()) if is_named(&file, &path) => return Ok(Self { path, file, exclusive: true }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(NotLocked::Busy),
                Err(TryLockError::Error(_)) => return Ok(Self { path, file, exclusive: false }),
            }
        }
    }

    /// False on a file system without locks: nothing then keeps others out.
    pub fn is_exclusive(&self) -> bool {
        self.exclusive
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // What stays keeps nobody out.
        if is_named(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

/// Whether `file`, which was opened as `path`, still has that name.
fn is_named(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |about: &std::fs::Metadata| (about.dev(), about.ino());
        matches!((file.metadata(), std::fs::metadata(path)), (Ok(a), Ok(b)) if id(&a) == id(&b))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_and_again_when_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunLock::acquire(folder.path()).unwrap();
        assert!(first.is_exclusive() && matches!(RunLock::acquire(folder.path()), Err(NotLocked::Busy)));
        drop(first);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "the lock left its file");
        // A file that a killed run left behind is nobody's.
        std::fs::write(folder.path().join(LOCK_FILE), b"").unwrap();
        assert!(RunLock::acquire(folder.path()).unwrap().is_exclusive());
        assert!(matches!(RunLock::acquire(&folder.path().join("no")), Err(NotLocked::Gone)));
    }

    #[test]
    fn a_lock_on_a_removed_file_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        let tries = std::cell::Cell::new(0);
        let lock = RunLock::acquire_by(folder.path(), |file| {
            tries.set(tries.get() + 1);
            if tries.get() == 1 {
                std::fs::remove_file(&path).unwrap();
            }
            file.try_lock()
        });
        assert!(lock.unwrap().is_exclusive() && tries.get() == 2);
    }

    #[test]
    fn a_file_system_without_locks_locks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let unsupported = |_: &File| Err(TryLockError::Error(std::io::Error::from(ErrorKind::Unsupported)));
        let lock = RunLock::acquire_by(folder.path(), unsupported).unwrap();
        assert!(!lock.is_exclusive());
        drop(lock);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}
