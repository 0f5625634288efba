//! Space-to-depth: a convolution with a stride on few channels (a stem) as one without a stride on more channels.
//!
//! A stem's three channels use little of the work that a kernel does for each tap. So each block of stride x stride pixels becomes one
//! pixel with the channels of all of them (`shaders/space_to_depth.wgsl`). The weight's taps are grouped likewise, with zeros past its
//! end: 7x7 taps of stride 2 on 3 channels become 4x4 taps of stride 1 on 12, which any forward kernel computes. Per axis, with
//! stride s, padding p and kernel size R: block i begins at row i*s - p, and output row p meets blocks p .. p + ceil(R / s).
//! Ying et al. 2018, "Image Classification at Supercomputer Scale", do the same on TPUs.
//!
//! A NaN or an infinity also reaches outputs that meet its block but not its pixel, because zero times either is NaN.

use super::direct::Direct;
use super::epilogue::Ending;
use super::packing::Packing;
use super::pass::Direction;
use super::spec::Conv2d;
use crate::error::Result;
use crate::gpu::{Recording, TensorId};
use crate::ops::Precision;
use crate::ops::attributes::Conv2dAttributes;
use crate::ops::conv2d_variant::Conv2dVariant;
use crate::ops::feature_map::{FeatureMap, MapShape};
use crate::ops::space_to_depth::space_to_depth;

const OP: &str = "space_to_depth";
/// With more channels, a kernel's vectors are full already.
const MOST_CHANNELS: usize = 4;
/// Longer strides would give blocks of too many pixels.
const MOST_STRIDE: usize = 4;

/// A convolution over blocks of its input, computed by the kernel `variant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpaceToDepth {
    conv: Conv2d,
    pub(super) variant: Conv2dVariant,
}

impl SpaceToDepth {
    /// `conv` by `variant`.
    ///
    /// # Errors
    /// The reason in words if it has no stride, too many channels, dilation or groups.
    pub fn new(conv: Conv2d, variant: Conv2dVariant) -> Result<Self, String> {
        let Conv2dAttributes { stride, dilation, groups, .. } = conv.attributes;
        if conv.in_channels > MOST_CHANNELS || dilation != [1, 1] || groups != 1 {
            return Err(format!("{OP} is for up to {MOST_CHANNELS} channels, without dilation and groups"));
        }
        let fits = |axis: usize| stride[axis] <= MOST_STRIDE.min(conv.kernel[axis]);
        if stride == [1, 1] || !fits(0) || !fits(1) {
            return Err(format!("{OP} is for strides of 2 to {MOST_STRIDE} and no longer than the kernel"));
        }
        Ok(Self { conv, variant })
    }

    /// The convolution over blocks.
    pub(in crate::ops) fn inner(&self) -> Conv2d {
        inner(&self.conv)
    }
}

/// `conv` over blocks of its input.
fn inner(conv: &Conv2d) -> Conv2d {
    let Conv2d { attributes, in_channels, out_channels, kernel } = conv;
    let [rows, columns] = attributes.stride;
    Conv2d {
        attributes: Conv2dAttributes::default(),
        in_channels: rows * columns * in_channels,
        out_channels: *out_channels,
        kernel: [kernel[0].div_ceil(rows), kernel[1].div_ceil(columns)],
    }
}

/// The weight of a convolution over blocks of its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpaceToDepthWeight {
    pub conv: Conv2d,
    pub packing: Packing,
}

impl SpaceToDepthWeight {
    /// Packs an OIHW weight.
    pub fn pack(&self, weight: &[f32]) -> Vec<f32> {
        let (inner, [rows, columns]) = (inner(&self.conv), self.conv.attributes.stride);
        let ([_, inputs, r, s], [_, channels, height, width]) = (self.conv.weight_shape(), inner.weight_shape());
        let mut blocks = vec![0.0; inner.weight_shape().iter().product()];
        for (i, &value) in weight.iter().enumerate() {
            let (column, row, c, k) = (i % s, i / s % r, i / (s * r) % inputs, i / (s * r * inputs));
            let channel = (row % rows * columns + column % columns) * inputs + c;
            blocks[((k * channels + channel) * height + row / rows) * width + column / columns] = value;
        }
        self.packing.pack(&inner, Direction::Forward, &blocks)
    }

    /// Appends the packing of a KRSC weight as `precision`. Its layout is that of a map of K images.
    pub fn record(&self, r: &mut Recording, label: &str, weight: TensorId, precision: Precision) -> Result<TensorId> {
        let inner = inner(&self.conv);
        let weight = self.conv.krsc_shape()?.at(weight);
        let blocks = space_to_depth(r, label, weight, self.conv.attributes.stride, [0, 0], inner.kernel)?;
        self.packing.record(&inner, Direction::Forward, r, label, blocks.tensor, precision)
    }
}

/// The forward pass over blocks.
#[derive(Debug, Clone)]
pub(super) struct SpaceToDepthPass {
    attributes: Conv2dAttributes,
    /// Rows and columns of blocks.
    size: [usize; 2],
    product: Direct,
}

impl SpaceToDepthPass {
    /// The pass from `source` to `output`, whose shapes belong to the convolution.
    pub fn new(by: SpaceToDepth, [source, output]: [MapShape; 2]) -> Result<Self> {
        let inner = by.inner();
        let size = [output.h + inner.kernel[0] - 1, output.w + inner.kernel[1] - 1];
        let blocks = MapShape::new([source.n, inner.in_channels, size[0], size[1]])?.stored(source.precision);
        let product = Direct::new(&inner, by.variant, Direction::Forward, [blocks, output])?;
        Ok(Self { attributes: by.conv.attributes, size, product })
    }

    /// Appends the pass over `source`.
    pub fn record(
        &self,
        r: &mut Recording,
        label: &str,
        source: FeatureMap,
        weight: TensorId,
        ending: Ending,
    ) -> Result<FeatureMap> {
        let Conv2dAttributes { stride, padding, .. } = self.attributes;
        let blocks = space_to_depth(r, label, source, stride, padding, self.size)?;
        self.product.record(r, label, blocks.tensor, weight, ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stem(kernel: usize, stride: usize, padding: usize) -> Conv2d {
        let attributes = Conv2dAttributes { stride: [stride; 2], padding: [padding; 2], ..Default::default() };
        Conv2d { attributes, in_channels: 3, out_channels: 64, kernel: [kernel; 2] }
    }

    #[test]
    fn a_stem_of_7x7_becomes_4x4_on_twelve_channels() {
        let stem = stem(7, 2, 3);
        let inner = SpaceToDepth::new(stem, Conv2dVariant::Register).expect("a stem").inner();
        assert_eq!(inner.weight_shape(), [64, 12, 4, 4]);
        let blocks = [1, 12, 115, 115];
        assert_eq!(stem.output_shape([1, 3, 224, 224]).ok(), inner.output_shape(blocks).ok());
    }

    #[test]
    fn others_are_refused() {
        let refused = |conv| SpaceToDepth::new(conv, Conv2dVariant::Register).is_err();
        assert!(refused(stem(3, 1, 1)) && refused(stem(1, 2, 0)) && refused(stem(7, 5, 3)));
        assert!(refused(Conv2d { in_channels: 5, ..stem(7, 2, 3) }));
    }
}
