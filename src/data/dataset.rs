//! What every set of labelled images offers.

use super::Rgb8;
use crate::error::{Error, Result};

/// Images with a class each. Items are read when asked for, from any thread.
///
/// The methods that take an item's number panic if it is not below [`Dataset::len`], as indexing a slice does.
pub trait Dataset: Sync + Send {
    /// Number of images.
    fn len(&self) -> usize;

    /// Class names; the label is the position in this list.
    fn classes(&self) -> &[String];

    /// The name of image `i` in messages: its path, or `file#record`.
    fn name(&self, i: usize) -> String;

    /// The class of image `i`, below `classes().len()`.
    fn label(&self, i: usize) -> usize;

    /// Reads and decodes image `i`; an error names the file.
    fn image(&self, i: usize) -> Result<Rgb8>;

    /// SHA-256 of the image's encoded bytes (for unencoded records: of the shape and the pixels), to key caches by.
    fn content_key(&self, i: usize) -> Result<[u8; 32]>;

    /// True if the labels are stored as numbers, rather than derived from the order of names.
    fn has_numbers_for_labels(&self) -> bool {
        false
    }

    /// True if there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the user should know about how the data was read, one sentence each ("3 files were ignored because …").
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// An error unless `data` has images and at least `least` classes that occur in it.
pub fn require_classes(data: &dyn Dataset, least: usize) -> Result<()> {
    if data.is_empty() {
        return Err(Error::Usage("the data set holds no images; name one that has some".into()));
    }
    let mut seen = vec![false; data.classes().len()];
    for i in 0..data.len() {
        seen[data.label(i)] = true;
    }
    let present = seen.iter().filter(|&&s| s).count();
    if present < least {
        let only = seen.iter().zip(data.classes()).filter(|(s, _)| **s).map(|(_, c)| format!("`{c}`"));
        return Err(Error::Usage(format!(
            "training needs images of at least {least} classes, but the data has only {}; put each class's images in a \
             folder of its own",
            only.collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(())
}

/// `1 file`, `2 files`.
pub(crate) fn count(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}
