//! The orders in which kernels read weights, packed on the host.

use super::conv2d::Conv2d;
use super::conv2d_variant::Conv2dVariant;

/// Which way a kernel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    /// From grad_output to grad_input.
    Transposed,
}

/// The order of a packed weight: `[group][tile][tap][row][column within the tile]`, where rows are the channels that are
/// summed over and columns those that are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packing {
    pub groups: usize,
    pub tiles: usize,
    pub taps: usize,
    pub rows: usize,
    pub side: usize,
}

impl Packing {
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
}

impl Conv2d {
    /// Packs a weight from OIHW to the order that `variant` reads, with zeros where tiles pass the last channel.
    pub fn pack_weight(&self, variant: Conv2dVariant, weight: &[f32]) -> Vec<f32> {
        self.pack(variant, weight, Direction::Forward)
    }

    /// The same for [`Self::record_backward_input`], where input and output channels change places.
    pub fn pack_weight_transposed(&self, variant: Conv2dVariant, weight: &[f32]) -> Vec<f32> {
        self.pack(variant, weight, Direction::Transposed)
    }

    fn pack(&self, variant: Conv2dVariant, weight: &[f32], direction: Direction) -> Vec<f32> {
        let layout = self.packing(variant, direction);
        let [out_channels, group_in, height, width] = self.weight_shape();
        let (group_out, taps) = (out_channels / self.attributes.groups, height * width);
        let mut out = vec![0.0; layout.elements()];
        if direction == Direction::Transposed
            && let Some(blocks) = self.blocks()
        {
            let [rows, columns] = blocks.block;
            for pixel in 0..rows * columns {
                for (i, &value) in weight.iter().enumerate() {
                    let (k, c, r, s) = (i / (group_in * taps), i / taps % group_in, i % taps / width, i % width);
                    if let Some(tap) = self.block_tap(&blocks, [pixel / columns, pixel % columns], [r, s]) {
                        out[layout.index(0, tap, k, pixel * 4 + c)] = value;
                    }
                }
            }
            return out;
        }
        for channel in 0..out_channels {
            let (group, k) = (channel / group_out, channel % group_out);
            for c in 0..group_in {
                for tap in 0..taps {
                    let (row, column) = if direction == Direction::Forward { (c, k) } else { (k, c) };
                    let to = layout.index(group, tap, row, column);
                    out[to] = weight[(channel * group_in + c) * taps + tap];
                }
            }
        }
        out
    }

    /// Whether the kernel of this direction makes blocks of pixels.
    pub(super) fn in_blocks(&self, direction: Direction) -> bool {
        direction == Direction::Transposed && self.blocks().is_some()
    }

    pub(super) fn packing(&self, variant: Conv2dVariant, direction: Direction) -> Packing {
        let groups = self.attributes.groups;
        let [out_channels, group_in, height, width] = self.weight_shape();
        let (rows, columns, taps) = match (direction, self.blocks()) {
            (Direction::Forward, _) => (group_in, out_channels / groups, height * width),
            (Direction::Transposed, None) => (out_channels / groups, group_in, height * width),
            (Direction::Transposed, Some(blocks)) => {
                (out_channels, blocks.block.iter().product::<usize>() * 4, blocks.taps.iter().product())
            }
        };
        let variant = if self.in_blocks(direction) { variant.for_blocks() } else { variant };
        let (_, side) = variant.tile();
        let padded = columns.next_multiple_of(side);
        Packing {
            groups,
            taps,
            rows: match variant {
                Conv2dVariant::SUBGROUP => rows,
                Conv2dVariant::SUBGROUP_WIDE => rows.next_multiple_of(2),
                _ => rows.next_multiple_of(4),
            },
            // The gemm kernels step through whole rows of all tiles, matrix units through the rows of a column.
            tiles: if variant.is_cooperative() {
                padded
            } else if variant.is_gemm() {
                1
            } else {
                padded / side
            },
            side: if variant.is_cooperative() {
                1
            } else if variant.is_gemm() {
                padded
            } else {
                side
            },
        }
    }

    /// Extents whose product is the length of [`Self::pack_weight`], so that it can be checked before it is allocated.
    pub fn packed_weight_shape(&self, variant: Conv2dVariant) -> [usize; 5] {
        self.packing(variant, Direction::Forward).extents()
    }

    /// The same for [`Self::pack_weight_transposed`].
    pub fn packed_weight_transposed_shape(&self, variant: Conv2dVariant) -> [usize; 5] {
        self.packing(variant, Direction::Transposed).extents()
    }
}
