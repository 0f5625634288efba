//! How tensors lie in GPU memory, and the conversion from and to PyTorch's layouts.
//!
//! Activations are NHWC with the channels padded to a multiple of 4 by zeros, so that every kernel reads vec4s; a
//! grouped convolution pads each group. Matrices are rows padded to vec4s. Outside the process everything is PyTorch's NCHW.
//!
//! Pixels are not always adjacent. A kernel reads the same channel of many pixels at once. If a pixel takes a kibibyte or a
//! multiple of it, these reads share a few sets of the cache and evict each other before the next channel of the same line is read.
//! So such pixels are one cache line further apart. The values in between are never used.

use std::ops::Deref;

use super::Precision;
use crate::error::{Error, Result};
use crate::gpu::{Recording, TensorId};

/// The shape and memory layout of a batch of feature maps. Every value has a 32-bit index, since shaders index with 32 bits; the
/// constructors check this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MapShape {
    pub n: usize,
    pub h: usize,
    pub w: usize,
    /// Channels without padding.
    pub c: usize,
    /// vec4s of the channels of a pixel.
    pub c4: usize,
    /// vec4s from one pixel to the next.
    pub pitch4: usize,
    pub precision: Precision,
}

impl MapShape {
    /// f32 maps of a shape NCHW whose channels are padded as one group.
    ///
    /// # Errors
    /// More values than a shader can index. This holds for every constructor.
    pub fn new(shape: [usize; 4]) -> Result<Self> {
        Self::grouped(shape, 1)
    }

    /// The same with channels padded group by group.
    pub fn grouped([n, c, h, w]: [usize; 4], groups: usize) -> Result<Self> {
        let c4 = channels4(c, groups);
        Self { n, h, w, c, c4, pitch4: pitch4(c4), precision: Precision::F32 }.checked()
    }

    /// f32 maps of one group without gaps between pixels.
    pub fn dense([n, c, h, w]: [usize; 4]) -> Result<Self> {
        let c4 = c.div_ceil(4);
        Self { n, h, w, c, c4, pitch4: c4, precision: Precision::F32 }.checked()
    }

    /// A matrix of `n` rows of `c` columns, as maps of one pixel.
    pub fn rows([n, c]: [usize; 2]) -> Result<Self> {
        Self::dense([n, c, 1, 1])
    }

    /// Maps of another height and width with the same channels.
    pub fn resized(self, [h, w]: [usize; 2]) -> Result<Self> {
        Self { h, w, ..self }.checked()
    }

    /// One f32 pixel for each map, with the same channels and without gaps.
    pub fn pooled(self) -> Self {
        Self { h: 1, w: 1, pitch4: self.c4, precision: Precision::F32, ..self }
    }

    /// The same shape in another precision.
    pub fn stored(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The extents and every index of a value fit in 32 bits.
    fn checked(self) -> Result<Self> {
        let values = self.pitch4.max(1).saturating_mul(4);
        let extents = [self.n, self.h, self.w, values].map(|extent| extent.max(1));
        let values = extents.into_iter().try_fold(1usize, |product, extent| product.checked_mul(extent));
        if values.is_some_and(|values| u32::try_from(values).is_ok()) {
            return Ok(self);
        }
        let [n, c, h, w] = self.nchw();
        let problem = format!(
            "[{n}, {c}, {h}, {w}] has more values than a shader can index; use smaller images or fewer of them"
        );
        Err(Error::shape("feature map", problem))
    }

    /// PyTorch's shape.
    pub fn nchw(&self) -> [usize; 4] {
        [self.n, self.c, self.h, self.w]
    }

    /// Pixels of the whole batch.
    pub fn pixels(&self) -> usize {
        self.n * self.h * self.w
    }

    /// vec4s of the whole batch, gaps between pixels included.
    pub fn len4(&self) -> usize {
        self.pixels() * self.pitch4
    }

    /// Bytes of the whole batch.
    pub fn bytes(&self) -> u64 {
        self.len4() as u64 * self.precision.bytes4()
    }

    /// Maps of this shape in `tensor`.
    pub fn at(self, tensor: TensorId) -> FeatureMap {
        FeatureMap { tensor, shape: self }
    }
}

/// A batch of feature maps in a recording: a tensor and its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureMap {
    pub tensor: TensorId,
    pub shape: MapShape,
}

impl Deref for FeatureMap {
    type Target = MapShape;

    fn deref(&self) -> &MapShape {
        &self.shape
    }
}

impl FeatureMap {
    /// Checks that it has the `precision` of the other maps of the operation `op` called `label`.
    pub(super) fn check_precision(&self, op: &str, label: &str, precision: Precision) -> Result<()> {
        if self.precision == precision {
            return Ok(());
        }
        let names = [self.precision, precision].map(Precision::name);
        Err(Error::shape(op, format!("{label}: feature maps of {} and of {} can't be combined", names[0], names[1])))
    }
}

/// Tensors for maps; a recording itself knows only tensors.
pub trait RecordMaps {
    /// Maps between dispatches.
    fn map(&mut self, label: &str, shape: MapShape) -> FeatureMap;

    /// Maps that the host writes or reads.
    fn kept_map(&mut self, label: &str, shape: MapShape) -> FeatureMap;
}

impl RecordMaps for Recording {
    fn map(&mut self, label: &str, shape: MapShape) -> FeatureMap {
        shape.at(self.temporary(label, shape.bytes()))
    }

    fn kept_map(&mut self, label: &str, shape: MapShape) -> FeatureMap {
        shape.at(self.kept(label, shape.bytes()))
    }
}

/// vec4s per pixel of `channels` in `groups`, each group padded.
pub fn channels4(channels: usize, groups: usize) -> usize {
    groups * (channels / groups).div_ceil(4)
}

