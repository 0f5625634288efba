//! What systems and tools leave in folders of photographs. It is never a class and never an image.

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

/// True if the last part of `path` is the name of something that is nobody's data.
pub(crate) fn is_clutter(path: &Path) -> bool {
    let Some(name) = path.file_name() else { return true };
    let name = name.to_string_lossy();
    name.starts_with('.') || CLUTTER.iter().any(|clutter| clutter.eq_ignore_ascii_case(&name))
}

/// True if the folder `path` can't be a class or a part of a data set.
pub(crate) fn is_no_class(path: &Path) -> bool {
    is_clutter(path) || is_output(path)
}

/// Formats of images that are not read, by their extensions in lower case.
const UNREAD: [&str; 21] = [
    "heic", "heif", "avif", "jxl", "jp2", "j2k", "jpx", "jxr", "psd", "svg", "ico", "tga", "exr", "hdr", "dng", "cr2",
    "cr3", "nef", "arw", "orf", "raf",
];

/// The extension of an image whose format is not read, in lower case; none for any other file. The caller has taken the
/// files that are read away.
pub(crate) fn unread_format(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?.to_lowercase();
    (!is_clutter(path) && UNREAD.contains(&&*extension)).then_some(extension)
}

/// `12 images in formats that are not read (.heic, .jxl)`, if any of `files`, none of which is read, are such images.
pub(crate) fn unread_images<'a>(files: impl IntoIterator<Item = &'a Path>) -> Option<String> {
    let found: Vec<String> = files.into_iter().filter_map(unread_format).collect();
    let formats: std::collections::BTreeSet<String> = found.iter().map(|format| format!(".{format}")).collect();
    let formats = formats.into_iter().collect::<Vec<_>>().join(", ");
    match found.len() {
        0 => None,
        1 => Some(format!("1 image in a format that is not read ({formats})")),
        n => Some(format!("{n} images in formats that are not read ({formats})")),
    }
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

    #[test]
    fn formats_that_are_not_read_are_counted() {
        let files = ["a.HEIC", "b.jxl", "notes.txt", "c.heic", "._d.heic"].map(Path::new);
        let said = unread_images(files).unwrap();
        assert_eq!(said, "3 images in formats that are not read (.heic, .jxl)");
        assert_eq!(unread_images([Path::new("notes.txt")]), None);
    }
}
