//! The user's inputs as a list of files: files, folders, globs, and `-` for a list on stdin.

use std::collections::HashSet;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::bytes::path_from_bytes;
use super::folder::FileSet;
use super::glob::{glob, is_glob};
use super::image_names::{is_image_name, unread_images};
use super::walk::walk;
use super::{Dataset, Rgb8};
use crate::error::{Error, Result};

/// The most bytes of a list on standard input.
const MAX_LIST: u64 = 1 << 30;

/// The image files that inputs name.
#[derive(Debug, Default)]
pub struct FoundImages {
    /// In the order of the inputs.
    pub files: Vec<PathBuf>,
    /// Folders among the inputs that also hold images in formats that are not read, and how many of which formats.
    pub left_out: Vec<(PathBuf, String)>,
}

/// Turns inputs into image files, in the order given. A folder gives its images at any depth, sorted. A glob gives its matches, sorted
/// (folders again by their images). `-` reads a list from `stdin_list`: one path per line, or, if it contains a NUL byte, NUL after each
/// path. An existing name is taken literally, even if it could be a glob.
///
/// # Errors
/// An input that matches nothing, named.
pub fn expand_inputs(inputs: &[PathBuf], mut stdin_list: Option<&mut dyn BufRead>) -> Result<FoundImages> {
    let mut found = FoundImages::default();
    for input in inputs {
        if input.as_os_str() == "-" {
            let Some(list) = stdin_list.take() else {
                return Err(Error::Usage("`-` (a list of files on standard input) can be given only once".into()));
            };
            for path in read_list(list)? {
                // A listed file that is missing, or a folder without images, is one bad file among many, reported when it is
                // opened.
                match images_in(&path) {
                    Ok((images, _)) if path.is_dir() => found.files.extend(images),
                    _ => found.files.push(path),
                }
            }
        } else {
            expand(input, &mut found)?;
        }
    }
    if found.files.is_empty() {
        return Err(Error::Usage("no input was given; name image files, folders or globs".into()));
    }
    Ok(found)
}

/// The paths of a list, at least one. They are bytes as `ls` and `find -print0` write them.
fn read_list(list: &mut dyn BufRead) -> Result<Vec<PathBuf>> {
    let bad = |problem: String| Error::Usage(format!("the list of files on standard input {problem}"));
    let mut bytes = Vec::new();
    list.take(MAX_LIST + 1).read_to_end(&mut bytes).map_err(|e| bad(format!("could not be read: {e}")))?;
    if bytes.len() as u64 > MAX_LIST {
        return Err(bad(format!("has more than {} MiB; give it in parts", MAX_LIST >> 20)));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(bad("is UTF-16 text; write it as UTF-8".into()));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let paths: Vec<&[u8]> = match text.contains(&0) {
        true => text.split(|&b| b == 0).filter(|path| !path.is_empty()).collect(),
        false => {
            let lines = text.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
            lines.filter(|line| !line.trim_ascii().is_empty()).collect()
        }
    };
    if paths.is_empty() {
        return Err(bad("is empty; write one path per line".into()));
    }
    let path = |bytes: &&[u8]| {
        let lossy = || format!("has the path `{}`, which is not UTF-8", String::from_utf8_lossy(bytes));
        path_from_bytes(bytes).ok_or_else(|| bad(lossy()))
    };
    paths.iter().map(path).collect()
}

fn expand(path: &Path, found: &mut FoundImages) -> Result<()> {
    if path.is_dir() {
        let (images, unread) = images_in(path)?;
        found.files.extend(images);
        found.left_out.extend(unread.map(|unread| (path.to_owned(), unread)));
        return Ok(());
    }
    if path.exists() {
        found.files.push(path.to_path_buf());
        return Ok(());
    }
    if !is_glob(path) {
        return Err(Error::file(path, "does not exist; check the path"));
    }
    let mut matched = Vec::new();
    for path in glob(path)? {
        if path.is_dir() {
            matched.extend(walk(&path)?.into_iter().filter(|p| is_image_name(p)));
        } else {
            matched.push(path);
        }
    }
    if matched.is_empty() {
        return Err(Error::file(path, "matches no file; check the pattern"));
    }
    // A file may match itself and lie in a folder that matches.
    let mut seen = HashSet::new();
    found.files.extend(matched.into_iter().filter(|path| seen.insert(path.clone())));
    Ok(())
}

/// The images of a folder, and what it holds in formats that are not read, if there is any.
fn images_in(folder: &Path) -> Result<(Vec<PathBuf>, Option<String>)> {
    let (images, others): (Vec<_>, Vec<_>) = walk(folder)?.into_iter().partition(|p| is_image_name(p));
    let unread = unread_images(others.iter().map(PathBuf::as_path));
    if images.is_empty() {
        return Err(match unread {
            Some(unread) => Error::file(folder, format!("holds only {unread}; convert them to JPEG or PNG")),
            None => Error::file(folder, "holds no image files (jpg, png, webp, tif, bmp, gif, ppm, …); check the path"),
        });
    }
    Ok((images, unread))
}

/// A plain list of image files, for inference: every label is 0, of the one class `unlabelled`.
pub struct FileList(FileSet);

impl FileList {
    /// The files, in this order; they are not opened yet.
    pub fn new(files: Vec<PathBuf>) -> Self {
        let files = files.into_iter().map(|f| (f, 0)).collect();
        FileList(FileSet { files, classes: vec!["unlabelled".into()], remarks: Vec::new() })
    }

    /// The path of image `i`.
    pub fn path(&self, i: usize) -> &Path {
        &self.0.files[i].0
    }
}

impl Dataset for FileList {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn name(&self, i: usize) -> String {
        self.0.name(i)
    }

    fn label(&self, i: usize) -> usize {
        self.0.label(i)
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        self.0.image(i)
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        self.0.content_key(i)
    }
}
