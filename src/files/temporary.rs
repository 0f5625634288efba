//! Temporary names of files that are being written. A process that is killed leaves its file behind; the next one that writes a file of that
//! name removes it, so that what is left does not add up.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Result};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};

/// How a temporary name begins and ends.
const START: &str = ".gpu-resnet-";
const END: &str = ".part";

/// Whether a file name is the temporary name of a file that is being written.
pub fn is_part(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(START) && name.ends_with(END))
}

/// Removes from `folder` the temporary files of processes that were killed while writing.
pub fn remove_parts(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| is_part(&entry.file_name())) {
        remove_if_left(&entry.path());
    }
}

/// Creates a file in `folder` that is to get the name `name`, and locks it. Its temporary name follows from `name`. Where another process
/// writes the same file, or there are no locks, it is a random one.
pub(super) fn create(folder: &Path, name: &OsStr) -> Result<NamedTempFile> {
    let digest = format!("{:x}", Sha256::digest(name.as_encoded_bytes()));
    let path = folder.join(format!("{START}{digest:.16}{END}"));
    if let Some(file) = claim(&path)? {
        return Ok(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(START).suffix(END);
    #[cfg(unix)]
    {
        // The mode of any new file, less the umask; temporary files would be private otherwise.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder)?;
    // Distinguishes a file that is being written from one that a killed process left. Some file systems have no locks.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// The new file `path`, locked; none if another process has it.
fn claim(path: &Path) -> Result<Option<File>> {
    for _ in 0..2 {
        // Never through a link, and never into a file that is there.
        match File::options().write(true).create_new(true).open(path) {
            // Another process may have taken it for one that was left before it was locked.
            Ok(file) if file.try_lock().is_ok() && is_same(path, &file) => return Ok(Some(file)),
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => remove_if_left(path),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Removes a temporary file unless a process is writing it.
fn remove_if_left(path: &Path) {
    // A locked one is being written. One that can't be removed does no harm.
    if std::fs::symlink_metadata(path).is_ok_and(|about| about.is_file())
        && let Ok(file) = File::open(path)
        && file.try_lock().is_ok()
        && is_same(path, &file)
    {
        let _ = std::fs::remove_file(path);
    }
}

/// Whether `file`, which was opened as `path`, still has that name.
pub fn is_same(path: &Path, file: &File) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |about: &std::fs::Metadata| (about.dev(), about.ino());
        matches!((std::fs::metadata(path), file.metadata()), (Ok(a), Ok(b)) if id(&a) == id(&b))
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

    fn names(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_a_killed_process_left_is_replaced_and_what_is_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsStr::new("model.safetensors");
        let left = create(folder.path(), name).unwrap();
        let path = left.path().to_owned();
        // As a kill leaves it.
        left.into_temp_path().keep().unwrap();
        std::fs::write(&path, b"half").unwrap();
        assert_eq!(names(folder.path()), 1);
        let file = create(folder.path(), name).unwrap();
        assert_eq!((file.path(), std::fs::read(&path).unwrap().len(), names(folder.path())), (&*path, 0, 1));
        // Two at a time have two names, and another file has a third.
        let other = create(folder.path(), name).unwrap();
        assert!(other.path() != path && is_part(other.path().file_name().unwrap()));
        assert!(create(folder.path(), OsStr::new("other")).unwrap().path() != path);
        drop((file, other));
        assert_eq!(names(folder.path()), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, b"dear").unwrap();
        let name = OsStr::new("x");
        let path = create(folder.path(), name).unwrap().path().to_owned();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        let file = create(folder.path(), name).unwrap();
        assert!(file.path() != path && path.is_symlink());
        assert_eq!(std::fs::read(&victim).unwrap(), b"dear");
    }
}
