//! What can spoil training without any error: unreadable files, copies on both sides of a split, uneven classes, one
//! class under two names.

use std::collections::HashMap;

use rayon::prelude::*;

use super::names::look_alikes;
use super::{Dataset, count};

/// The largest ratio between the image counts of two classes without a warning.
const LOPSIDED: usize = 10;

/// How thoroughly images are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Only their classes.
    Labels,
    /// Their bytes, to find copies. Images that can't be decoded are reported when they are needed.
    Bytes,
    /// Their pixels.
    Pixels,
}

/// What the user should know before training on `train` and validating on `val`, one sentence each; empty if all is well.
/// Images are read, and with [`Depth::Pixels`] decoded, on all cores; `done` is called after each, from any thread.
pub fn check(train: &dyn Dataset, val: Option<&dyn Dataset>, depth: Depth, done: impl Fn() + Sync) -> Vec<String> {
    if depth == Depth::Labels {
        return of_labels(train);
    }
    let mut parts = vec![train];
    parts.extend(val);
    let read: Vec<Vec<Result<[u8; 32], String>>> = parts
        .iter()
        .map(|part| {
            let read = |i| {
                let read = part.content_key(i).and_then(|key| match depth {
                    Depth::Pixels => part.image(i).map(|_| key),
                    _ => Ok(key),
                });
                done();
                read.map_err(|e| e.to_string())
            };
            (0..part.len()).into_par_iter().map(read).collect()
        })
        .collect();
    let images: Vec<Image> = (0..)
        .zip(&parts)
        .zip(&read)
        .flat_map(|((number, part), read)| {
            let image = move |(i, key): (usize, &Result<_, _>)| {
                let key = *key.as_ref().ok()?;
                Some(Image { key, held_out: number == 1, class: part.label(i), name: part.name(i) })
            };
            read.iter().enumerate().filter_map(image)
        })
        .collect();
    let mut warnings = Vec::new();
    if depth == Depth::Pixels {
        warnings.extend(unreadable(&read));
    }
    warnings.extend(copies(&images, val.is_some()));
    warnings.extend(of_labels(train));
    warnings
}

/// Warnings about the classes.
fn of_labels(train: &dyn Dataset) -> Vec<String> {
    [look_alikes(train.classes()), lopsided(train)].concat()
}

/// An image that could be read.
struct Image {
    key: [u8; 32],
    held_out: bool,
    class: usize,
    name: String,
}

fn unreadable(read: &[Vec<Result<[u8; 32], String>>]) -> Option<String> {
    let problems: Vec<&String> = read.iter().flatten().filter_map(|r| r.as_ref().err()).collect();
    let first = problems.first()?;
    Some(format!("{} can't be read and will be left out, the first: {first}", count(problems.len(), "image")))
}

/// Images with the same bytes: in two classes, in both parts, or, if the parts are not drawn yet, anywhere.
fn copies(images: &[Image], is_split: bool) -> Vec<String> {
    let mut first: HashMap<[u8; 32], &Image> = HashMap::new();
    let [mut two_classes, mut both_parts, mut repeated] = [const { Vec::new() }; 3];
    // The training images come first, so the first of a group is one of them if any is.
    for image in images {
        let Some(other) = first.get(&image.key) else {
            first.insert(image.key, image);
            continue;
        };
        let pair = (&image.name, &other.name);
        if image.class != other.class {
            two_classes.push(pair);
        }
        if image.held_out && !other.held_out {
            both_parts.push(pair);
        } else if !is_split {
            repeated.push(pair);
        }
    }
    let say = |pairs: Vec<(&String, &String)>, what: &str, consequence: &str| {
        let (image, other) = pairs.first()?;
        let is = if pairs.len() == 1 { "is" } else { "are" };
        Some(format!("{} {is} {what}, so {consequence}: {image} is {other}", count(pairs.len(), "image")))
    };
    [
        say(two_classes, "in two classes, byte for byte", "one of the two labels is wrong; remove it"),
        say(
            both_parts,
            "held out and trained on, byte for byte",
            "the validation accuracy is too good; remove one of each pair",
        ),
        say(
            repeated,
            "a copy of another, byte for byte",
            "a split can train on one and validate on the other; remove the copies",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Training classes with no image, or with less than a tenth of the images of the largest class.
fn lopsided(train: &dyn Dataset) -> Vec<String> {
    let mut counts = vec![0; train.classes().len()];
    (0..train.len()).for_each(|i| counts[train.label(i)] += 1);
    let by_count = || counts.iter().copied().zip(train.classes());
    let empty: Vec<String> = by_count().filter(|(n, _)| *n == 0).map(|(_, class)| format!("`{class}`")).collect();
    let mut warnings = Vec::new();
    if let Some(first) = empty.first() {
        let has = if empty.len() == 1 { "class has" } else { "classes have" };
        warnings.push(format!(
            "{} {has} no image to train on, the first {first}, so it can't be learnt; add some or remove it",
            empty.len()
        ));
    }
    // Among equals, the first in the list of classes.
    let most = by_count().rev().max_by_key(|(n, _)| *n);
    let least = by_count().filter(|(n, _)| *n > 0).min_by_key(|(n, _)| *n);
    if let (Some((most, large)), Some((least, small))) = (most, least)
        && most > LOPSIDED * least
    {
        warnings.push(format!(
            "class `{large}` has {} and `{small}` only {least}, so the accuracy will say little about the small classes; \
             add images, and look at each class's accuracy",
            count(most, "image")
        ));
    }
    warnings
}
