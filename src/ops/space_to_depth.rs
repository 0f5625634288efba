//! A convolution with a stride on few channels (a stem) as one without a stride on more channels.
//!
//! A stem's three channels fill little of what a kernel does for each tap. So blocks of stride x stride pixels count as one
//! pixel with the channels of all of them (`shaders/space_to_depth.wgsl`), and so do those of the weight, with zeros past its
//! end: 7x7 taps of stride 2 on 3 channels become 4x4 taps of stride 1 on 12, which any forward kernel takes. Per axis, with a
//! stride s, padding p and a kernel of R: block i begins at row i*s - p, and output row p meets blocks p .. p + ceil(R / s).
//! (MLPerf's submissions for TPUs, Ying et al. 2018, "Image Classification at Supercomputer Scale", do the same.)
//!
//! A NaN or an infinity also reaches the outputs that meet its block and not its pixel, where a zero weight makes a NaN of it.

use super::attributes::Conv2dAttributes;
use super::conv2d::Conv2d;
use super::conv2d_epilogue::Epilogue;
use super::conv2d_variant::Conv2dVariant;
use super::feature_map::{FeatureMap, MapShape, RecordMaps, u32_of};
use super::{Precision, dispatch_items};
use crate::error::{Error, Result};
use crate::gpu::shaders::files::space_to_depth;
use crate::gpu::shaders::uniforms::space_to_depth as uniforms;
use crate::gpu::{Cost, Recording, TensorId};

const OP: &str = "space_to_depth";
/// More channels fill a kernel's vectors by themselves.
const MOST_CHANNELS: usize = 4;
/// Longer strides would make blocks of too many pixels.
const MOST_STRIDE: usize = 4;

/// Blocks of pixels as channels: `[N, C, H, W]` to `[N, stride * stride * C, size]`, the blocks beginning `padding` before the
/// map, which is zero outside of itself.
///
/// # Errors
/// A stride of 0, a grouped map, and sizes that a shader can't index.
pub fn space_to_depth(
    r: &mut Recording,
    label: &str,
    input: FeatureMap,
    stride: [usize; 2],
    padding: [usize; 2],
    size: [usize; 2],
) -> Result<FeatureMap> {
    if stride.contains(&0) || size.contains(&0) || input.c4 != input.c.div_ceil(4) {
        let problem =
            format!("{label}: a stride of 0, no blocks, or channels in groups; give whole blocks of one group");
        return Err(Error::shape(OP, problem));
    }
    let of = |value| u32_of(OP, "a map", value);
    let channels = stride[0].saturating_mul(stride[1]).saturating_mul(input.c);
    of(channels)?;
    let output = MapShape::new([input.n, channels, size[0], size[1]])?.stored(input.precision);
    // The distances to values must fit in 32 bits too.
    for axis in 0..2 {
        of(size[axis].saturating_mul(stride[axis]).saturating_add(padding[axis]).saturating_mul(2))?;
    }
    let output = r.map(label, output);
    let params = uniforms::SpaceToDepth {
        in_height: of(input.h)?,
        in_width: of(input.w)?,
        in_pitch: of(input.pitch4 * 4)?,
        in_channels: of(input.c)?,
        out_height: of(output.h)?,
        out_width: of(output.w)?,
        out_pitch: of(output.pitch4 * 4)?,
        blocks: of(output.pixels())?,
        stride: [of(stride[0])?, of(stride[1])?],
        padding: [of(padding[0])?, of(padding[1])?],
    };
    let cost = Cost { flops: 0.0, bytes: (input.bytes() + output.bytes()) as f64 };
    let (kernel, tensors) = (input.precision.kernel(space_to_depth::FILE)?, [input.tensor, output.tensor]);
    dispatch_items(r, label, kernel, &tensors, bytemuck::bytes_of(&params), output.pixels(), cost)?;
    Ok(output)
}

/// A convolution over blocks of its input; `variant` is the kernel that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpaceToDepth {
    conv: Conv2d,
    variant: Conv2dVariant,
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
    pub(super) fn inner(&self) -> Conv2d {
        let Conv2d { attributes, in_channels, out_channels, kernel } = self.conv;
        let [rows, columns] = attributes.stride;
        Conv2d {
            attributes: Conv2dAttributes::default(),
            in_channels: rows * columns * in_channels,
            out_channels,
            kernel: [kernel[0].div_ceil(rows), kernel[1].div_ceil(columns)],
        }
    }

    /// Packs an OIHW weight for [`Self::record`].
    pub fn pack_weight(&self, weight: &[f32]) -> Vec<f32> {
        let (inner, [rows, columns]) = (self.inner(), self.conv.attributes.stride);
        let ([_, inputs, r, s], [_, channels, height, width]) = (self.conv.weight_shape(), inner.weight_shape());
        let mut blocks = vec![0.0; inner.weight_shape().iter().product()];
        for (i, &value) in weight.iter().enumerate() {
            let (column, row, c, k) = (i % s, i / s % r, i / (s * r) % inputs, i / (s * r * inputs));
            let channel = (row % rows * columns + column % columns) * inputs + c;
            blocks[((k * channels + channel) * height + row / rows) * width + column / columns] = value;
        }
        inner.pack_weight(self.variant, &blocks)
    }

    /// Extents whose product is the length of [`Self::pack_weight`].
    pub fn packed_weight_shape(&self) -> [usize; 5] {
        self.inner().packed_weight_shape(self.variant)
    }

    /// Appends the packing of a KRSC weight for [`Self::record`] over maps of `precision`: it lies as a map of K images does.
    pub fn record_pack(
        &self,
        r: &mut Recording,
        label: &str,
        weight: TensorId,
        precision: Precision,
    ) -> Result<TensorId> {
        let ([k, c, height, width], inner) = (self.conv.weight_shape(), self.inner());
        let weight = MapShape::new([k, c, height, width])?.at(weight);
        let blocks = space_to_depth(r, label, weight, self.conv.attributes.stride, [0, 0], inner.kernel)?;
        inner.record_pack(r, label, self.variant, blocks.tensor, precision)
    }

    /// Appends `relu(conv(input) + bias + residual)`, as [`Conv2d::record`].
    pub fn record(
        &self,
        r: &mut Recording,
        label: &str,
        input: FeatureMap,
        weight: TensorId,
        epilogue: Epilogue,
    ) -> Result<FeatureMap> {
        let [_, _, rows, columns] = self.conv.output_shape([input.n, input.c, input.h, input.w])?;
        let inner = self.inner();
        let size = [rows + inner.kernel[0] - 1, columns + inner.kernel[1] - 1];
        let Conv2dAttributes { stride, padding, .. } = self.conv.attributes;
        let blocks = space_to_depth(r, label, input, stride, padding, size)?;
        inner.record(r, label, self.variant, blocks, weight, epilogue)
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
