//! In place of tables of features where the cargo feature `parquet` is off: none can be opened.

use std::path::PathBuf;

use super::FeatureOrigin;
use crate::error::{Error, Result};

/// Rows of features.
pub enum FeatureTable {}

#[allow(missing_docs)]
impl FeatureTable {
    pub fn open(files: &[PathBuf], _columns: usize) -> Result<Self> {
        let name = files.first().cloned().unwrap_or_default();
        Err(Error::file(name, "this program was built without Parquet; build it with --features parquet"))
    }

    pub fn origin(&self) -> &FeatureOrigin {
        match *self {}
    }

    pub fn rows(&self) -> usize {
        match *self {}
    }

    pub fn class_names(&self) -> &[String] {
        match *self {}
    }

    pub fn id(&self, _i: usize) -> &str {
        match *self {}
    }

    pub fn class(&self, _i: usize) -> usize {
        match *self {}
    }

    pub fn has_failed(&self, _i: usize) -> bool {
        match *self {}
    }

    pub fn read(&self, _wanted: &[usize], _each: impl FnMut(usize, &[f32]) -> Result<()>) -> Result<()> {
        match *self {}
    }
}
