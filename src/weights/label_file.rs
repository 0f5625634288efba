//! Files of class names.

use std::path::Path;

use super::labels::{labels_of, parse_labels};
use crate::error::{Error, Result};
use crate::files;

/// The largest file of class names that is read.
const MAX_LABELS_BYTES: u64 = 16 << 20;

/// Class names from a file, one for each class of a network with this many `outputs`.
///
/// # Errors
/// A file that can't be read or holds no such list.
pub fn read_labels(path: &Path, outputs: usize) -> Result<Vec<String>> {
    labels_of(read_names(path)?, outputs).map_err(|problem| Error::file(path, problem))
}

/// Class names from a file: one per line, or JSON in any form of [`parse_labels`]. None is repeated.
///
/// # Errors
/// A file that can't be read or holds no such list.
pub fn read_names(path: &Path) -> Result<Vec<String>> {
    let failed = |e: &dyn std::fmt::Display| {
        Error::file(path, format!("could not be read ({e}); give a text file of class names"))
    };
    let text = files::read_text(path, MAX_LABELS_BYTES).map_err(|e| failed(&e))?;
    let text = text.ok_or_else(|| failed(&format!("it has more than {} MiB", MAX_LABELS_BYTES >> 20)))?;
    parse_labels(&text).map_err(|problem| Error::file(path, problem))
}

/// Class names if there are none: their numbers.
pub fn numbered_labels(classes: usize) -> Vec<String> {
    (0..classes).map(|i| i.to_string()).collect()
}
