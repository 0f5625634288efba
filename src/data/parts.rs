//! The two parts of a data set by their names: `train` beside `val` or `test`, as folders or as files.

use std::path::{Path, PathBuf};

use super::folder::{name_of, subfolders};
use super::image_names::is_image_name;
use super::names::quoted;
use super::walk::holds_image;
use crate::error::{Error, Result};

/// Names of the training part, in any case.
const TRAIN: [&str; 2] = ["train", "training"];
/// Names of the held-out part, in any case; of several, the first in this list is taken.
const HELD_OUT: [&str; 7] = ["val", "valid", "validation", "dev", "eval", "test", "testing"];

/// What a folder is made of.
pub(crate) enum Parts {
    /// Two folders of class folders. The remark names what is left out.
    Folders { train: PathBuf, held_out: Option<PathBuf>, remark: Option<String> },
    /// Two CSV or safetensors files.
    Files { train: PathBuf, held_out: Option<PathBuf> },
    /// No parts. The remark says which name of a part was taken for a class.
    None { remark: Option<String> },
}

/// Finds the parts of `folder`.
///
/// A folder `train` is the training part where a held-out part stands beside it, whatever else does, and where it is the
/// only folder with images. Alone among other folders it is a class (of vehicles) if images lie in it directly.
///
/// # Errors
/// A folder that could be read in two ways.
pub(crate) fn find(folder: &Path) -> Result<Parts> {
    let subfolders = subfolders(folder)?;
    let named = |names: &[&str]| {
        let find = |name: &&str| subfolders.iter().find(|path| name_of(path).eq_ignore_ascii_case(name));
        names.iter().find_map(find)
    };
    let (train, held_out) = (named(&TRAIN), named(&HELD_OUT));
    let files = files(folder);
    let train_has_classes = train.map_or(Ok(false), |train| has_classes(train))?;
    // A folder `train` without class folders holds the images that a file beside it lists.
    if let Some(files) = files.filter(|_| !train_has_classes) {
        return Ok(files);
    }
    match (train, held_out) {
        (Some(train), Some(held_out)) => {
            let others = subfolders.iter().filter(|path| ![train, held_out].contains(path));
            Ok(Parts::Folders {
                train: train.clone(),
                held_out: Some(held_out.clone()),
                remark: left_out(folder, &[train, held_out], others),
            })
        }
        (Some(train), None) => lone_train(folder, train, train_has_classes, &subfolders),
        (None, Some(held_out)) => lone_held_out(folder, held_out, &subfolders),
        (None, None) => Ok(Parts::None { remark: None }),
    }
}

/// A folder `train` with no held-out part beside it.
fn lone_train(folder: &Path, train: &PathBuf, has_classes: bool, subfolders: &[PathBuf]) -> Result<Parts> {
    let others: Vec<&PathBuf> = subfolders.iter().filter(|path| *path != train).collect();
    let mut with_images = Vec::new();
    for other in &others {
        if holds_image(other)? {
            with_images.push(name_of(other));
        }
    }
    if with_images.is_empty() {
        let remark = left_out(folder, &[train], others.into_iter());
        return Ok(Parts::Folders { train: train.clone(), held_out: None, remark });
    }
    if !has_classes {
        return Ok(Parts::None { remark: Some(taken_for_class(folder, train)) });
    }
    let name = name_of(train);
    Err(Error::file(
        folder,
        format!(
            "has `{name}` with folders in it beside {}, so `{name}` may be a class or the training part; give {} as DATA, or \
             call the held-out part `val`",
            quoted(with_images.iter().map(String::as_str)),
            train.display()
        ),
    ))
}

/// A folder `val` or `test` with no training part beside it.
fn lone_held_out(folder: &Path, held_out: &Path, subfolders: &[PathBuf]) -> Result<Parts> {
    let is_part = |path: &PathBuf| HELD_OUT.iter().any(|name| name.eq_ignore_ascii_case(&name_of(path)));
    if subfolders.iter().all(is_part) && has_classes(held_out)? {
        let names: Vec<String> = subfolders.iter().map(|path| name_of(path)).collect();
        return Err(Error::file(
            folder,
            format!(
                "has {} and no `train`; name the part that you mean, such as {}",
                quoted(names.iter().map(String::as_str)),
                held_out.display()
            ),
        ));
    }
    Ok(Parts::None { remark: Some(taken_for_class(folder, held_out)) })
}

/// True if `part` is a folder of class folders: no image lies in it directly, but some do below it.
fn has_classes(part: &Path) -> Result<bool> {
    let direct = std::fs::read_dir(part).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut direct = direct.filter(|path| is_image_name(path) && path.is_file());
    Ok(direct.next().is_none() && holds_image(part)?)
}

fn taken_for_class(folder: &Path, path: &Path) -> String {
    format!("`{}` in {} is taken for a class, not for a part of the data", name_of(path), folder.display())
}

fn left_out<'a>(folder: &Path, parts: &[&PathBuf], others: impl Iterator<Item = &'a PathBuf>) -> Option<String> {
    let others: Vec<String> = others.map(|path| name_of(path)).collect();
    let parts = parts.iter().map(|path| format!("`{}`", name_of(path))).collect::<Vec<_>>().join(" and ");
    let names = quoted(others.iter().map(String::as_str));
    (!others.is_empty()).then(|| format!("{names} beside {parts} left out in {}", folder.display()))
}

/// The parts as files.
fn files(folder: &Path) -> Option<Parts> {
    ["csv", "tsv", "safetensors"].into_iter().find_map(|extension| {
        let find = |name: &&str| Some(folder.join(format!("{name}.{extension}"))).filter(|path| path.is_file());
        let train = TRAIN.iter().find_map(find)?;
        Some(Parts::Files { train, held_out: HELD_OUT.iter().find_map(find) })
    })
}
