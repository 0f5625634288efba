//! Images in, batches of u8 pixels out: decoding, torchvision's evaluation transform, the data sets that people have,
//! and a loader that keeps all cores ahead of the GPU.
//!
//! Nothing here knows the GPU: a [`Batch`] is `n * crop * crop * 3` bytes, and mean and standard deviation are applied
//! after the upload. All input is treated as hostile: sizes are checked before memory is allocated, and a bad file is an error
//! that names it, never a panic.

mod augment;
mod bytes;
mod check;
mod cifar;
mod clutter;
mod csv;
mod dataset;
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
mod rgb8;
mod runs;
mod shared_classes;
mod split;
mod table;
mod tensors;
mod unpack;
mod walk;

pub use augment::{Adjust, Augment, Crop, Drawn, Jitter, View};
pub use check::{Depth, check};
pub(crate) use dataset::count;
pub use dataset::{Dataset, require_classes};
pub use decode::{MAX_FILE_BYTES, MAX_PIXELS, PIXELS_VERSION, decode_bytes, decode_file};
pub use features::{FeatureOrigin, FeatureTable, feature_files, keys as feature_keys};
pub use fetch::{FetchedData, fetch};
pub use grid::{encode_png, grid, write_png};
pub use heat::overlay;
pub use image_names::is_image_name;
pub use inputs::{FileList, FoundImages, expand_inputs};
pub use loader::{Batch, Loader};
pub use matching::{Outputs, align_classes, match_outputs};
pub use named::{Archive, Member, NamedData, find_named, named_data};
pub use names::order_note;
pub use open::{Splits, open_dataset, open_splits};
#[cfg(feature = "cli")]
pub(crate) use part_names::is_part_name;
pub use preprocess::{MAX_CROP, Preprocess};
pub use readable::find_unreadable;
pub use resize::{Interpolation, resize};
pub use rgb8::Rgb8;
pub use runs::make_maps_folder;
pub use split::{Concat, Subset, balanced_indices, keep_classes, shuffled_indices, stratified_split};
#[cfg(fuzzing)]
pub use unpack::unpack;

pub use crate::fetch::FetchOptions;
