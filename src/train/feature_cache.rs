//! Features on disk, keyed by what they were computed from, so that a second run on the same images starts at once.
//!
//! One file holds the rows of one key (the network's weights, its architecture and its preprocessing); a row is found by
//! the SHA-256 of its image. A file that is damaged or of another key is never used: it is replaced at the next save.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use web_time::Instant;

use super::files::{create_folder, read_limited};
use crate::cache::cache_dir;
use crate::error::Result;
use crate::weights::{RawTensor, write_safetensors};

/// A larger file is not read: it would not fit in memory.
const MAX_BYTES: u64 = 4 << 30;
/// [`FeatureCache::save_if_due`] waits at least this long, and twenty times what the last save took.
const LEAST_INTERVAL: Duration = Duration::from_secs(20);

/// Features of one network by the SHA-256 of the image.
pub struct FeatureCache {
    path: Option<PathBuf>,
    key: String,
    width: usize,
    rows: HashMap<[u8; 32], usize>,
    keys: Vec<[u8; 32]>,
    features: Vec<f32>,
    warning: Option<String>,
    changed: bool,
    saved: Instant,
    interval: Duration,
}

impl FeatureCache {
    /// The cache of rows of `width` features under `key`, in [`cache_dir`]. It never fails: where the file can't be
    /// used, the cache starts empty and [`Self::warning`] says why.
    pub fn open(key: &str, width: usize) -> Self {
        match cache_dir() {
            Ok(folder) => Self::open_in(&folder.join("features"), key, width),
            Err(error) => {
                Self { warning: Some(format!("features are not kept: {error}")), ..Self::empty(None, key, width) }
            }
        }
    }

    /// The same in a given folder.
    pub fn open_in(folder: &Path, key: &str, width: usize) -> Self {
        let digest = format!("{:x}", Sha256::digest(format!("{key}\n{width}")));
        let path = folder.join(format!("{digest:.32}.safetensors"));
        let mut cache = Self::empty(Some(path.clone()), key, width);
        let problem = match read_limited(&path, MAX_BYTES) {
            Ok(None) => return cache,
            Ok(Some(bytes)) => match cache.load(&bytes) {
                Ok(()) => return cache,
                Err(problem) => format!("{}: {problem}", path.display()),
            },
            Err(error) => error.to_string(),
        };
        cache.warning = Some(format!("{problem}; its features are computed again"));
        cache
    }

    fn empty(path: Option<PathBuf>, key: &str, width: usize) -> Self {
        Self {
            path,
            key: key.to_owned(),
            width: width.max(1),
            rows: HashMap::new(),
            keys: Vec::new(),
            features: Vec::new(),
            warning: None,
            changed: false,
            saved: Instant::now(),
            interval: LEAST_INTERVAL,
        }
    }

    /// Why the file on disk was not used, if it was not.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Rows in the cache.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The features of the image with this SHA-256.
    pub fn get(&self, image: &[u8; 32]) -> Option<&[f32]> {
        self.rows.get(image).map(|&row| &self.features[row * self.width..][..self.width])
    }

    /// Keeps the features of an image. Rows of another width or with values that are not finite are not kept.
    pub fn insert(&mut self, image: [u8; 32], features: &[f32]) {
        if features.len() != self.width || features.iter().any(|value| !value.is_finite()) {
            return;
        }
        if let Some(&row) = self.rows.get(&image) {
            self.features[row * self.width..][..self.width].copy_from_slice(features);
        } else {
            self.rows.insert(image, self.keys.len());
            self.keys.push(image);
            self.features.extend_from_slice(features);
        }
        self.changed = true;
    }

    /// Writes the file, if anything changed. Another process that saved meanwhile is overwritten; that costs time, not
    /// correctness.
    pub fn save(&mut self) -> Result<()> {
        let Some(path) = self.path.clone().filter(|_| self.changed) else {
            return Ok(());
        };
        let started = Instant::now();
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        let count = self.keys.len();
        let keys: &[u8] = self.keys.as_flattened();
        let features: &[u8] = bytemuck::cast_slice(&self.features);
        let tensor = |name, dtype, shape: [usize; 2], bytes| RawTensor {
            name: Cow::Borrowed(name),
            dtype,
            shape: Cow::Owned(shape.to_vec()),
            bytes: Cow::Borrowed(bytes),
        };
        let tensors = [
            tensor("images", Dtype::U8, [count, 32], keys),
            tensor("features", Dtype::F32, [count, self.width], features),
        ];
        let metadata =
            BTreeMap::from([("key".to_owned(), self.key.clone()), ("sha256".to_owned(), checksum(keys, features))]);
        write_safetensors(&path, &tensors, &metadata)?;
        self.changed = false;
        self.saved = Instant::now();
        self.interval = LEAST_INTERVAL.max(started.elapsed() * 20);
        Ok(())
    }

