//! Image folders as torchvision's `ImageFolder` reads them: each subfolder is a class. Their order is [`ClassOrder`]'s.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::bytes::{describe, read_limited};
use super::clutter::is_no_class;
use super::image_names::{is_image_name, unread_images};
use super::names::{ClassOrder, quoted};
use super::runs::is_maps;
use super::walk::walk;
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

/// The subfolders of `folder` that can be classes or parts, sorted by name.
pub(crate) fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::file(folder, describe(&e)))? {
        let path = entry.map_err(|e| Error::file(folder, describe(&e)))?.path();
        if !is_no_class(&path) && path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The last part of a path as text; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Opens a folder with a subfolder for each class. Files may be nested in it; hidden files and other kinds of files are left out.
/// `remarks` are earlier messages about the folder.
pub(crate) fn open(folder: &Path, mut remarks: Vec<String>) -> Result<Box<dyn Dataset>> {
    let subfolders = subfolders(folder)?;
    let (order, of_subfolder) = number_classes(folder, &subfolders)?;
    let (mut files, mut ignored) = (Vec::new(), Vec::new());
    for (path, label) in subfolders.iter().zip(of_subfolder) {
        let (images, others): (Vec<_>, Vec<_>) = walk(path)?.into_iter().partition(|p| is_image_name(p));
        if images.is_empty() {
            let but = unread_images(others.iter().map(PathBuf::as_path)).map(|n| format!(" but has {n}; convert them"));
            let problem = but.unwrap_or_else(|| "; add some, or remove the folder".into());
            return Err(Error::file(path, format!("is a class folder without images{problem}")));
        }
        files.extend(images.into_iter().map(|p| (p, label)));
        ignored.extend(others);
    }
    let loose = std::fs::read_dir(folder).map_err(|e| Error::file(folder, describe(&e)))?;
    let loose = loose.flatten().map(|e| e.path()).filter(|p| p.is_file() && is_image_name(p)).count();
    if files.is_empty() {
        return Err(Error::file(folder, no_classes(folder, loose)));
    }
    // Stable: within a class the files stay in their order.
    files.sort_by_key(|(_, label)| *label);
    remarks.extend(not_read(&ignored).map(|what| format!("{what} ignored in {}", folder.display())));
    if loose > 0 {
        remarks.push(format!("{} outside the class folders ignored in {}", count(loose, "image"), folder.display()));
    }
    remarks.extend(maps_left_out(folder));
    let odd = subfolders.iter().find(|path| path.file_name().is_some_and(|name| name.to_str().is_none()));
    remarks.extend(odd.map(|path| {
        format!("{} has a name that is not UTF-8; its class is called `{}`", path.display(), name_of(path))
    }));
    Ok(Box::new(FileSet { files, classes: order, remarks }))
}

/// Reports the subfolders that are left out because `infer --grad-cam` created them.
fn maps_left_out(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut maps: Vec<String> = entries.filter(|path| is_maps(path)).map(|path| name_of(&path)).collect();
    maps.sort();
    let names = quoted(maps.iter().map(String::as_str));
    (!maps.is_empty()).then(|| format!("{names} with pictures of infer --grad-cam left out in {}", folder.display()))
}

/// The classes in order, and the class of each subfolder. Two subfolders for one class are refused.
fn number_classes(folder: &Path, subfolders: &[PathBuf]) -> Result<(Vec<String>, Vec<usize>)> {
    let names: Vec<String> = subfolders.iter().map(|path| name_of(path)).collect();
    let order = ClassOrder::of(names.iter().map(String::as_str));
    let places: Vec<usize> = names.iter().map(|name| order.place(name)).collect();
    let mut owner: Vec<Option<&Path>> = vec![None; order.classes.len()];
    for (path, &place) in subfolders.iter().zip(&places) {
        if let Some(other) = owner[place].replace(path) {
            let problem = format!(
                "has two folders for the class `{}`, {:?} and {:?}; rename one, or put their images into one folder",
                order.classes[place],
                other.file_name().unwrap_or_default(),
                path.file_name().unwrap_or_default()
            );
            return Err(Error::file(folder, problem));
        }
    }
    Ok((order.classes, places))
}

/// The error for a folder that has no class folder, but `loose` images.
fn no_classes(folder: &Path, loose: usize) -> String {
    if loose > 0 {
        let images = count(loose, "image");
        return format!("has {images} but no class folders; put the images of each class in a subfolder");
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let entries: Vec<PathBuf> = entries.filter(|path| !is_image_name(path)).collect();
    match unread_images(entries.iter().map(PathBuf::as_path)) {
        Some(unread) => format!("holds {unread} and no class folders; convert them, and give each class a subfolder"),
        None => {
            "holds no data set: neither class folders with images, nor CIFAR, MNIST, CSV or safetensors files".into()
        }
    }
}

/// `2 files without an image's extension`, and how many of them are images of other formats.
fn not_read(files: &[PathBuf]) -> Option<String> {
    let unread = unread_images(files.iter().map(PathBuf::as_path)).map(|n| format!(", {n} among them,"));
    let files = (!files.is_empty()).then(|| count(files.len(), "file"))?;
    Some(format!("{files} without an image's extension{}", unread.unwrap_or_default()))
}
