//! Files and folders that systems and tools leave among photographs. They are never classes or images.

use std::path::Path;

use super::runs::is_output;

/// Names in any case. Whatever starts with a dot counts too (`.ipynb_checkpoints`, macOS's `._photo.jpg`).
const CLUTTER: [&str; 15] = [
    // macOS: archives, folder icons.
    "__MACOSX",
    "Icon\r",
    // Synology and QNAP: thumbnails, snapshots, deleted files.
    "@eaDir",
    "@Recycle",
    "@Recently-Snapshot",
    "#recycle",
    "#snapshot",
    // Windows.
    "$RECYCLE.BIN",
    "RECYCLER",
    "System Volume Information",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    // Linux's file systems, and Python.
    "lost+found",
    "__pycache__",
];

/// True if the last part of `path` is the name of such a file or folder.
pub(crate) fn is_clutter(path: &Path) -> bool {
    let Some(name) = path.file_name() else { return true };
    let name = name.to_string_lossy();
    name.starts_with('.') || CLUTTER.iter().any(|clutter| clutter.eq_ignore_ascii_case(&name))
}

/// True if the folder `path` can't be a class or a part of a data set.
pub(crate) fn is_no_class(path: &Path) -> bool {
    is_clutter(path) || is_output(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_leave_names_in_any_case() {
        for name in ["@eaDir", "@EADIR", "$Recycle.Bin", "lost+found", ".ipynb_checkpoints", "a/._x.jpg", "THUMBS.DB"] {
            assert!(is_clutter(Path::new(name)), "{name}");
        }
        for name in ["cat", "recycle", "thumbs.png", "system", "train"] {
            assert!(!is_clutter(Path::new(name)), "{name}");
        }
    }
}
