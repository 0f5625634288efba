//! Features of images that were computed before, as `infer --save-features` and clusters write them: Parquet files with the
//! columns `id`, `label` and `features`. What is kept in memory of a row is its id and its class; the features are read on
//! demand, a file after the other.

#[cfg(feature = "parquet")]
mod table;
#[cfg(not(feature = "parquet"))]
#[path = "features/no_table.rs"]
mod table;

use std::path::PathBuf;
use std::sync::Arc;

pub use table::FeatureTable;

use super::bytes::describe;
use super::{Dataset, Rgb8};
use crate::error::{Error, Result};

/// Keys of a file's metadata that tell how its features were computed.
pub mod keys {
    /// The SHA-256 of the weights' file, in hexadecimal.
    pub const WEIGHTS: &str = "gpu_resnet.weights_sha256";
    /// How the images were prepared, as JSON.
    pub const PREPROCESS: &str = "gpu_resnet.preprocess";
    /// How the network stored its activations: f32 or f16.
    pub const PRECISION: &str = "gpu_resnet.precision";
}

/// How the features of a file were computed, as far as it says so.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeatureOrigin {
    /// [`keys::WEIGHTS`].
    pub weights_sha256: Option<String>,
    /// [`keys::PREPROCESS`].
    pub preprocess: Option<String>,
    /// [`keys::PRECISION`].
    pub precision: Option<String>,
}

/// The files that `names` stand for: a folder for its Parquet files, by name.
///
/// # Errors
/// A name that is not there, and a folder without such files.
pub fn feature_files(names: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in names {
        if !name.is_dir() {
            files.push(name.clone());
            continue;
        }
        let entries = std::fs::read_dir(name).map_err(|e| Error::file(name, describe(&e)))?;
        let is_table = |path: &PathBuf| {
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            !hidden && path.is_file() && path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet"))
        };
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_table).collect();
        if found.is_empty() {
            return Err(Error::file(name, "holds no .parquet files; name files of `infer --save-features`"));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// The order of ids: by folder, then by name, as the files of a class folder are ordered.
#[cfg(feature = "parquet")]
fn by_folder(a: &str, b: &str) -> std::cmp::Ordering {
    let split = |id| str::rsplit_once(id, std::path::is_separator).unwrap_or(("", id));
    let ((a_folder, a_name), (b_folder, b_name)) = (split(a), split(b));
    by_parts(a_folder, b_folder).then_with(|| a_name.cmp(b_name)).then_with(|| a.cmp(b))
}

/// The order of paths, part by part: a separator is before all else.
#[cfg(feature = "parquet")]
fn by_parts(a: &str, b: &str) -> std::cmp::Ordering {
    let part = |byte: u8| if std::path::is_separator(byte.into()) { None } else { Some(byte) };
    match a.bytes().zip(b.bytes()).find(|(a, b)| a != b) {
        Some((a, b)) => part(a).cmp(&part(b)),
        None => a.len().cmp(&b.len()),
    }
}

/// Rows as a data set: they have names and classes, and no images.
impl Dataset for Arc<FeatureTable> {
    fn len(&self) -> usize {
        self.rows()
    }

    fn classes(&self) -> &[String] {
        self.class_names()
    }

    fn name(&self, i: usize) -> String {
        self.id(i).to_owned()
    }

    fn label(&self, i: usize) -> usize {
        self.class(i)
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        Err(Error::file(self.id(i), "is a row of features, without its image"))
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        Err(Error::file(self.id(i), "is a row of features, without its image"))
    }
}

#[cfg(all(test, feature = "parquet"))]
mod tests {
    use std::path::Path;

    use super::by_folder;

    #[test]
    fn ids_are_ordered_as_the_files_of_a_folder() {
        let sorted = ["a", "b", "a b/c", "a/b", "a/c", "a/b/c", "a/b/d", "a-b/a", "é/b"];
        let by_path = |a: &&str, b: &&str| {
            let parts = |id: &&str| {
                (Path::new(*id).parent().map(Path::to_owned), Path::new(*id).file_name().map(|n| n.to_owned()))
            };
            parts(a).cmp(&parts(b))
        };
        let (mut paths, mut ids) = (sorted.to_vec(), sorted.to_vec());
        paths.sort_by(by_path);
        ids.sort_by(|a, b| by_folder(a, b));
        assert_eq!(ids, paths);
        // Of one path there may be several ids; each has its place.
        let mut same = ["a//b", "a/./b", "a/b"];
        same.sort_by(|a, b| by_folder(b, a));
        let first = same;
        same.reverse();
        same.sort_by(|a, b| by_folder(b, a));
        assert_eq!(same, first);
    }
}
