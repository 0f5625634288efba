//! The geometry of one pass by one kernel: its tiles, its parts, and whether it computes blocks of pixels.

use super::blocks::Blocks;
use super::pass::Direction;
use super::spec::Conv2d;
use super::split::{Conv2dKernel, Parts};
use super::tiles::Tiles;
use crate::error::Result;
use crate::ops::conv2d_variant::Conv2dVariant;
use crate::ops::feature_map::{MapShape, u32_of};

/// One pass over one convolution by one kernel, divided into tiles and parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub conv: Conv2d,
    pub variant: Conv2dVariant,
    pub direction: Direction,
    pub source: MapShape,
    pub output: MapShape,
    /// Set if the pass computes blocks of pixels.
    pub blocks: Option<Blocks>,
    pub parts: Parts,
    pub tiles: Tiles,
}

impl Geometry {
    /// The pass from `source` to `output`, whose shapes belong to `conv`.
    ///
    /// # Errors
    /// Sizes that a shader can't index.
    pub fn new(
        conv: &Conv2d,
        kernel: Conv2dKernel,
        direction: Direction,
        [source, output]: [MapShape; 2],
    ) -> Result<Self> {
        let blocks = conv.blocks().filter(|_| direction == Direction::Transposed);
        let variant = kernel.variant.for_channels_of(conv);
        let variant = if blocks.is_some() { variant.for_blocks() } else { variant };
        // Blocks of pixels have no split reductions.
        let parts = Parts::new(conv, direction, if blocks.is_some() { 1 } else { kernel.parts });
        let tiles = Tiles::new(conv, variant, direction, &output, blocks.as_ref());
        let geometry = Self { conv: *conv, variant, direction, source, output, blocks, parts, tiles };
        geometry.check_sizes()?;
        Ok(geometry)
    }

    fn check_sizes(&self) -> Result<()> {
        let size = |what, value| u32_of("conv2d", what, value);
        size("partial sums", self.parts.count.saturating_mul(self.output.len4() * 4))?;
        if self.direction == Direction::Forward {
            return Ok(());
        }
        // Products in the search for a phase's taps, and the signed offsets of taps.
        let attributes = &self.conv.attributes;
        for (axis, extent) in [self.output.h, self.output.w].into_iter().enumerate() {
            let (stride, padding) = (attributes.stride[axis], attributes.padding[axis]);
            let reach = (2 * stride).min(self.conv.kernel[axis]).saturating_mul(attributes.dilation[axis]);
            size("stride and dilation", reach.saturating_mul(stride).saturating_add(padding))?;
            size("a padded input", 2 * (extent + 2 * padding))?;
        }
        Ok(())
    }

    /// Bytes of the sums of all parts.
    pub fn partial_bytes(&self) -> u64 {
        self.parts.count as u64 * self.output.len4() as u64 * 16
    }

    /// Multiply-adds of the formula.
    pub fn multiply_adds(&self) -> f64 {
        let pixels = match self.direction {
            Direction::Forward => self.output.pixels(),
            Direction::Transposed => self.source.pixels(),
        };
        pixels as f64 * self.conv.weight_shape().iter().product::<usize>() as f64
    }

    /// Workgroups of the kernel that multiplies.
    pub fn workgroups(&self) -> u64 {
        let Tiles { pixels, channels, in_sequence } = self.tiles;
        let groups = self.conv.attributes.groups;
        let tiles = (pixels * channels.div_ceil(in_sequence) * groups * self.parts.count) as u64;
        // Each invocation computes a tile.
        if self.variant == Conv2dVariant::Register { tiles.div_ceil(64) } else { tiles }
    }
}
