//! Recognises what kind of data set a path holds, and which part of it is for training.

use std::path::{Path, PathBuf};

use super::bytes::describe;
use super::matching::align_classes;
use super::named::locate;
use super::names::quoted;
use super::parts::{self, Parts};
use super::split::{Concat, keep_classes};
use super::{Dataset, cifar, csv, folder, mnist, tensors};
use crate::error::{Error, Result};

/// A data set's training part and, if it has one, its held-out part. Both have the same classes.
pub struct Splits {
    /// The images to train on.
    pub train: Box<dyn Dataset>,
    /// The held-out images: `val`, `valid`, `validation`, `dev` or `eval` if there, else `test` or `testing`.
    pub val: Option<Box<dyn Dataset>>,
}

impl Splits {
    /// Both parts with only the images of `classes`, numbered by that list ([`keep_classes`]).
    pub fn keep_classes(self, classes: &[String]) -> Result<Self> {
        let val = self.val.map(|val| keep_classes(val, classes)).transpose()?;
        Ok(Splits { train: keep_classes(self.train, classes)?, val })
    }

    /// Both parts as one data set, the training part first.
    pub fn join(self) -> Result<Box<dyn Dataset>> {
        match self.val {
            None => Ok(self.train),
            Some(val) => Ok(Box::new(Concat::new(self.train, val)?)),
        }
    }
}

/// Opens the data set at `path`, all of it: if it comes in two parts, the training part and then the held-out part.
///
/// A folder may be: class folders of images, alone or under `train` and `val` or `test`; CIFAR-10 or CIFAR-100 binary
/// files; MNIST's IDX files; `train` and `val` or `test` as CSV or safetensors files. A file may be: a CSV of
/// `path,label`; safetensors with `images` and `labels`; one CIFAR `.bin`; one IDX file of images. Where nothing lies under
/// `path`, it may be the name of a fetched data set ([`named_data`](super::named_data)).
///
/// # Errors
/// A path that is missing or none of these, and whatever is wrong with the files.
pub fn open_dataset(path: &Path) -> Result<Box<dyn Dataset>> {
    open_splits(path)?.join()
}

/// Opens the data set at `path` in its own two parts; `val` is `None` if it has only one. See [`open_dataset`].
pub fn open_splits(path: &Path) -> Result<Splits> {
    let path = &*locate(path)?;
    let about = std::fs::metadata(path).map_err(|e| Error::file(path, describe(&e)))?;
    if !about.is_dir() {
        return Ok(Splits { train: open_file(path)?, val: None });
    }
    if let Some(inner) = inner_folder(path)? {
        return open_splits(&inner);
    }
    if let Some(files) = cifar::files(path) {
        let part = |p: &[PathBuf]| (!p.is_empty()).then(|| cifar::open(files.kind, p)).transpose();
        return pair(part(&files.train)?, part(&files.test)?, path);
    }
    let (train, test) = mnist::files(path);
    if train.len() > 1 || test.len() > 1 {
        return Err(Error::file(path, "holds several IDX data sets; name one of its images-idx3-ubyte files"));
    }
    if !train.is_empty() || !test.is_empty() {
        let part = |p: Option<&PathBuf>| p.map(|p| mnist::open(p)).transpose();
        return pair(part(train.first())?, part(test.first())?, path);
    }
    refuse_pickles(path)?;
    match parts::find(path)? {
        Parts::Folders { train, held_out, remark } => {
            let val = held_out.map(|p| folder::open(&p, Vec::new())).transpose()?;
            pair(Some(folder::open(&train, remark.into_iter().collect())?), val, path)
        }
        Parts::Files { train, held_out } => {
            let val = held_out.map(|p| open_file(&p)).transpose().map_err(|error| match error {
                // A list to be predicted, for a contest, has no classes.
                Error::File { path, problem } => {
                    Error::file(path, format!("{problem}; or give {} alone as DATA", train.display()))
                }
                other => other,
            })?;
            pair(Some(open_file(&train)?), val, path)
        }
        Parts::None { remark } => Ok(Splits { train: folder::open(path, remark.into_iter().collect())?, val: None }),
    }
}

/// The folder in `path` that an archive was unpacked into; torchvision's `root` is the folder around it.
fn inner_folder(path: &Path) -> Result<Option<PathBuf>> {
    const INNER: [&str; 7] = [
        "cifar-10-batches-bin",
        "cifar-100-binary",
        "MNIST/raw",
        "FashionMNIST/raw",
        "KMNIST/raw",
        "EMNIST/raw",
        "raw",
    ];
    let holds_data = |inner: &&str| {
        let inner = path.join(inner);
        cifar::files(&inner).is_some() || mnist::files(&inner) != (Vec::new(), Vec::new())
    };
    let found: Vec<&str> = INNER.into_iter().filter(holds_data).collect();
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(path.join(one))),
        [first, ..] => {
            let names = quoted(found.iter().copied());
            let example = path.join(first);
            Err(Error::file(path, format!("holds several data sets: {names}; name one, such as {}", example.display())))
        }
    }
}

/// Combines the parts; a held-out part alone is a data set of its own.
fn pair(train: Option<Box<dyn Dataset>>, val: Option<Box<dyn Dataset>>, path: &Path) -> Result<Splits> {
    match (train, val) {
        (Some(train), Some(val)) => {
            let val = align_classes(val, train.classes())
                .map_err(|e| Error::file(path, format!("has a held-out part that does not fit: {e}")))?;
            Ok(Splits { train, val: Some(val) })
        }
        (Some(only), None) | (None, Some(only)) => Ok(Splits { train: only, val: None }),
        (None, None) => Err(Error::file(path, "holds no data set; check the path")),
    }
}

fn open_file(path: &Path) -> Result<Box<dyn Dataset>> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match &*extension {
        "csv" | "tsv" => csv::open(path),
        "safetensors" => tensors::open(path),
        "bin" => cifar::open(cifar::kind_of(path)?, &[path.to_path_buf()]),
        _ if mnist::is_images(path) => mnist::open(path),
        _ => Err(Error::file(
            path,
            "is no data set: give a folder, a .csv of path,label, a .safetensors with images and labels, CIFAR's .bin, or \
             MNIST's images-idx3-ubyte",
        )),
    }
}

/// CIFAR's Python version consists of pickles, which may run code when they are read.
fn refuse_pickles(folder: &Path) -> Result<()> {
    let inner = folder.join("cifar-10-batches-py");
    let python = folder.join("data_batch_1").is_file() || inner.join("data_batch_1").is_file();
    if python {
        return Err(Error::file(
            folder,
            "is CIFAR's Python version, whose pickles are not read; use its binary version",
        ));
    }
    Ok(())
}
