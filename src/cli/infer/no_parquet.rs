//! Replaces Parquet when the cargo feature `parquet` is off: no table can be started.

use std::path::Path;

use crate::error::{Error, Result};
use crate::predict::Prediction;

/// A table that never exists.
pub enum Table {}

impl Table {
    pub fn of_predictions(path: &Path) -> Result<Self> {
        Err(refused(path))
    }

    pub fn of_vectors(path: &Path, _name: &str) -> Result<Self> {
        Err(refused(path))
    }

    pub fn of_features(path: &Path, _origin: &[(&str, String)]) -> Result<Self> {
        Err(refused(path))
    }

    pub fn predictions(&mut self, _input: &str, _predictions: &[Prediction]) -> Result<()> {
        match *self {}
    }

    pub fn vector(&mut self, _input: &str, _label: Option<&str>, _vector: &[f32]) -> Result<()> {
        match *self {}
    }

    pub fn commit(self) -> Result<()> {
        match self {}
    }
}

fn refused(path: &Path) -> Error {
    let path = path.display();
    Error::Usage(format!(
        "{path}: this program was built without Parquet; name it .csv, or build it with --features parquet"
    ))
}
