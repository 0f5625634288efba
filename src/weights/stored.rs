//! The tensors of one file, under its own names, and where in it they lie.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::Dtype;

/// The tensors of a file, under its own names.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub tensors: Vec<Stored>,
    /// Tensors that can't be read, each with a sentence that follows the file's name.
    pub unread: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Bytes of the file, from the first element to the last.
    pub range: Range<usize>,
    /// Strides in elements, for a tensor that is not in row-major order.
    pub strides: Option<Vec<usize>>,
}
