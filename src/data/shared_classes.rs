//! Sibling folders that hold folders of the same names: the inner folders are classes, the outer ones parts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::folder::{name_of, subfolders};
use super::names::quoted;
use super::part_names::{Part, parts_in};
use super::walk::{has_classes, holds_image};
use crate::error::{Error, Result};

/// The most folders that are compared with each other, which takes quadratic time.
const MOST_COMPARED: usize = 100;

/// Two parts that are recognised by a word of their names.
pub(crate) struct Pair {
    pub train: PathBuf,
    pub held_out: PathBuf,
}

/// The parts among `beside`, the subfolders of `folder`, whose names have a part as a word: `training_set` and `test_set`,
/// `seg_train` and `seg_test`. Classes may have such words too (`train_ticket`, `test_tube`), so parts must hold a class in
/// common. Of several held-out parts a validation part is taken.
///
/// # Errors
/// Several training parts or several held-out parts of one kind.
pub(crate) fn find(folder: &Path, beside: &[PathBuf]) -> Result<Option<Pair>> {
    let named: Vec<(&PathBuf, Part)> = beside
        .iter()
        .filter_map(|path| match parts_in(&name_of(path))[..] {
            [part] => Some((path, part)),
            _ => None,
        })
        .collect();
    let of = |part: Part| named.iter().filter(|(_, own)| *own == part).map(|(path, _)| *path).collect::<Vec<_>>();
    let training = of(Part::Train);
    let held_out = Some(of(Part::Validation)).filter(|parts| !parts.is_empty()).unwrap_or_else(|| of(Part::Test));
    let mut pairs = Vec::new();
    for train in training.iter().take(MOST_COMPARED) {
        for other in held_out.iter().take(MOST_COMPARED) {
            if has_classes(train)? && has_classes(other)? && !shared(train, other, 1)?.is_empty() {
                pairs.push(Pair { train: train.to_path_buf(), held_out: other.to_path_buf() });
            }
        }
    }
    if pairs.len() > 1 {
        let names: BTreeSet<String> = pairs.iter().flat_map(|p| [name_of(&p.train), name_of(&p.held_out)]).collect();
        let problem = format!(
            "has more than one training part or held-out part: {}; call the two that you mean `train` and `val`",
            quoted(names.iter().map(String::as_str))
        );
        return Err(Error::file(folder, problem));
    }
    Ok(pairs.pop())
}

/// An error if two of `beside`, the subfolders of `folder`, have two classes in common, so that they look like parts.
pub(crate) fn refuse(folder: &Path, beside: &[PathBuf]) -> Result<()> {
    let mut candidates: Vec<&PathBuf> = Vec::new();
    for path in beside {
        if candidates.len() < MOST_COMPARED && has_classes(path)? {
            candidates.push(path);
        }
    }
    for (i, a) in candidates.iter().enumerate() {
        for b in &candidates[i + 1..] {
            let classes = shared(a, b, 2)?;
            if classes.len() < 2 {
                continue;
            }
            let problem = format!(
                "has `{}` and `{}` with folders of the same names in them ({}), so it is not clear which are the classes: if \
                 these two are parts of the data, call them `train` and `val` or give one of them as DATA; if they are \
                 classes, give the inner folders other names",
                name_of(a),
                name_of(b),
                quoted(classes.iter().map(String::as_str))
            );
            return Err(Error::file(folder, problem));
        }
    }
    Ok(())
}

/// The first `most` names of subfolders with images that both folders have.
fn shared(a: &Path, b: &Path, most: usize) -> Result<Vec<String>> {
    let others: BTreeSet<String> = subfolders(b)?.iter().map(|path| name_of(path)).collect();
    let mut found = Vec::new();
    for path in subfolders(a)? {
        let name = name_of(&path);
        if others.contains(&name) && holds_image(&path)? && holds_image(&b.join(&name))? {
            found.push(name);
            if found.len() == most {
                break;
            }
        }
    }
    Ok(found)
}
