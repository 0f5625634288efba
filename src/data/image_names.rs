//! Which files are images, by the extensions of their names.

use std::path::Path;

use super::decode::format::READ_EXTENSIONS;

/// True if the file's extension is one of the image formats that are read, and the file is not hidden.
pub fn is_image_name(path: &Path) -> bool {
    !is_hidden(path) && path.extension().is_some_and(|e| READ_EXTENSIONS.iter().any(|x| e.eq_ignore_ascii_case(x)))
}

/// Formats of images that are not read, by their extensions in lower case.
const UNREAD: [&str; 21] = [
    "heic", "heif", "avif", "jxl", "jp2", "j2k", "jpx", "jxr", "psd", "svg", "ico", "tga", "exr", "hdr", "dng", "cr2",
    "cr3", "nef", "arw", "orf", "raf",
];

/// The extension of an image whose format is not read, in lower case; `None` for any other file. The caller has removed the files that
/// are read.
pub(crate) fn unread_format(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?.to_lowercase();
    (!is_hidden(path) && UNREAD.contains(&&*extension)).then_some(extension)
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

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_are_not_read_are_counted() {
        let files = ["a.HEIC", "b.jxl", "notes.txt", "c.heic", "._d.heic"].map(Path::new);
        let said = unread_images(files).unwrap();
        assert_eq!(said, "3 images in formats that are not read (.heic, .jxl)");
        assert_eq!(unread_images([Path::new("notes.txt")]), None);
    }
}
