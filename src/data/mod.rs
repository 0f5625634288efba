//! Images in, batches of u8 pixels out: decoding, torchvision's evaluation transform, the data sets that people have,
//! and a loader that keeps all cores ahead of the GPU.
//!
//! Nothing here knows the GPU: a [`Batch`] is `n * crop * crop * 3` bytes, and mean and standard deviation are applied
//! after the upload. Everything that is read is taken for hostile: sizes are checked before memory is allocated, and a
//! bad file is an error that names it, never a panic.

mod augment;
mod bytes;
mod check;
mod cifar;
mod clutter;
mod csv;
mod decode;
mod features;
mod fetch;
mod folder;
mod glob;
mod grid;
mod heat;
mod image_names;
mod inputs;
mod loader;
mod matching;
mod mnist;
mod named;
mod names;
mod open;
mod part_names;
mod parts;
mod preprocess;
mod readable;
mod resize;
mod runs;
mod shared_classes;
mod split;
mod table;
mod tensors;
mod unpack;
mod walk;

pub use augment::{Adjust, Augment, Crop, Drawn, Jitter, View};
pub use check::{Depth, check};
pub use decode::{MAX_FILE_BYTES, MAX_PIXELS, decode_bytes, decode_file};
pub use features::{FeatureOrigin, FeatureTable, feature_files, keys as feature_keys};
pub use fetch::{FetchedData, fetch};
pub use grid::{encode_png, grid, write_png};
pub use heat::overlay;
pub use image_names::is_image_name;
pub use inputs::{FileList, expand_inputs, left_out_of};
pub use loader::{Batch, Loader};
pub use matching::{Outputs, align_classes, match_outputs};
pub use named::{Archive, Member, NamedData, find_named, named_data};
pub use names::order_note;
pub use open::{Splits, open_dataset, open_splits};
#[cfg(feature = "cli")]
pub(crate) use part_names::is_part_name;
pub use preprocess::{Interpolation, MAX_CROP, Preprocess};
pub use readable::find_unreadable;
pub use resize::resize;
pub use runs::make_maps_folder;
pub use split::{Concat, Subset, balanced_indices, keep_classes, shuffled_indices, stratified_split};

use crate::error::{Error, Result};
pub use crate::fetch::FetchOptions;

/// An RGB image of 8 bits a channel: row-major, `height * width * 3` bytes (HWC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `pixels[(y * width + x) * 3 + channel]`, channels red, green, blue.
    pub pixels: Vec<u8>,
}

impl Rgb8 {
    /// A black image. The caller bounds `width * height`.
    pub fn black(width: u32, height: u32) -> Self {
        Rgb8 { width, height, pixels: vec![0; width as usize * height as usize * 3] }
    }

    /// Checks that `pixels` has the length that width and height promise, and that neither is zero.
    pub(crate) fn check(&self, op: &str) -> Result<()> {
        let expected = u64::from(self.width) * u64::from(self.height) * 3;
        if expected == 0 || self.pixels.len() as u64 != expected {
            return Err(Error::shape(
                op,
                format!(
                    "an image of {} x {} needs {expected} bytes (more than none), but has {}",
                    self.width,
                    self.height,
                    self.pixels.len()
                ),
            ));
        }
        Ok(())
    }
}

/// Images with a class each. Items are read when asked for, from any thread.
///
/// The methods that take an item's number panic if it is not below [`Dataset::len`], as indexing a slice does.
pub trait Dataset: Sync + Send {
    /// Number of images.
    fn len(&self) -> usize;

    /// Class names; the label is the position in this list.
    fn classes(&self) -> &[String];

    /// What to call image `i` when talking to the user: its path, or `file#record`.
    fn name(&self, i: usize) -> String;

    /// The class of image `i`, below `classes().len()`.
    fn label(&self, i: usize) -> usize;

    /// Reads and decodes image `i`; an error names the file.
    fn image(&self, i: usize) -> Result<Rgb8>;

    /// SHA-256 of the image's encoded bytes (for unencoded records: of the shape and the pixels), to key caches by.
    fn content_key(&self, i: usize) -> Result<[u8; 32]>;

    /// True if the labels are stored as numbers, and are not only the places of names in an order.
    fn has_numbers_for_labels(&self) -> bool {
        false
    }

    /// True if there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the user should know about how the data was read, a sentence each ("3 files were ignored because …").
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
