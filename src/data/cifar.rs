//! CIFAR-10 and CIFAR-100, binary version: records of one or two label bytes and 3072 bytes of 32 x 32 planar RGB.

use std::path::{Path, PathBuf};

use super::Dataset;
use super::bytes::{Mapped, read_limited};
use super::table::{Layout, Part, PixelTable};
use crate::error::{Error, Result};

const PIXELS: usize = 3 * 32 * 32;

const CIFAR10: &str = "airplane automobile bird cat deer dog frog horse ship truck";

const CIFAR100: &str = "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly \
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur \
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard \
    lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear \
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark \
    shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone \
    television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm";

/// The two data sets.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Ten,
    Hundred,
}

impl Kind {
    /// Label bytes before the pixels (CIFAR-100 has the coarse label, then the fine one, which is used).
    fn label_bytes(self) -> usize {
        if self == Kind::Ten { 1 } else { 2 }
    }

    fn record(self) -> usize {
        self.label_bytes() + PIXELS
    }

    fn title(self) -> &'static str {
        if self == Kind::Ten { "CIFAR-10" } else { "CIFAR-100" }
    }
}

/// The training files and the test files of a CIFAR folder.
pub(crate) struct Files {
    pub kind: Kind,
    pub train: Vec<PathBuf>,
    pub test: Vec<PathBuf>,
}

/// The CIFAR files in `folder`, if it has any.
pub(crate) fn files(folder: &Path) -> Option<Files> {
    let present = |name: String| Some(folder.join(name)).filter(|p| p.is_file());
    let train: Vec<_> = (1..=5).filter_map(|i| present(format!("data_batch_{i}.bin"))).collect();
    let test: Vec<_> = present("test_batch.bin".into()).into_iter().collect();
    if !train.is_empty() || !test.is_empty() {
        return Some(Files { kind: Kind::Ten, train, test });
    }
    let train: Vec<_> = present("train.bin".into()).into_iter().collect();
    let test: Vec<_> = present("test.bin".into()).into_iter().collect();
    (!train.is_empty() || !test.is_empty()).then_some(Files { kind: Kind::Hundred, train, test })
}

/// Which of the two a single file holds: by its name, otherwise by which record size divides its length.
pub(crate) fn kind_of(path: &Path) -> Result<Kind> {
    let length = std::fs::metadata(path).map_err(|e| Error::file(path, super::bytes::describe(&e)))?.len();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (ten, hundred) = (length % Kind::Ten.record() as u64 == 0, length % Kind::Hundred.record() as u64 == 0);
    match (ten, hundred) {
        (true, true) if matches!(&*name, "train.bin" | "test.bin") => Ok(Kind::Hundred),
        (true, _) => Ok(Kind::Ten),
        (_, true) => Ok(Kind::Hundred),
        _ => Err(wrong_length(path, length, if name.contains("batch") { Some(Kind::Ten) } else { None })),
    }
}

fn wrong_length(path: &Path, length: u64, kind: Option<Kind>) -> Error {
    let records = match kind {
        Some(kind) => format!("{}'s {}-byte records", kind.title(), kind.record()),
        None => format!("CIFAR's records ({} or {} bytes)", Kind::Ten.record(), Kind::Hundred.record()),
    };
    Error::file(path, format!("has {length} bytes, which is not a multiple of {records}; download it again"))
}

/// Opens CIFAR files as one data set, in the order given. Class names come from the text file beside them if it is
/// there, else they are the standard ones.
pub(crate) fn open(kind: Kind, paths: &[PathBuf]) -> Result<Box<dyn Dataset>> {
    let Some(first) = paths.first() else {
        return Err(Error::Usage(format!("no {} files were given", kind.title())));
    };
    let (mut parts, mut labels) = (Vec::new(), Vec::new());
    for path in paths {
        let map = Mapped::open(path)?;
        if map.len() % kind.record() != 0 {
            return Err(wrong_length(path, map.len() as u64, Some(kind)));
        }
        labels.extend(map.chunks_exact(kind.record()).map(|r| u32::from(r[kind.label_bytes() - 1])));
        let count = map.len() / kind.record();
        let name = path.display().to_string();
        parts.push(Part { map, name, offset: kind.label_bytes(), stride: kind.record(), count });
    }
    let classes = class_names(kind, first.parent().unwrap_or(Path::new("")))?;
    Ok(Box::new(PixelTable::new(first, parts, (32, 32), Layout::Planar, labels, classes)?))
}

fn class_names(kind: Kind, folder: &Path) -> Result<Vec<String>> {
    let (file, standard) = match kind {
        Kind::Ten => ("batches.meta.txt", CIFAR10),
        Kind::Hundred => ("fine_label_names.txt", CIFAR100),
    };
    let standard: Vec<String> = standard.split_whitespace().map(String::from).collect();
    let path = folder.join(file);
    if !path.is_file() {
        return Ok(standard);
    }
    let text = String::from_utf8_lossy(&read_limited(&path, 1 << 20)?).into_owned();
    let names: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    if names.len() != standard.len() {
        let (found, needed) = (names.len(), standard.len());
        return Err(Error::file(path, format!("has {found} class names instead of {needed}; restore or remove it")));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_names_are_complete() {
        let folder = Path::new("no such folder");
        assert_eq!(class_names(Kind::Ten, folder).unwrap().len(), 10);
        let hundred = class_names(Kind::Hundred, folder).unwrap();
        assert_eq!(hundred.len(), 100);
        assert!(hundred.is_sorted());
    }
}