    /// Saves if some time has passed since the last time, so that a long computation that is killed loses little.
    pub fn save_if_due(&mut self) -> Result<()> {
        if self.saved.elapsed() < self.interval { Ok(()) } else { self.save() }
    }

    /// Takes over the rows of a file, or says why not.
    fn load(&mut self, bytes: &[u8]) -> Result<(), String> {
        let broken = |error| format!("is not a feature cache ({error})");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let file = SafeTensors::deserialize(bytes).map_err(broken)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        if metadata.get("key") != Some(&self.key) {
            return Err("holds the features of another network".into());
        }
        let (images, features) = (file.tensor("images").map_err(broken)?, file.tensor("features").map_err(broken)?);
        let count = images.shape().first().copied().unwrap_or(0);
        let fits = images.dtype() == Dtype::U8 && images.shape() == [count, 32];
        if !fits || features.dtype() != Dtype::F32 || features.shape() != [count, self.width] {
            return Err(format!("has {:?} images and {:?} features", images.shape(), features.shape()));
        }
        if metadata.get("sha256") != Some(&checksum(images.data(), features.data())) {
            return Err("is damaged: its checksum is wrong".into());
        }
        let (values, _) = features.data().as_chunks::<4>();
        self.features = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
        if self.features.iter().any(|value| !value.is_finite()) {
            self.features.clear();
            return Err("has features that are not finite".into());
        }
        self.keys = images.data().as_chunks::<32>().0.to_vec();
        self.rows = self.keys.iter().copied().zip(0..).collect();
        Ok(())
    }
}

/// SHA-256 over the keys and the rows.
fn checksum(keys: &[u8], features: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(keys);
    hash.update(features);
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: u8) -> [u8; 32] {
        [i; 32]
    }

    #[test]
    fn rows_come_back_under_their_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = FeatureCache::open_in(folder.path(), "network A", 3);
        assert!(cache.is_empty() && cache.warning().is_none() && cache.get(&key(1)).is_none());
        cache.insert(key(1), &[1.0, 2.0, 3.0]);
        cache.insert(key(2), &[4.0, 5.0, 6.0]);
        cache.insert(key(2), &[7.0, 8.0, 9.0]);
        cache.insert(key(3), &[1.0]);
        cache.insert(key(4), &[1.0, f32::NAN, 1.0]);
        cache.save().unwrap();
        let again = FeatureCache::open_in(folder.path(), "network A", 3);
        assert_eq!(again.len(), 2);
        assert_eq!(again.get(&key(1)).unwrap(), [1.0, 2.0, 3.0]);
        assert_eq!(again.get(&key(2)).unwrap(), [7.0, 8.0, 9.0]);
        assert!(FeatureCache::open_in(folder.path(), "network B", 3).is_empty());
        assert!(FeatureCache::open_in(folder.path(), "network A", 4).is_empty());
    }

    #[test]
    fn damaged_and_foreign_files_are_ignored_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = FeatureCache::open_in(folder.path(), "a", 2);
        cache.insert(key(1), &[1.0, 2.0]);
        cache.save().unwrap();
        let path = cache.path.clone().unwrap();
        let good = std::fs::read(&path).unwrap();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let foreign = FeatureCache::empty(Some(path.clone()), "b", 2);
        for bytes in [&b""[..], b"not a cache", &good[..good.len() - 1], &flipped] {
            std::fs::write(&path, bytes).unwrap();
            let read = FeatureCache::open_in(folder.path(), "a", 2);
            assert!(read.is_empty() && read.warning().is_some(), "{} bytes", bytes.len());
        }
        let mut foreign = FeatureCache { changed: true, ..foreign };
        foreign.insert(key(1), &[1.0, 2.0]);
        foreign.save().unwrap();
        assert!(FeatureCache::open_in(folder.path(), "a", 2).warning().unwrap().contains("another network"));
        // The next save replaces it.
        let mut cache = FeatureCache::open_in(folder.path(), "a", 2);
        cache.insert(key(5), &[5.0, 5.0]);
        cache.save().unwrap();
        assert_eq!(FeatureCache::open_in(folder.path(), "a", 2).len(), 1);
    }
}
