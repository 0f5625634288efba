//! A convolution whose reduction is cut into parts: the tiled kernels store the sums of each part, and a second kernel adds them in
//! order and does the rest (`shaders/conv2d_sum_parts.wgsl`).
//!
//! Small maps make few tiles, which leave most cores of a large GPU idle; every part makes as many again. The number of parts changes the order in
//! which products are added and so the last bits of a result. It therefore belongs to a layer and its map, never to a batch.

use super::conv2d::Conv2d;
use super::conv2d_packing::Direction;
use super::conv2d_variant::Conv2dVariant;
use super::dispatch_items;
use super::feature_map::FeatureMap;
use crate::error::Result;
use crate::gpu::shaders::files::conv2d_sum_parts;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

/// The most parts of a reduction: more would mostly move partial sums.
pub const MOST_PARTS: usize = 16;

/// A kernel, and the number of parts that it cuts the reduction into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2dKernel {
    pub variant: Conv2dVariant,
    /// 1: the kernel adds everything itself.
    pub parts: usize,
}

impl From<Conv2dVariant> for Conv2dKernel {
    fn from(variant: Conv2dVariant) -> Self {
        Self { variant, parts: 1 }
    }
}

/// Parts of a reduction as a kernel takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub count: usize,
    /// vec4 steps of each, the last may have fewer.
    pub steps4: usize,
}

impl Conv2d {
    /// vec4 steps of the reduction of one output: of the phase with the most taps.
    pub(super) fn steps4(&self, direction: Direction) -> usize {
        let [out_channels, group_in, ..] = self.weight_shape();
        let taps = |axis: usize| {
            let (stride, dilation) = (self.attributes.stride[axis], self.attributes.dilation[axis]);
            // Taps that meet the same rows or columns are so far apart.
            let step = if direction == Direction::Forward { 1 } else { stride / gcd(stride, dilation) };
            self.kernel[axis].div_ceil(step.max(1))
        };
        let channels = match direction {
            Direction::Forward => group_in,
            Direction::Transposed => out_channels / self.attributes.groups.max(1),
        };
        taps(0) * taps(1) * channels.div_ceil(4)
    }

    /// The reduction in about `parts` parts: whole tiles of 16 steps each, and no part without any.
    pub(super) fn parts(&self, direction: Direction, parts: usize) -> Parts {
        let all = self.steps4(direction);
        let steps4 = all.div_ceil(parts.max(1)).next_multiple_of(4).max(4);
        Parts { count: all.div_ceil(steps4).max(1), steps4 }
    }

    /// Appends the sum of `parts` of `output` and the kernel's end; `tensors` are the partial sums, what stands in the bias's place,
    /// the residual and the output, `params` those of the kernel that made the parts.
    pub(super) fn record_sum_parts(
        recording: &mut Recording,
        label: &str,
        direction: Direction,
        output: FeatureMap,
        parts: usize,
        tensors: [TensorId; 4],
        params: &[u8],
    ) -> Result<()> {
        let kernel = KernelSpec::new(conv2d_sum_parts::FILE);
        let kernel = output.precision.kernel(match direction {
            Direction::Forward => kernel,
            Direction::Transposed => kernel.with(conv2d_sum_parts::TRANSPOSED),
        })?;
        let bytes = parts as u64 * output.len4() as u64 * 16 + output.bytes();
        let cost = Cost { flops: (parts * output.len4() * 4) as f64, bytes: bytes as f64 };
        dispatch_items(recording, label, kernel, &tensors, params, output.pixels() * output.c4, cost)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::attributes::Conv2dAttributes;

    fn conv(channels: usize, kernel: usize, stride: usize, dilation: usize) -> Conv2d {
        let attributes =
            Conv2dAttributes { stride: [stride; 2], dilation: [dilation; 2], padding: [1, 1], ..Default::default() };
        Conv2d { attributes, in_channels: channels, out_channels: 24, kernel: [kernel; 2] }
    }

    #[test]
    fn parts_cover_the_reduction_and_none_is_empty() {
        for channels in [1, 5, 64, 130, 512] {
            for kernel in [1, 3, 7] {
                let conv = conv(channels, kernel, 1, 1);
                let all = channels.div_ceil(4) * kernel * kernel;
                assert_eq!(conv.steps4(Direction::Forward), all);
                for parts in 1..=MOST_PARTS {
                    let Parts { count, steps4 } = conv.parts(Direction::Forward, parts);
                    assert!(steps4.is_multiple_of(4) && count <= parts, "{channels} {kernel} {parts}");
                    assert!(count * steps4 >= all && (count - 1) * steps4 < all, "{channels} {kernel} {parts}");
                }
            }
        }
        assert_eq!(conv(512, 3, 1, 1).parts(Direction::Forward, 4), Parts { count: 4, steps4: 288 });
    }

    #[test]
    fn a_phase_of_a_stride_has_its_own_taps() {
        // Of 3x3 taps with a stride of 2 at most two by two meet a pixel; dilated by 2 all or none do.
        assert_eq!(conv(8, 3, 2, 1).steps4(Direction::Transposed), 2 * 2 * 6);
        assert_eq!(conv(8, 3, 2, 2).steps4(Direction::Transposed), 9 * 6);
        assert_eq!(conv(8, 3, 3, 2).steps4(Direction::Transposed), 6);
    }
}
