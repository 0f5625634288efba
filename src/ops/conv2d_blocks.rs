//! The gradient by an input of few channels (a stem's), by the forward kernels.
//!
//! Three channels fill little of a tile that makes 32. So a tile makes blocks of pixels instead: the pixels of a block, with
//! their channels, count as the output channels of one convolution over grad_output, whose kernel reaches everything that any
//! pixel of the block meets. Where a pixel does not meet a tap the weight is zero. Per axis, with stride s, padding p, a kernel
//! of R and a block of B (a multiple of s): pixel a of block i meets row i*B/s + t - reach of grad_output by
//! r = a + p - s*(t - reach), if that is in 0..R.

use super::conv2d::Conv2d;
use super::conv2d_packing::Packing;
use super::feature_map::{FeatureMap, u32_of};
use super::{Precision, dispatch_items};
use crate::error::Result;
use crate::gpu::shaders::files;
use crate::gpu::shaders::uniforms::{conv2d as block, pack_weight_blocks};
use crate::gpu::{Cost, Recording, TensorId};

/// Pixels of a block at least: 8 of 4 padded channels fill a tile of 32.
const LEAST: [usize; 2] = [2, 4];
/// Longer strides would make blocks of too many pixels.
const MOST_STRIDE: usize = 4;

/// The convolution that makes blocks of pixels. Pairs are height, width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocks {
    /// Pixels of a block.
    pub block: [usize; 2],
    /// Its kernel.
    pub taps: [usize; 2],
    /// Its padding.
    pub reach: [usize; 2],
    /// Its stride.
    pub step: [usize; 2],
}

impl Conv2d {
    /// How blocks are made, where the gradient by the input is computed so.
    pub(super) fn blocks(&self) -> Option<Blocks> {
        let a = &self.attributes;
        let fits = a.groups == 1 && self.in_channels <= 4 && a.dilation == [1, 1];
        let axis = |i: usize| {
            let (kernel, stride, padding) = (self.kernel[i], a.stride[i], a.padding[i]);
            if kernel < 3 || stride > MOST_STRIDE || padding >= kernel {
                return None;
            }
            let block = LEAST[i].next_multiple_of(stride);
            let reach = (kernel - 1 - padding) / stride;
            Some([block, (block - 1 + padding) / stride + reach + 1, reach, block / stride])
        };
        let [h, w] = fits.then(|| Some([axis(0)?, axis(1)?])).flatten()?;
        let pair = |i: usize| [h[i], w[i]];
        Some(Blocks { block: pair(0), taps: pair(1), reach: pair(2), step: pair(3) })
    }

    /// Where the weight of tap `rs` lies in a block's kernel for the block's pixel `at`, if they meet.
    pub(super) fn block_tap(&self, blocks: &Blocks, at: [usize; 2], rs: [usize; 2]) -> Option<usize> {
        let axis = |i: usize| {
            let stride = self.attributes.stride[i];
            let distance = (at[i] + self.attributes.padding[i] + blocks.reach[i] * stride).checked_sub(rs[i])?;
            distance.is_multiple_of(stride).then_some(distance / stride)
        };
        Some(axis(0)? * blocks.taps[1] + axis(1)?)
    }

    /// The uniform block of the kernels that make blocks: `conv` is that of the convolution of blocks.
    pub(super) fn with_blocks(
        &self,
        conv: block::Conv2d,
        blocks: &Blocks,
        map: [usize; 2],
        packing: &Packing,
    ) -> Result<block::Conv2dBlocks> {
        let size = |value| u32_of("conv2d_backward", "an attribute", value);
        let pair = |[a, b]: [usize; 2]| -> Result<[u32; 2]> { Ok([size(a)?, size(b)?]) };
        Ok(block::Conv2dBlocks {
            source_height: conv.source_height,
            source_width: conv.source_width,
            source_pitch4: conv.source_pitch4,
            group_source_channels: conv.group_source_channels,
            height: conv.height,
            width: conv.width,
            pitch4: conv.pitch4,
            group_channels4: conv.group_channels4,
            images: conv.images,
            pixel_tiles: conv.pixel_tiles,
            channel_tiles: conv.channel_tiles,
            groups: conv.groups,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
            biased: conv.biased,
            relu: conv.relu,
            residual: conv.residual,
            workgroup_tiles: conv.workgroup_tiles,
            parts: conv.parts,
            part_steps4: conv.part_steps4,
            block: pair(blocks.block)?,
            map: pair(map)?,
            own_kernel: pair(self.kernel)?,
            own_stride: pair(self.attributes.stride)?,
            own_padding: pair(self.attributes.padding)?,
            weight_rows: size(packing.rows)?,
            weight_side4: size(packing.side / 4)?,
            end: [0; 2],
        })
    }

    /// Appends the packing of a KRSC weight for a convolution of blocks.
    pub(super) fn record_pack_blocks(
        &self,
        recording: &mut Recording,
        label: &str,
        blocks: &Blocks,
        packing: &Packing,
        [weight, packed]: [TensorId; 2],
        precision: Precision,
    ) -> Result<()> {
        let size = |value| u32_of("pack_weight", "a weight", value);
        let pair = |[a, b]: [usize; 2]| -> Result<[u32; 2]> { Ok([size(a)?, size(b)?]) };
        let params = pack_weight_blocks::Pack {
            taps: pair(blocks.taps)?,
            block: pair(blocks.block)?,
            kernel: pair(self.kernel)?,
            stride: pair(self.attributes.stride)?,
            padding: pair(self.attributes.padding)?,
            reach: pair(blocks.reach)?,
            tiles: size(packing.tiles)?,
            rows: size(packing.rows)?,
            side4: size(packing.side / 4)?,
            outputs: size(self.out_channels)?,
        };
        let elements = packing.elements();
        let cost = Cost { flops: 0.0, bytes: (elements * 4) as f64 + recording.bytes(packed) as f64 };
        let kernel = precision.kernel(files::pack_weight_blocks::FILE)?;
        dispatch_items(recording, label, kernel, &[weight, packed], bytemuck::bytes_of(&params), elements / 4, cost)
    }

    /// Appends the second look at pixels that came out as NaN; `params` are those of the kernel that made them.
    pub(super) fn record_repair(
        recording: &mut Recording,
        label: &str,
        source: FeatureMap,
        weight: TensorId,
        residual: Option<FeatureMap>,
        output: FeatureMap,
        params: Vec<u8>,
    ) -> Result<()> {
        let kernel = source.precision.kernel(files::conv2d_backward_input_blocks_repair::FILE)?;
        // Where there is no residual, the weight stands in and is never read as such.
        let residual = residual.map_or(weight, |map| map.tensor);
        let tensors = [source.tensor, weight, residual, output.tensor];
        let cost = Cost { flops: 0.0, bytes: output.bytes() as f64 };
        dispatch_items(recording, label, kernel, &tensors, &params, output.pixels(), cost)
    }
}
