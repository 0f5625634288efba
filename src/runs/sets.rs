//! The images that a run works on: DATA, the selected classes, and the parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::{self, Dataset, Splits, Subset, open_splits, require_classes, stratified_split};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::train::{LeftOut, Unreadable};
use crate::weights::read_names;

/// Which images a run sees, as config.toml keeps it: a resumed run must see the same.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DataChoice {
    /// Labelled images to train on: anything that DATA may be.
    pub data: PathBuf,
    /// Features of labelled images to train on, in place of images; `data` is then the first of these files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<PathBuf>,
    /// Labelled images to validate on, instead of a part of `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val: Option<PathBuf>,
    /// Share of each class to validate on, if `data` has no held-out part.
    pub val_split: f64,
    /// Whether numeric class names are ordered by value, as in every run since this key exists.
    #[serde(default)]
    pub numbers_by_value: bool,
    /// The selected classes, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
}

impl DataChoice {
    /// The images of a new run: `data` and `val`, or a share of `data`; of both only `classes`, if given.
    ///
    /// # Errors
    /// A share outside 0 to 1, and a path that config.toml can't store.
    pub fn new(data: &Path, val: Option<&Path>, val_split: f64, classes: Option<Vec<String>>) -> Result<Self> {
        if !(0.0..1.0).contains(&val_split) {
            return Err(Error::Usage(format!("--val-split {val_split} must be at least 0 and below 1")));
        }
        for path in std::iter::once(data).chain(val) {
            if path.to_str().is_none() {
                let problem = "has a name that is not UTF-8, so a run's config.toml can't keep it; rename it";
                return Err(Error::file(path, problem));
            }
        }
        Ok(DataChoice {
            data: absolute(data.to_owned()),
            features: Vec::new(),
            val: val.map(|val| absolute(val.to_owned())),
            val_split,
            numbers_by_value: true,
            classes,
        })
    }
}

impl DataChoice {
    /// The same of the features in `files`, which are not empty, in place of images.
    ///
    /// # Errors
    /// A path that config.toml can't keep.
    pub fn with_features(self, files: &[PathBuf]) -> Result<Self> {
        if let Some(path) = files.iter().find(|path| path.to_str().is_none()) {
            let problem = "has a name that is not UTF-8, so a run's config.toml can't keep it; rename it";
            return Err(Error::file(path, problem));
        }
        Ok(Self { features: files.iter().cloned().map(absolute).collect(), ..self })
    }
}

/// The images of `splits`, read from `path`, that belong to one of `classes`, if given.
pub fn kept(splits: Splits, classes: Option<&[String]>, path: &Path) -> Result<Splits> {
    match classes {
        None => Ok(splits),
        Some(classes) => splits.keep_classes(classes).map_err(|error| Error::file(path, error)),
    }
}

/// The data set that `path` names, or those of its images whose class is in the file `classes`.
pub fn open_kept(path: &Path, classes: Option<&Path>) -> Result<Splits> {
    kept(open_splits(path)?, classes.map(read_names).transpose()?.as_deref(), path)
}

/// An absolute path, so that a run can be resumed from any folder. The name of a fetched data set stays as it is.
pub fn absolute(path: PathBuf) -> PathBuf {
    match data::find_named(&path) {
        Ok(Some(_)) => path,
        _ => std::path::absolute(&path).unwrap_or(path),
    }
}

/// Images to train and to validate on.
pub struct Sets {
    /// DATA, as it was named.
    pub path: PathBuf,
    /// Those to train on.
    pub train: Arc<dyn Dataset>,
    /// Those to validate on.
    pub val: Option<Arc<dyn Dataset>>,
}

impl Sets {
    /// The images without the unreadable ones.
    ///
    /// # Errors
    /// An image that has moved since the run began, or readable images of fewer than two classes.
    pub fn without(&self, unreadable: &Unreadable) -> Result<Sets> {
        let train = remaining(&self.train, &unreadable.train)?;
        let val = self.val.as_ref().map(|val| remaining(val, &unreadable.val)).transpose()?;
        require_two_classes(&*train, &self.path)?;
        Ok(Sets { path: self.path.clone(), train, val: val.filter(|val| !val.is_empty()) })
    }
}

