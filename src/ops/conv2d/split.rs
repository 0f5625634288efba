//! Split reductions: the tiled kernels store the sums of each part, and a second kernel adds them in order and applies the epilogue
//! (`shaders/conv2d_sum_parts.wgsl`).
//!
//! Small maps give few tiles, which leave most cores of a large GPU idle. Each part adds as many workgroups again. The number of parts changes
//! the order in which products are added, and so the last bits of a result. It therefore depends on a layer and its map, never on the
//! batch.

use super::pass::Direction;
use super::spec::Conv2d;
use crate::ops::conv2d_variant::Conv2dVariant;

/// The most parts of a reduction. More would mostly move partial sums.
pub const MOST_PARTS: usize = 16;

/// A kernel, and the number of parts of its reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Conv2dKernel {
    pub variant: Conv2dVariant,
    /// 1 for a reduction that is not split.
    pub parts: usize,
}

impl From<Conv2dVariant> for Conv2dKernel {
    fn from(variant: Conv2dVariant) -> Self {
        Self { variant, parts: 1 }
    }
}

/// Parts of a reduction as a kernel reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub count: usize,
    /// vec4 steps of each part; the last may have fewer.
    pub steps4: usize,
}

impl Parts {
    /// The reduction of one output of `conv` in about `parts` parts. Each part is a whole number of tiles of 16 steps, and none is empty.
    pub fn new(conv: &Conv2d, direction: Direction, parts: usize) -> Self {
        let all = steps4(conv, direction);
        let steps4 = all.div_ceil(parts.max(1)).next_multiple_of(4).max(4);
        Self { count: all.div_ceil(steps4).max(1), steps4 }
    }
}

/// vec4 steps of the reduction of one output, in the phase with the most taps.
fn steps4(conv: &Conv2d, direction: Direction) -> usize {
    let [out_channels, group_in, ..] = conv.weight_shape();
    let taps = |axis: usize| {
        let (stride, dilation) = (conv.attributes.stride[axis], conv.attributes.dilation[axis]);
        // The distance between taps of one phase.
        let step = if direction == Direction::Forward { 1 } else { stride / gcd(stride, dilation) };
        conv.kernel[axis].div_ceil(step.max(1))
    };
    let channels = match direction {
        Direction::Forward => group_in,
        Direction::Transposed => out_channels / conv.attributes.groups.max(1),
    };
    taps(0) * taps(1) * channels.div_ceil(4)
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
                assert_eq!(steps4(&conv, Direction::Forward), all);
                for parts in 1..=MOST_PARTS {
                    let Parts { count, steps4 } = Parts::new(&conv, Direction::Forward, parts);
                    assert!(steps4.is_multiple_of(4) && count <= parts, "{channels} {kernel} {parts}");
                    assert!(count * steps4 >= all && (count - 1) * steps4 < all, "{channels} {kernel} {parts}");
                }
            }
        }
        assert_eq!(Parts::new(&conv(512, 3, 1, 1), Direction::Forward, 4), Parts { count: 4, steps4: 288 });
    }

    #[test]
    fn a_phase_of_a_stride_has_its_own_taps() {
        // With a stride of 2, at most two by two of 3x3 taps meet a pixel; with a dilation of 2 as well, all or none do.
        assert_eq!(steps4(&conv(8, 3, 2, 1), Direction::Transposed), 2 * 2 * 6);
        assert_eq!(steps4(&conv(8, 3, 2, 2), Direction::Transposed), 9 * 6);
        assert_eq!(steps4(&conv(8, 3, 3, 2), Direction::Transposed), 6);
    }
}
