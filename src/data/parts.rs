//! The two parts of a data set by their names: `train` beside `val` or `test`, as folders or as files.

use std::path::{Path, PathBuf};

use super::folder::{name_of, subfolders};
use super::names::quoted;
use super::part_names::Part;
use super::shared_classes::{self, Pair};
use super::walk::{has_classes, holds_image};
use crate::error::{Error, Result};

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
/// A folder `train` is the training part if a held-out part stands beside it, whatever else does, or if it is the only folder with
/// images. Among other folders, without a held-out part, it is a class (of vehicles) if images lie in it directly.
///
/// # Errors
/// A folder that could be read in two ways.
pub(crate) fn find(folder: &Path) -> Result<Parts> {
    let subfolders = subfolders(folder)?;
    let called = |part: Part| {
        let find = |name: &&str| subfolders.iter().find(|path| name_of(path).eq_ignore_ascii_case(name));
        part.names().iter().find_map(find)
    };
    let (train, held_out) = (called(Part::Train), called(Part::Validation).or_else(|| called(Part::Test)));
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
        _ => match shared_classes::find(folder, &subfolders)? {
            Some(Pair { train, held_out }) => {
                let others = subfolders.iter().filter(|path| ![&train, &held_out].contains(path));
                let left_out = left_out(folder, &[&train, &held_out], others).map(|text| format!("; {text}"));
                let (a, b) = (name_of(&train), name_of(&held_out));
                let remark = format!(
                    "`{a}` in {} is taken for the training part and `{b}` for the held-out part{}",
                    folder.display(),
                    left_out.unwrap_or_default()
                );
                Ok(Parts::Folders { train, held_out: Some(held_out), remark: Some(remark) })
            }
            None => one_part(folder, train, train_has_classes, held_out, &subfolders),
        },
    }
}

/// A folder that has at most one part by its full name.
fn one_part(
    folder: &Path,
    train: Option<&PathBuf>,
    train_has_classes: bool,
    held_out: Option<&PathBuf>,
    subfolders: &[PathBuf],
) -> Result<Parts> {
    let parts = match (train, held_out) {
        (Some(train), _) => lone_train(folder, train, train_has_classes, subfolders)?,
        (None, Some(held_out)) => lone_held_out(folder, held_out, subfolders)?,
        (None, None) => Parts::None { remark: None },
    };
    if matches!(parts, Parts::None { .. }) {
        shared_classes::refuse(folder, subfolders)?;
    }
    Ok(parts)
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
    let is_part = |path: &PathBuf| Part::called(&name_of(path)).is_some_and(|part| part != Part::Train);
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
        let find = |part: Part| {
            let file = |name: &&str| Some(folder.join(format!("{name}.{extension}"))).filter(|path| path.is_file());
            part.names().iter().find_map(file)
        };
        let train = find(Part::Train)?;
        Some(Parts::Files { train, held_out: find(Part::Validation).or_else(|| find(Part::Test)) })
    })
}
