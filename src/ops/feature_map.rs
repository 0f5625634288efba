//! How tensors lie in GPU memory, and the conversion from and to PyTorch's layouts.
//!
//! Activations are NHWC with the channels padded to a multiple of 4 by zeros, so that every kernel reads vec4s; a
//! grouped convolution pads each group. Matrices are rows padded to vec4s. Outside the process all is PyTorch's NCHW.

use super::Precision;
use crate::error::{Error, Result};
use crate::gpu::TensorId;

/// A batch of feature maps in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureMap {
    pub tensor: TensorId,
    pub n: usize,
    pub h: usize,
    pub w: usize,
    /// Channels without padding.
    pub c: usize,
    /// vec4s from one pixel to the next.
    pub c4: usize,
    pub precision: Precision,
}

impl FeatureMap {
    /// A map of f32 over `tensor` whose channels are padded as one group.
    pub fn new(tensor: TensorId, [n, c, h, w]: [usize; 4]) -> Self {
        Self { tensor, n, h, w, c, c4: c.div_ceil(4), precision: Precision::F32 }
    }

    /// A map over `tensor` whose channels are padded group by group.
    pub fn grouped(tensor: TensorId, shape: [usize; 4], groups: usize) -> Self {
        Self { c4: channels4(shape[1], groups), ..Self::new(tensor, shape) }
    }

    /// The same of another type.
    pub fn stored(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Pixels of the whole batch.
    pub fn pixels(&self) -> usize {
        self.n * self.h * self.w
    }

    /// vec4s of the whole batch.
    pub fn len4(&self) -> usize {
        self.pixels() * self.c4
    }

    /// Bytes of the whole batch.
    pub fn bytes(&self) -> u64 {
        self.len4() as u64 * self.precision.bytes4()
    }

    /// Whether `residual` can be added to this map, an output of the convolution `label`.
    pub(super) fn check_residual(&self, label: &str, residual: Option<Self>) -> Result<()> {
        let Some(other) = residual.filter(|&other| (Self { tensor: self.tensor, ..other }) != *self) else {
            return Ok(());
        };
        let (f, e) = (other, self);
        let problem =
            format!("{label}: the residual is {}x{}x{} and the output {}x{}x{}", f.c, f.h, f.w, e.c, e.h, e.w);
        Err(Error::shape("conv2d", problem))
    }
}

/// vec4s per pixel of `channels` in `groups`, each group padded.
pub fn channels4(channels: usize, groups: usize) -> usize {
    groups * (channels / groups).div_ceil(4)
}

/// NCHW to padded NHWC.
pub fn pack_nhwc(data: &[f32], [n, c, h, w]: [usize; 4], groups: usize) -> Vec<f32> {
    let stride = channels4(c, groups) * 4;
    let (group, padded_group) = (c / groups, stride / groups);
    let mut out = vec![0.0; n * h * w * stride];
    for image in 0..n {
        for channel in 0..c {
            let to = channel / group * padded_group + channel % group;
            let plane = &data[(image * c + channel) * h * w..][..h * w];
            for (pixel, &value) in plane.iter().enumerate() {
                out[(image * h * w + pixel) * stride + to] = value;
            }
        }
    }
    out
}

/// Padded NHWC to NCHW.
pub fn unpack_nhwc(data: &[f32], [n, c, h, w]: [usize; 4], groups: usize) -> Vec<f32> {
    let stride = channels4(c, groups) * 4;
    let (group, padded_group) = (c / groups, stride / groups);
    let mut out = vec![0.0; n * c * h * w];
    for image in 0..n {
        for channel in 0..c {
            let from = channel / group * padded_group + channel % group;
            let plane = &mut out[(image * c + channel) * h * w..][..h * w];
            for (pixel, value) in plane.iter_mut().enumerate() {
                *value = data[(image * h * w + pixel) * stride + from];
            }
        }
    }
    out
}

/// A row-major matrix with its rows padded to vec4s, and the number of rows padded to a multiple of `row_multiple`.
pub fn pack_rows(data: &[f32], [rows, columns]: [usize; 2], row_multiple: usize) -> Vec<f32> {
    let stride = columns.next_multiple_of(4);
    let mut out = vec![0.0; rows.next_multiple_of(row_multiple) * stride];
    for row in 0..rows {
        out[row * stride..][..columns].copy_from_slice(&data[row * columns..][..columns]);
    }
    out
}

/// The reverse of [`pack_rows`].
pub fn unpack_rows(data: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let stride = columns.next_multiple_of(4);
    (0..rows).flat_map(|row| data[row * stride..][..columns].iter().copied()).collect()
}

/// `value` as the 32-bit integer that a shader takes.
pub(crate) fn u32_of(op: &str, what: &str, value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::shape(op, format!("{what} of {value} is more than a shader can index")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_round_trip() {
        for (shape, groups) in [([2, 5, 3, 2], 1), ([1, 6, 2, 2], 2), ([1, 8, 1, 1], 1), ([3, 9, 1, 4], 3)] {
            let count = shape.iter().product::<usize>();
            let data: Vec<f32> = (1..=count).map(|i| i as f32).collect();
            let packed = pack_nhwc(&data, shape, groups);
            assert_eq!(packed.len(), shape[0] * shape[2] * shape[3] * channels4(shape[1], groups) * 4);
            assert_eq!(packed.iter().filter(|&&v| v != 0.0).count(), count, "padding is zero");
            assert_eq!(unpack_nhwc(&packed, shape, groups), data);
        }
        let data: Vec<f32> = (0..15).map(|i| i as f32).collect();
        let packed = pack_rows(&data, [3, 5], 4);
        assert_eq!(packed.len(), 4 * 8);
        assert_eq!(unpack_rows(&packed, [3, 5]), data);
    }
}
