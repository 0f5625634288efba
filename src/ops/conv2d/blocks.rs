//! The input gradient for an input of few channels (a stem's), computed by the forward kernels in blocks of pixels.
//!
//! Three channels fill little of a tile of 32 channels. So the pixels of a block, with their channels, count as the output channels of
//! one convolution over grad_output. Its kernel covers every tap that any pixel of the block meets; weights are zero where a pixel does
//! not meet a tap. Per axis, with stride s, padding p, kernel size R and block size B (a multiple of s): pixel a of block i meets row
//! i*B/s + t - reach of grad_output through r = a + p - s*(t - reach), if that is in 0..R.

use super::spec::Conv2d;

/// The least pixels of a block: 8 pixels of 4 padded channels fill a tile of 32.
const LEAST: [usize; 2] = [2, 4];
/// Longer strides would give blocks of too many pixels.
const MOST_STRIDE: usize = 4;

/// The convolution whose output channels are blocks of pixels. Pairs are height, width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::ops) struct Blocks {
    /// Pixels of a block.
    pub block: [usize; 2],
    /// Its kernel.
    pub taps: [usize; 2],
    /// Its padding.
    pub reach: [usize; 2],
    /// Its stride.
    pub step: [usize; 2],
}

impl Blocks {
    /// Pixels of one block.
    pub fn pixels(&self) -> usize {
        self.block.iter().product()
    }

    /// Values of one block, channels padded to a vec4: the output channels.
    pub fn values(&self) -> usize {
        self.pixels() * 4
    }
}

impl Conv2d {
    /// The blocks, if the input gradient is computed in blocks.
    pub(in crate::ops) fn blocks(&self) -> Option<Blocks> {
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

    /// The place of the weight of tap `rs` in the block's kernel for pixel `at` of the block, if they meet.
    pub(super) fn block_tap(&self, blocks: &Blocks, at: [usize; 2], rs: [usize; 2]) -> Option<usize> {
        let axis = |i: usize| {
            let stride = self.attributes.stride[i];
            let distance = (at[i] + self.attributes.padding[i] + blocks.reach[i] * stride).checked_sub(rs[i])?;
            distance.is_multiple_of(stride).then_some(distance / stride)
        };
        Some(axis(0)? * blocks.taps[1] + axis(1)?)
    }
}
