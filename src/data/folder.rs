//! Image folders as torchvision's `ImageFolder` reads them: each subfolder is a class, in sorted order.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::bytes::{describe, read_limited};
use super::inputs::{is_image_name, walk};
use super::{Dataset, MAX_FILE_BYTES, Rgb8, count, decode_file};
use crate::error::{Error, Result};

/// Image files with a class each.
pub(crate) struct FileSet {
    pub files: Vec<(PathBuf, usize)>,
    pub classes: Vec<String>,
    pub remarks: Vec<String>,
}

impl Dataset for FileSet {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, i: usize) -> String {
        self.files[i].0.display().to_string()
    }

    fn label(&self, i: usize) -> usize {
        self.files[i].1
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        decode_file(&self.files[i].0)
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        Ok(Sha256::digest(read_limited(&self.files[i].0, MAX_FILE_BYTES)?).into())
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}

/// Visible subfolders of `folder` with their names, sorted as Python sorts strings; runs of training are left out.
pub(crate) fn subfolders(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::file(folder, describe(&e)))? {
        let path = entry.map_err(|e| Error::file(folder, describe(&e)))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "__MACOSX" && !super::runs::is_output(&path) {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Opens a folder with a subfolder for each class; files may be nested in it, hidden files and other kinds of files are
/// left out.
pub(crate) fn open(folder: &Path) -> Result<Box<dyn Dataset>> {
    let (mut files, mut classes, mut ignored) = (Vec::new(), Vec::new(), 0);
    for (label, (name, path)) in subfolders(folder)?.into_iter().enumerate() {
        let (images, others): (Vec<_>, Vec<_>) = walk(&path)?.into_iter().partition(|p| is_image_name(p));
        if images.is_empty() {
            return Err(Error::file(path, "is a class folder without images; add some, or remove the folder"));
        }
        ignored += others.len();
        files.extend(images.into_iter().map(|p| (p, label)));
        classes.push(name);
    }
    let loose = std::fs::read_dir(folder).map_err(|e| Error::file(folder, describe(&e)))?;
    let loose = loose.flatten().map(|e| e.path()).filter(|p| p.is_file() && is_image_name(p)).count();
    if files.is_empty() {
        return Err(Error::file(
            folder,
            match loose {
                0 => "holds no data set: neither class folders with images, nor CIFAR, MNIST, CSV or safetensors files"
                    .to_string(),
                n => format!(
                    "has {} but no class folders; put the images of each class in a subfolder",
                    count(n, "image")
                ),
            },
        ));
    }
    let mut remarks = Vec::new();
    if ignored > 0 {
        remarks.push(format!(
            "{} without an image's extension ignored in {}",
            count(ignored, "file"),
            folder.display()
        ));
    }
    if loose > 0 {
        remarks.push(format!("{} outside the class folders ignored in {}", count(loose, "image"), folder.display()));
    }
    Ok(Box::new(FileSet { files, classes, remarks }))
}

/// Sorts class names: by number if all are whole numbers, else as Python sorts strings.
pub(crate) fn sort_class_names(names: &mut [String]) {
    if names.iter().all(|n| n.parse::<i64>().is_ok()) {
        names.sort_by_cached_key(|n| (n.parse::<i64>().unwrap_or(0), n.clone()));
    } else {
        names.sort();
    }
}
