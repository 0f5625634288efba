//! The order in which kernels read weights, and the packing of a weight on the host.

use super::pass::Direction;
use super::spec::Conv2d;
use crate::ops::conv2d_variant::Conv2dVariant;

/// The order of a packed weight: `[group][tile][tap][row][column within the tile]`. Rows are the source channels, which are
/// summed over; columns are the destination channels. Kernels with equal orders read the same packed weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Packing {
    pub groups: usize,
    pub tiles: usize,
    pub taps: usize,
    pub rows: usize,
    pub side: usize,
}

impl Packing {
    /// The order in which `variant` reads the weight of `conv`.
    pub fn new(conv: &Conv2d, variant: Conv2dVariant, direction: Direction) -> Self {
        let groups = conv.attributes.groups;
        let [out_channels, group_in, height, width] = conv.weight_shape();
        let blocks = conv.blocks().filter(|_| direction == Direction::Transposed);
        let (rows, columns, taps) = match (direction, &blocks) {
            (Direction::Forward, _) => (group_in, out_channels / groups, height * width),
            (Direction::Transposed, None) => (out_channels / groups, group_in, height * width),
            (Direction::Transposed, Some(blocks)) => (out_channels, blocks.values(), blocks.taps.iter().product()),
        };
        let variant = if blocks.is_some() { variant.for_blocks() } else { variant };
        let (_, side) = variant.tile();
        let padded = columns.next_multiple_of(side);
        let rows = match variant {
            Conv2dVariant::SUBGROUP => rows,
            Conv2dVariant::SUBGROUP_WIDE => rows.next_multiple_of(2),
            _ => rows.next_multiple_of(4),
        };
        // The gemm kernels read whole rows of all tiles, matrix units the rows of one column.
        let (tiles, side) = match variant {
            _ if variant.is_cooperative() => (padded, 1),
            _ if variant.is_gemm() => (1, padded),
            _ => (padded / side, side),
        };
        Self { groups, tiles, taps, rows, side }
    }

    /// Extents, outermost first.
    pub fn extents(&self) -> [usize; 5] {
        [self.groups, self.tiles, self.taps, self.rows, self.side]
    }

    pub fn elements(&self) -> usize {
        self.extents().iter().product()
    }

    pub fn index(&self, group: usize, tap: usize, row: usize, column: usize) -> usize {
        let tile = group * self.tiles + column / self.side;
        ((tile * self.taps + tap) * self.rows + row) * self.side + column % self.side
    }

    /// Packs the OIHW weight of `conv`, with zeros where tiles pass the last channel. Transposed, input and output channels are
    /// swapped.
    pub fn pack(&self, conv: &Conv2d, direction: Direction, weight: &[f32]) -> Vec<f32> {
        if direction == Direction::Transposed && conv.blocks().is_some() {
            return self.pack_blocks(conv, weight);
        }
        let [out_channels, group_in, height, width] = conv.weight_shape();
        let (group_out, taps) = (out_channels / conv.attributes.groups, height * width);
        let mut out = vec![0.0; self.elements()];
        for channel in 0..out_channels {
            let (group, k) = (channel / group_out, channel % group_out);
            for c in 0..group_in {
                for tap in 0..taps {
                    let (row, column) = if direction == Direction::Forward { (c, k) } else { (k, c) };
                    out[self.index(group, tap, row, column)] = weight[(channel * group_in + c) * taps + tap];
                }
            }
        }
        out
    }

    /// The same for a convolution of blocks: each pixel of a block has only the taps that it meets.
    fn pack_blocks(&self, conv: &Conv2d, weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.elements()];
        let Some(blocks) = conv.blocks() else { return out };
        let [_, group_in, height, width] = conv.weight_shape();
        let taps = height * width;
        let columns = blocks.block[1];
        for pixel in 0..blocks.pixels() {
            for (i, &value) in weight.iter().enumerate() {
                let (k, c, r, s) = (i / (group_in * taps), i / taps % group_in, i % taps / width, i % width);
                if let Some(tap) = conv.block_tap(&blocks, [pixel / columns, pixel % columns], [r, s]) {
                    out[self.index(0, tap, k, pixel * 4 + c)] = value;
                }
            }
        }
        out
    }
}
