//! The input of a network.

use crate::error::Result;
use crate::gpu::{Recording, TensorId};
use crate::ops::preprocess::preprocess;
use crate::ops::{FeatureMap, MapShape, Precision, RecordMaps};

/// The form in which images arrive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InputKind {
    /// HWC RGB bytes, normalised on the GPU with these fractions of 255.
    Pixels { mean: [f32; 3], std: [f32; 3] },
    /// f32 in NCHW, used as it is.
    Tensor,
}

impl InputKind {
    /// Records the conversion of `n` images of `h` x `w` to the form that layers read. Returns the tensor to upload to and the resulting map.
    pub fn record(
        self,
        recording: &mut Recording,
        [n, h, w]: [usize; 3],
        precision: Precision,
    ) -> Result<(TensorId, FeatureMap)> {
        match self {
            InputKind::Pixels { mean, std } => {
                let bytes = recording.kept("pixels", (n * 3 * h * w) as u64);
                Ok((bytes, preprocess(recording, "preprocess", bytes, [n, h, w], mean, std, precision)?))
            }
            InputKind::Tensor => {
                let map = recording.kept_map("input", MapShape::new([n, 3, h, w])?.stored(precision));
                Ok((map.tensor, map))
            }
        }
    }
}
