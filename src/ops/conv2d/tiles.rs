//! How a kernel's tiles cover the output of a convolution.

use std::sync::LazyLock;

use super::blocks::Blocks;
use super::pass::Direction;
use super::spec::Conv2d;
use crate::ops::conv2d_variant::Conv2dVariant;
use crate::ops::feature_map::MapShape;

/// Workgroups of a dispatch that each core should get at least.
const WORKGROUPS_A_CORE: usize = 32;
/// The most channel tiles of one workgroup. More gain nothing (lavapipe 25.0.7, 2026-11-27).
const MOST_TILES_IN_SEQUENCE: usize = 8;

/// The tiles of one group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles {
    pub pixels: usize,
    pub channels: usize,
    /// Channel tiles that one workgroup computes in sequence.
    pub in_sequence: usize,
}

impl Tiles {
    pub fn new(
        conv: &Conv2d,
        variant: Conv2dVariant,
        direction: Direction,
        output: &MapShape,
        blocks: Option<&Blocks>,
    ) -> Self {
        let (tile_pixels, tile_channels) = variant.tile();
        let stride = conv.attributes.stride;
        // Transposed, the pixels of each of the stride x stride phases are tiled separately. A phase that starts past the map's
        // end has none.
        let (phases, phase_pixels) = match (direction, blocks) {
            (Direction::Forward, _) => (1, output.pixels()),
            (_, Some(Blocks { block: [h, w], .. })) => (1, output.n * output.h.div_ceil(*h) * output.w.div_ceil(*w)),
            (Direction::Transposed, None) => (
                stride[0].min(output.h) * stride[1].min(output.w),
                output.n * output.h.div_ceil(stride[0]) * output.w.div_ceil(stride[1]),
            ),
        };
        let groups = conv.attributes.groups;
        let pixels = phases * phase_pixels.div_ceil(tile_pixels);
        let made = blocks.map_or(output.c / groups, Blocks::values);
        let channels = made.div_ceil(tile_channels);
        let in_sequence = in_sequence(variant, channels, pixels * groups);
        Self { pixels, channels, in_sequence }
    }
}

/// The number of channel tiles, out of `channels`, that one workgroup computes in sequence; `others` is the number of workgroups per
/// channel tile. Amortises the set-up of the kernels for software drivers while every core keeps enough workgroups. Never affects results.
fn in_sequence(variant: Conv2dVariant, channels: usize, others: usize) -> usize {
    if variant != Conv2dVariant::SUBGROUP && !variant.is_wide() {
        return 1;
    }
    let most = (channels * others / (cores() * WORKGROUPS_A_CORE)).clamp(1, MOST_TILES_IN_SEQUENCE);
    channels.div_ceil(channels.div_ceil(most).max(1)).max(1)
}

/// Cores of the processor, among which a software driver divides a dispatch.
fn cores() -> usize {
    /// Computed once, because the answer comes from files.
    static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
    *CORES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_in_sequence_leave_none_out_and_cores_enough() {
        for channels in [1, 2, 3, 7, 8, 9, 64] {
            for others in [1, 40, cores() * WORKGROUPS_A_CORE, 100_000] {
                let turns = in_sequence(Conv2dVariant::SUBGROUP_OCT, channels, others);
                let most = MOST_TILES_IN_SEQUENCE.min(channels);
                assert!((1..=most).contains(&turns), "{channels} x {others}: {turns}");
                let workgroups = channels.div_ceil(turns) * others;
                assert!(turns == 1 || workgroups >= cores() * WORKGROUPS_A_CORE, "{channels} x {others}: {turns}");
            }
        }
        assert_eq!(in_sequence(Conv2dVariant::SUBGROUP, 8, 100_000), 8);
        assert_eq!(in_sequence(Conv2dVariant::GEMM, 8, 100_000), 1);
    }
}
