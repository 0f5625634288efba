//! What the user typed, as a list of files: files, folders, globs, and `-` for a list on standard input.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::bytes::describe;
use super::folder::FileSet;
use super::{Dataset, Rgb8};
use crate::error::{Error, Result};

/// The longest list that is taken from standard input, and the longest line in it.
const MAX_LIST: u64 = 1 << 30;

/// True if the file's extension is one of the image formats that are read, and the file is not hidden.
pub fn is_image_name(path: &Path) -> bool {
    const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif"];
    let hidden = path.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|e| EXTENSIONS.iter().any(|x| e.eq_ignore_ascii_case(x)))
}

/// Turns inputs into image files, in the order given. A folder gives its images at any depth, sorted; a glob gives what
/// it matches, sorted (folders again by their images); `-` reads one path a line from `stdin_list`. A name that exists is
/// taken as it stands, even if it could be a glob.
///
/// # Errors
/// An input that matches nothing, named.
pub fn expand_inputs(inputs: &[String], mut stdin_list: Option<&mut dyn BufRead>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for input in inputs {
        if input == "-" {
            let Some(list) = stdin_list.take() else {
                return Err(Error::Usage("`-` (a list of files on standard input) can be given only once".into()));
            };
            let before = files.len();
            let mut text = String::new();
            list.take(MAX_LIST)
                .read_to_string(&mut text)
                .map_err(|e| Error::Usage(format!("the list of files on standard input could not be read: {e}")))?;
            for line in text.lines().map(|l| l.trim_end_matches('\r')).filter(|l| !l.trim().is_empty()) {
                // A listed file that is missing, or a folder without images, is one bad file among many, reported when it is
                // opened.
                let path = Path::new(line);
                match images_in(path) {
                    Ok(images) if path.is_dir() => files.extend(images),
                    _ => files.push(path.to_path_buf()),
                }
            }
            if files.len() == before {
                return Err(Error::Usage("the list of files on standard input is empty; write one path a line".into()));
            }
        } else {
            expand(input, &mut files)?;
        }
    }
    if files.is_empty() {
        return Err(Error::Usage("no input was given; name image files, folders or globs".into()));
    }
    Ok(files)
}

fn expand(input: &str, files: &mut Vec<PathBuf>) -> Result<()> {
    let path = Path::new(input);
    if path.is_dir() {
        files.extend(images_in(path)?);
        return Ok(());
    }
    if path.exists() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    if !input.contains(['*', '?', '[']) {
        return Err(Error::file(path, "does not exist; check the path"));
    }
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let matches = glob::glob_with(input, options)
        .map_err(|e| Error::Usage(format!("`{input}` is no valid glob ({}); see `--help`", e.msg)))?;
    let before = files.len();
    // glob gives matches in sorted order; a folder that may not be read is not a match.
    for path in matches.flatten() {
        if path.is_dir() {
            files.extend(walk(&path)?.into_iter().filter(|p| is_image_name(p)));
        } else {
            files.push(path);
        }
    }
    if files.len() == before {
        return Err(Error::file(path, "matches no file; check the pattern"));
    }
    Ok(())
}

fn images_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let images: Vec<_> = walk(folder)?.into_iter().filter(|p| is_image_name(p)).collect();
    if images.is_empty() {
        return Err(Error::file(folder, "holds no image files (jpg, png, webp, bmp, gif); check the path"));
    }
    Ok(images)
}

/// Every visible file under `folder`, symbolic links followed (but not in circles), ordered by folder and then by name,
/// which is `ImageFolder`'s order.
pub(crate) fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    visit(folder, &mut Vec::new(), &mut files)?;
    files.sort_by(|a, b| {
        let key = |p: &Path| (p.parent().map(|p| p.as_os_str().to_owned()), p.file_name().map(|n| n.to_owned()));
        key(a).cmp(&key(b))
    });
    Ok(files)
}

fn visit(folder: &Path, above: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> Result<()> {
    let real = folder.canonicalize().map_err(|e| Error::file(folder, describe(&e)))?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in std::fs::read_dir(folder).map_err(|e| Error::file(folder, describe(&e)))? {
        let path = entry.map_err(|e| Error::file(folder, describe(&e)))?.path();
        if path.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            visit(&path, above, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    above.pop();
    Ok(())
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
