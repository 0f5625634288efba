//! The uniform blocks of the kernels that compute convolutions directly.

use super::blocks::Blocks;
use super::epilogue::Ending;
use super::geometry::Geometry;
use super::packing::Packing;
use crate::error::Result;
use crate::gpu::shaders::uniforms::conv2d as block;
use crate::ops::feature_map::u32_of;

/// The uniform block of one pass.
pub(super) enum Uniforms {
    Whole(block::Conv2d),
    /// Of the convolution that makes blocks of pixels.
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

fn size(value: usize) -> Result<u32> {
    u32_of("conv2d", "an attribute", value)
}

fn pair([a, b]: [usize; 2]) -> Result<[u32; 2]> {
    Ok([size(a)?, size(b)?])
}

fn whole(geometry: &Geometry, ending: &Ending) -> Result<block::Conv2d> {
    let Geometry { conv, source, output, parts, tiles, .. } = geometry;
    let attributes = &conv.attributes;
    let groups = attributes.groups;
    Ok(block::Conv2d {
        source_height: size(source.h)?,
        source_width: size(source.w)?,
        source_pitch4: size(source.pitch4)?,
        group_source_channels: size(source.c / groups)?,
        height: size(output.h)?,
        width: size(output.w)?,
        pitch4: size(output.pitch4)?,
        group_channels4: size(output.c4 / groups)?,
        images: size(output.n)?,
        pixel_tiles: size(tiles.pixels)?,
        channel_tiles: size(tiles.channels)?,
        groups: size(groups)?,
        kernel: pair(conv.kernel)?,
        stride: pair(attributes.stride)?,
        padding: pair(attributes.padding)?,
        dilation: pair(attributes.dilation)?,
        biased: ending.bias.is_some().into(),
        relu: (ending.relu || ending.rectified.is_some()).into(),
        residual: ending.residual.is_some().into(),
        workgroup_tiles: size(tiles.in_sequence)?,
        parts: size(parts.count)?,
        part_steps4: size(parts.steps4)?,
        end: [0; 2],
    })
}

/// The block of the kernels that make blocks: `conv`, as the convolution of blocks has it, and what finds a block's pixels.
fn with_blocks(geometry: &Geometry, conv: block::Conv2d, blocks: &Blocks) -> Result<block::Conv2dBlocks> {
    let Geometry { conv: own, variant, direction, output, .. } = geometry;
    let Blocks { block: [h, w], taps, reach, step } = *blocks;
    let packing = Packing::new(own, *variant, *direction);
    Ok(block::Conv2dBlocks {
        source_height: conv.source_height,
        source_width: conv.source_width,
        source_pitch4: conv.source_pitch4,
        group_source_channels: conv.group_source_channels,
        height: size(output.h.div_ceil(h))?,
        width: size(output.w.div_ceil(w))?,
        pitch4: conv.pitch4,
        // A block's pixels are found by its corner and not by a pitch.
        group_channels4: size(blocks.pixels())?,
        images: conv.images,
        pixel_tiles: conv.pixel_tiles,
        channel_tiles: conv.channel_tiles,
        groups: conv.groups,
        kernel: pair(taps)?,
        stride: pair(step)?,
        padding: pair(reach)?,
        dilation: conv.dilation,
        biased: conv.biased,
        relu: conv.relu,
        residual: conv.residual,
        workgroup_tiles: conv.workgroup_tiles,
        parts: conv.parts,
        part_steps4: conv.part_steps4,
        block: pair(blocks.block)?,
        map: pair([output.h, output.w])?,
        own_kernel: pair(own.kernel)?,
        own_stride: pair(own.attributes.stride)?,
        own_padding: pair(own.attributes.padding)?,
        weight_rows: size(packing.rows)?,
        weight_side4: size(packing.side / 4)?,
        end: [0; 2],
    })
}
