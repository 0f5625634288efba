//! Weights files: safetensors and PyTorch checkpoints read, checked against an architecture, described, converted,
//! fetched by name, and written.
//!
//! Tensor names are torchvision's, whatever the file has. Files are treated as hostile: sizes are bounded, offsets are checked, numbers
//! must be finite, and every error names the file.

mod beside;
mod bytes;
mod check;
mod config;
mod contents;
mod convert;
mod describe;
mod embedded;
mod fetch;
mod file;
mod formats;
mod hash;
mod head;
mod imagenet;
mod infer;
mod inspect;
mod keys;
mod label_file;
mod labels;
mod manifest;
mod naming;
mod overrides;
mod pickle;
mod pytorch;
mod save;
mod select;
mod selection;
mod shards;
mod source;
mod state_dict;
mod stored;
mod text;

pub use crate::fetch::FetchOptions;
pub use check::{Problem, check, compare};
pub use convert::{ElementType, Names, convert};
pub use describe::{Description, Origin, default_preprocess, describe, infer_architecture};
pub use embedded::{BUILT_IN, EMBEDDED, EMBEDDED_NAME};
pub use fetch::{Fetched, fetch};
pub use file::Weights;
pub(crate) use hash::splitmix;
pub use hash::{hash_input, hash_parameter, hash_targets, hash_tensor, hash_weights};
pub use imagenet::{imagenet_labels, imagenet_synsets, is_imagenet};
pub use inspect::{InspectedTensor, Inspection, inspect};
pub use keys::{ARCHITECTURE_KEY, ASSUMED_KEY, LABELS_KEY, PREPROCESS_KEY};
pub use label_file::{numbered_labels, read_labels, read_names};
pub use labels::{labels_of, parse_labels};
pub use manifest::{Accuracy, Pretrained, manifest};
pub use overrides::Overrides;
pub use save::{NamedTensor, RawTensor, metadata, save, to_bytes, write_safetensors};
pub use selection::Head;
pub use source::{Source, open, open_key, open_with, resolve};

/// The type of a tensor's elements in a file.
pub use safetensors::Dtype;

// safetensors is little-endian, and slices of it are read without conversion.
#[cfg(target_endian = "big")]
compile_error!("gpu-resnet reads and writes safetensors in place and needs a little-endian machine");
