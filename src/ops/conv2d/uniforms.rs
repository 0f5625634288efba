//! The uniform blocks of the kernels that compute convolutions directly.

use super::blocks::Blocks;
use super::epilogue::Ending;
use super::geometry::Geometry;
use super::packing::Packing;
use crate::error::Result;
use crate::gpu::shaders::uniforms::conv2d as block;
use crate::ops::feature_map::U32s;

/// The uniform block of one pass.
pub(super) enum Uniforms {
    Whole(block::Conv2d),
    /// For blocks of pixels.
    Blocks(block::Conv2dBlocks),
}

impl Uniforms {
    pub fn new(geometry: &Geometry, ending: &Ending) -> Result<Self> {
        let conv = whole(geometry, ending)?;
        Ok(match &geometry.blocks {
            None => Self::Whole(conv),
            Some(blocks) => Self::Blocks(with_blocks(geometry, conv, blocks)?),
        })
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(conv) => bytemuck::bytes_of(conv),
            Self::Blocks(blocks) => bytemuck::bytes_of(blocks),
        }
    }
}

const SIZES: U32s = U32s { op: "conv2d", what: "an attribute" };

fn whole(geometry: &Geometry, ending: &Ending) -> Result<block::Conv2d> {
    let Geometry { conv, source, output, parts, tiles, .. } = geometry;
    let attributes = &conv.attributes;
    let groups = attributes.groups;
    Ok(block::Conv2d {
        source_height: SIZES.of(source.h)?,
        source_width: SIZES.of(source.w)?,
        source_pitch4: SIZES.of(source.pitch4)?,
        group_source_channels: SIZES.of(source.c / groups)?,
        height: SIZES.of(output.h)?,
        width: SIZES.of(output.w)?,
        pitch4: SIZES.of(output.pitch4)?,
        group_channels4: SIZES.of(output.c4 / groups)?,
        images: SIZES.of(output.n)?,
        pixel_tiles: SIZES.of(tiles.pixels)?,
        channel_tiles: SIZES.of(tiles.channels)?,
        groups: SIZES.of(groups)?,
        kernel: SIZES.pair(conv.kernel)?,
        stride: SIZES.pair(attributes.stride)?,
        padding: SIZES.pair(attributes.padding)?,
        dilation: SIZES.pair(attributes.dilation)?,
        biased: ending.bias.is_some().into(),
        relu: (ending.relu || ending.rectified.is_some()).into(),
        residual: ending.residual.is_some().into(),
        workgroup_tiles: SIZES.of(tiles.in_sequence)?,
        parts: SIZES.of(parts.count)?,
        part_steps4: SIZES.of(parts.steps4)?,
        end: [0; 2],
    })
}

/// The uniform block of kernels for blocks of pixels: `conv` adapted to the convolution of blocks, and the geometry of a block.
fn with_blocks(geometry: &Geometry, conv: block::Conv2d, blocks: &Blocks) -> Result<block::Conv2dBlocks> {
    let Geometry { conv: own, variant, direction, output, .. } = geometry;
    let Blocks { block: [h, w], taps, reach, step } = *blocks;
    let packing = Packing::new(own, *variant, *direction);
    Ok(block::Conv2dBlocks {
        source_height: conv.source_height,
        source_width: conv.source_width,
        source_pitch4: conv.source_pitch4,
        group_source_channels: conv.group_source_channels,
        height: SIZES.of(output.h.div_ceil(h))?,
        width: SIZES.of(output.w.div_ceil(w))?,
        pitch4: conv.pitch4,
        // A block's pixels are found from its corner, not by a pitch.
        group_channels4: SIZES.of(blocks.pixels())?,
        images: conv.images,
        pixel_tiles: conv.pixel_tiles,
        channel_tiles: conv.channel_tiles,
        groups: conv.groups,
        kernel: SIZES.pair(taps)?,
        stride: SIZES.pair(step)?,
        padding: SIZES.pair(reach)?,
        dilation: conv.dilation,
        biased: conv.biased,
        relu: conv.relu,
        residual: conv.residual,
        workgroup_tiles: conv.workgroup_tiles,
        parts: conv.parts,
        part_steps4: conv.part_steps4,
        block: SIZES.pair(blocks.block)?,
        map: SIZES.pair([output.h, output.w])?,
        own_kernel: SIZES.pair(own.kernel)?,
        own_stride: SIZES.pair(own.attributes.stride)?,
        own_padding: SIZES.pair(own.attributes.padding)?,
        weight_rows: SIZES.of(packing.rows)?,
        weight_side4: SIZES.of(packing.side / 4)?,
        end: [0; 2],
    })
}