fn remaining(data: &Arc<dyn Dataset>, left_out: &[LeftOut]) -> Result<Arc<dyn Dataset>> {
    let mut is_left_out = vec![false; data.len()];
    for LeftOut { index, name } in left_out {
        match is_left_out.get_mut(*index) {
            Some(mark) if data.name(*index) == *name => *mark = true,
            _ => {
                let problem =
                    "is not where it was when the run began; give the run its own images back, or start a new run";
                return Err(Error::file(name, problem));
            }
        }
    }
    if left_out.is_empty() {
        return Ok(data.clone());
    }
    Ok(Arc::new(Subset::new(data.clone(), (0..data.len()).filter(|&i| !is_left_out[i]).collect())?))
}

/// Without the unreadable images, at least two classes must remain.
fn require_two_classes(train: &dyn Dataset, path: &Path) -> Result<()> {
    let present: std::collections::BTreeSet<usize> = (0..train.len()).map(|i| train.label(i)).collect();
    if present.len() >= 2 {
        return Ok(());
    }
    let (read, classes) = (present.len(), train.classes().len());
    let problem =
        format!("images of only {read} of its {classes} classes could be read; repair the others, or add some");
    Err(Error::file(path, problem))
}

/// With more images than this, training does not read all of them to find copies; `data inspect` does.
const MOST_READ: usize = 200_000;

/// The training and validation images, checked, with what the user should know of them: DATA and `--val`, DATA's own two parts, or DATA split class by class.
pub fn open_data(runtime: &Runtime, choice: &DataChoice, seed: u64) -> Result<Sets> {
    let sets = open_parts(runtime, choice, seed)?;
    let (train, classes) = (sets.train.len(), sets.train.classes().len());
    let val = sets.val.as_ref().map_or("none".to_owned(), |val| val.len().to_string());
    runtime.note(format!("{train} images of {classes} classes to train on, {val} to validate on"));
    let all = train + sets.val.as_ref().map_or(0, |val| val.len());
    let depth = if all <= MOST_READ { data::Depth::Bytes } else { data::Depth::Labels };
    let bar = runtime.progress(all as u64, "looking for copies");
    for warning in data::check(&*sets.train, sets.val.as_deref(), depth, || bar.advance(1)) {
        runtime.note(format!("warning: {warning}"));
    }
    bar.finish();
    Ok(sets)
}

/// The same without looking for what the user should know.
pub(super) fn open_parts(runtime: &Runtime, choice: &DataChoice, seed: u64) -> Result<Sets> {
    let DataChoice { data: path, val, val_split, classes, .. } = choice;
    let open = |path: &Path| kept(open_splits(path)?, classes.as_deref(), path);
    let note = |set: &dyn Dataset| set.remarks().iter().for_each(|remark| runtime.note(remark));
    let splits = match val {
        None => open(path)?,
        Some(val) => {
            let train = open(path)?.train;
            let val = data::align_classes(open(val)?.join()?, train.classes())?;
            data::Splits { train, val: Some(val) }
        }
    };
    note(&*splits.train);
    note_order(runtime, choice, splits.train.classes())?;
    require_classes(&*splits.train, 2).map_err(|e| Error::file(path, e))?;
    Ok(match splits.val {
        Some(val) => Sets { path: path.clone(), train: splits.train.into(), val: Some(val.into()) },
        None if *val_split == 0.0 => Sets { path: path.clone(), train: splits.train.into(), val: None },
        None => {
            let all: Arc<dyn Dataset> = splits.train.into();
            let labels: Vec<usize> = (0..all.len()).map(|i| all.label(i)).collect();
            let (train, val) = stratified_split(&labels, *val_split, seed);
            let part = |indices| Ok::<_, Error>(Arc::new(Subset::new(all.clone(), indices)?) as Arc<dyn Dataset>);
            let val = if val.is_empty() { None } else { Some(part(val)?) };
            Sets { path: path.clone(), train: part(train)?, val }
        }
    })
}

/// Reports classes that are not in torchvision's order; refuses a run that began when they were.
fn note_order(runtime: &Runtime, choice: &DataChoice, classes: &[String]) -> Result<()> {
    let Some(note) = data::order_note(classes) else { return Ok(()) };
    if !choice.numbers_by_value && choice.classes.is_none() {
        let problem = "has classes that are numbered by their value, but the run began when they were numbered as text; \
                       start a new run";
        return Err(Error::file(&choice.data, problem));
    }
    runtime.note(note);
    Ok(())
}
