//! Features that were computed before, in place of images: the rows to train and to validate on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::feature_values::{FeatureRows, MOST_IN_MEMORY};
use super::features::Features;
use super::sets::{DataChoice, Sets};
use crate::data::{self, Dataset, FeatureOrigin, FeatureTable, Subset, require_classes, stratified_split};
use crate::error::{Error, Result};
use crate::predict::LoadedNetwork;
use crate::runtime::Runtime;

/// The rows of a run.
pub struct FeatureSets {
    /// Their names and classes.
    pub sets: Sets,
    train: Part,
    val: Option<Part>,
    width: usize,
    /// Rows of images that could not be read.
    pub failed: usize,
}

struct Part {
    table: Arc<FeatureTable>,
    /// Rows of the table, in the order of the set.
    rows: Vec<usize>,
}

/// Opens the tables that `choice` names, computed by the backbone of `model`; where no other table is to validate on, the rows are
/// split as images are.
///
/// # Errors
/// Tables that can't be read or are of another network, and classes that are fewer than two.
pub fn open_features(runtime: &Runtime, choice: &DataChoice, model: &LoadedNetwork, seed: u64) -> Result<FeatureSets> {
    if choice.classes.is_some() {
        let problem =
            "--classes chooses among images; leave it out beside --features, or write the features of those classes";
        return Err(Error::Usage(problem.into()));
    }
    let width = model.architecture.features();
    let open = |files: &[PathBuf]| {
        let table = FeatureTable::open(&data::feature_files(files)?, width)?;
        check_origin(runtime, table.origin(), model, &files[0])?;
        Ok::<_, Error>(Arc::new(table))
    };
    let table = open(&choice.features)?;
    let path = choice.data.clone();
    require_classes(&table, 2).map_err(|e| Error::file(&path, e))?;
    let all = Arc::new(table.clone()) as Arc<dyn Dataset>;
    let every = |table: &FeatureTable| (0..table.rows()).collect::<Vec<_>>();
    let mut failed = 0;
    // Images that could not be read are left out after the split, as in a run on the images.
    let mut part = |data: &Arc<dyn Dataset>, table: &Arc<FeatureTable>, mut rows: Vec<usize>| {
        let before = rows.len();
        rows.retain(|&row| !table.has_failed(row));
        failed += before - rows.len();
        let set: Arc<dyn Dataset> = Arc::new(Subset::new(data.clone(), rows.clone())?);
        Ok::<_, Error>((set, Part { table: table.clone(), rows }))
    };
    let (train, val) = match &choice.val {
        Some(val) => {
            let other = open(std::slice::from_ref(val))?;
            let aligned = data::align_classes(Box::new(other.clone()), table.classes())?;
            let rows = every(&other);
            (part(&all, &table, every(&table))?, Some(part(&Arc::from(aligned), &other, rows)?))
        }
        None => {
            let labels: Vec<usize> = (0..table.rows()).map(|i| table.class(i)).collect();
            let (train, val) = match choice.val_split {
                0.0 => (every(&table), Vec::new()),
                share => stratified_split(&labels, share, seed),
            };
            let held = if val.is_empty() { None } else { Some(part(&all, &table, val)?) };
            (part(&all, &table, train)?, held)
        }
    };
    let ((train_set, train), (val_set, val)) = (train, val.unzip());
    require_classes(&*train_set, 2).map_err(|e| Error::file(&path, e))?;
    if failed > 0 {
        runtime.complain(format!("{} could not be read when features were computed", data::count(failed, "image")));
    }
    let (count, classes) = (train_set.len(), train_set.classes().len());
    let held = val_set.as_ref().map_or("none".to_owned(), |val: &Arc<dyn Dataset>| val.len().to_string());
    runtime.note(format!("features of {count} images of {classes} classes to train on, {held} to validate on"));
    let sets = Sets { path, train: train_set, val: val_set };
    for warning in data::check(&*sets.train, sets.val.as_deref(), data::Depth::Labels, || {}) {
        runtime.note(format!("warning: {warning}"));
    }
    Ok(FeatureSets { sets, train, val, width, failed })
}

/// Refuses features of another network: a head on them would be wrong without a word.
fn check_origin(runtime: &Runtime, origin: &FeatureOrigin, model: &LoadedNetwork, path: &Path) -> Result<()> {
    let FeatureOrigin { weights_sha256, preprocess, precision } = origin;
    let Some(found) = weights_sha256 else {
        let (path, network) = (path.display(), model.weights.label().display());
        runtime.note(format!("assumed, since {path} does not say which network its features are of: {network}"));
        return Ok(());
    };
    if found != model.weights.sha256() {
        let problem = format!(
            "holds features of another network than {} (its weights have the SHA-256 {:.16}…); give that network by --weights",
            model.weights.label().display(),
            found.escape_default().to_string()
        );
        return Err(Error::file(path, problem));
    }
    let prepared: Option<data::Preprocess> = preprocess.as_ref().and_then(|json| serde_json::from_str(json).ok());
    if prepared.is_some_and(|prepared| prepared != model.preprocess) {
        let problem = "holds features of images that were prepared another way than the network would now; repeat the options \
                       that `infer` had (--image-size, --resize, --crop, --mean, --std, --interpolation)";
        return Err(Error::file(path, problem));
    }
    match precision.as_deref().filter(|name| *name != runtime.precision.name()) {
        None => Ok(()),
        Some(name) => Err(Error::file(
            path,
            format!("holds features that were computed in {}; give --precision {0}", name.escape_default()),
        )),
    }
}

impl FeatureSets {
    /// Reads the features to train and to validate on. Past 4 GiB they lie in a file in `folder` that has no name.
    ///
    /// # Errors
    /// Files that changed, features that are not finite, and a folder that can't be written to.
    pub fn read(&self, folder: &Path) -> Result<(Features, Option<Features>)> {
        let read = |part: &Part, set: &dyn Dataset| -> Result<Features> {
            let mut rows = FeatureRows::new(part.rows.len(), self.width, MOST_IN_MEMORY, folder)?;
            part.table.read(&part.rows, |place, features| rows.set(place, features, folder))?;
            let features = rows.finish(folder)?;
            let labels: Vec<u32> = (0..set.len()).map(|i| set.label(i) as u32).collect();
            let mut digest = Sha256::new();
            digest.update(bytemuck::cast_slice::<u32, u8>(&labels));
            digest.update(bytemuck::cast_slice::<f32, u8>(&features));
            let indices = (0..labels.len()).collect();
            Ok(Features { features, labels, indices, keys: vec![digest.finalize().into()] })
        };
        let train = read(&self.train, &*self.sets.train)?;
        let val = self.val.as_ref().zip(self.sets.val.as_ref()).map(|(part, set)| read(part, &**set));
        Ok((train, val.transpose()?))
    }
}