/// vec4s from one pixel to the next for `c4` vec4s of channels; see the module.
fn pitch4(c4: usize) -> usize {
    const KIBIBYTE: usize = 1024 / 16;
    const LINE: usize = 64 / 16;
    if c4.is_multiple_of(KIBIBYTE) { c4 + LINE } else { c4 }
}

/// A value for each channel (a bias), padded as the channels of a map are.
pub fn pack_channels(data: &[f32], groups: usize) -> Vec<f32> {
    let group = data.len() / groups;
    let padded = group.next_multiple_of(4);
    let mut out = vec![0.0; groups * padded];
    for (to, from) in out.chunks_exact_mut(padded.max(1)).zip(data.chunks_exact(group.max(1))) {
        to[..group].copy_from_slice(from);
    }
    out
}

/// The reverse of [`pack_channels`] for `channels`.
pub fn unpack_channels(data: &[f32], channels: usize, groups: usize) -> Vec<f32> {
    let group = channels / groups;
    data.chunks_exact(group.next_multiple_of(4))
        .take(groups)
        .flat_map(|padded| padded[..group].iter().copied())
        .collect()
}

/// NCHW to padded NHWC.
pub fn pack_nhwc(data: &[f32], [n, c, h, w]: [usize; 4], groups: usize) -> Vec<f32> {
    let c4 = channels4(c, groups);
    let stride = pitch4(c4) * 4;
    let (group, padded_group) = (c / groups, c4 * 4 / groups);
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
    let c4 = channels4(c, groups);
    let stride = pitch4(c4) * 4;
    let (group, padded_group) = (c / groups, c4 * 4 / groups);
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

/// `value` as a 32-bit integer for a shader.
pub(crate) fn u32_of(op: &str, what: &str, value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::shape(op, format!("{what} of {value} is more than a shader can index")))
}

/// Converts sizes to the 32-bit integers of a uniform block. An error names the operation `op` and `what` is too large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct U32s<'a> {
    pub op: &'a str,
    pub what: &'a str,
}

impl U32s<'_> {
    /// # Errors
    /// The size does not fit.
    pub fn of(self, value: usize) -> Result<u32> {
        u32_of(self.op, self.what, value)
    }

    /// A height and a width.
    ///
    /// # Errors
    /// One does not fit.
    pub fn pair(self, [height, width]: [usize; 2]) -> Result<[u32; 2]> {
        Ok([self.of(height)?, self.of(width)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_a_uniform_block_fit_in_32_bits() {
        let sizes = U32s { op: "conv2d", what: "an attribute" };
        assert_eq!(sizes.pair([3, u32::MAX as usize]).unwrap(), [3, u32::MAX]);
        let refused = sizes.pair([3, 1 << 32]).unwrap_err().to_string();
        assert!(refused.contains("conv2d") && refused.contains("an attribute of 4294967296"), "{refused}");
    }

    #[test]
    fn layouts_round_trip() {
        let shapes = [
            ([2, 5, 3, 2], 1),
            ([1, 6, 2, 2], 2),
            ([1, 8, 1, 1], 1),
            ([3, 9, 1, 4], 3),
            ([1, 256, 2, 1], 1),
            ([2, 1022, 1, 1], 2),
        ];
        for (shape, groups) in shapes {
            let count = shape.iter().product::<usize>();
            let data: Vec<f32> = (1..=count).map(|i| i as f32).collect();
            let packed = pack_nhwc(&data, shape, groups);
            assert_eq!(packed.len(), shape[0] * shape[2] * shape[3] * pitch4(channels4(shape[1], groups)) * 4);
            assert_eq!(packed.iter().filter(|&&v| v != 0.0).count(), count, "padding is zero");
            assert_eq!(unpack_nhwc(&packed, shape, groups), data);
        }
        let data: Vec<f32> = (1..=6).map(|i| i as f32).collect();
        assert_eq!(pack_channels(&data, 2), [1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0, 0.0]);
        assert_eq!(unpack_channels(&pack_channels(&data, 2), 6, 2), data);
        let data: Vec<f32> = (0..15).map(|i| i as f32).collect();
        let packed = pack_rows(&data, [3, 5], 4);
        assert_eq!(packed.len(), 4 * 8);
        assert_eq!(unpack_rows(&packed, [3, 5]), data);
    }

    #[test]
    fn pixels_of_a_kibibyte_are_a_line_apart() {
        assert_eq!([16, 48, 64, 65, 128, 192, 512].map(pitch4), [16, 48, 68, 65, 132, 196, 516]);
    }

    #[test]
    fn a_shape_has_indices_of_32_bits_or_is_refused() {
        let most = u32::MAX as usize;
        for shape in [[1, 3, 224, 224], [64, 2048, 7, 7], [1, 4, 32_767, 32_767], [1, 1, most / 4, 1], [0, 3, 1, 1]] {
            assert!(MapShape::new(shape).is_ok(), "{shape:?}");
        }
        let large = [
            [1, 4, 32_768, 32_768],
            [1, 5, 32_768, 20_000],
            [1, most, 1, 1],
            [usize::MAX, 3, 4, 4],
            [0, 3, most, 1],
            [1 << 40, 0, 1, 1],
        ];
        for shape in large {
            let said = MapShape::new(shape).expect_err("too large").to_string();
            let [n, c, h, w] = shape;
            assert!(said.contains(&format!("[{n}, {c}, {h}, {w}] has more values than a shader can index")), "{said}");
        }
        assert!(MapShape::rows([1 << 20, 4096]).is_err() && MapShape::rows([1 << 20, 1000]).is_ok());
        assert!(MapShape::new([1, 4, 8, 8]).and_then(|shape| shape.resized([1 << 15, 1 << 15])).is_err());
    }
}
