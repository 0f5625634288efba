//! Winograd convolutions F(m x m, 3 x 3), forward and both gradients, around the kernels of the direct convolutions.
//!
//! Maps are divided into tiles, and each tile is transformed to (m + 2)² points (`shaders/winograd_*.wgsl`). At each point the
//! convolution is a matrix product: a 1x1 convolution with one group per point. The 9 multiplications per output become
//! 4 (m = 2) or 2.25 (m = 4); the transforms grow with the channels, not with their product. After Lavin and Gray,
//! 2016, "Fast algorithms for convolutional neural networks", with points that lose less precision.
//!
//! A NaN or an infinity reaches its whole tile, not only its own outputs. An infinity becomes NaN.

use super::spec::Conv2d;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::{self, winograd_map, winograd_output};
use crate::gpu::shaders::{Flags, flags};
use crate::ops::attributes::Conv2dAttributes;
use crate::ops::conv2d_variant::Conv2dVariant;

/// The size of an output tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WinogradTile {
    /// F(2x2, 3x3): 2.25 times fewer multiplications.
    Two,
    /// F(4x4, 3x3): 4 times fewer multiplications, about twice the error of a direct convolution.
    Four,
}

impl WinogradTile {
    pub const ALL: [Self; 2] = [Self::Two, Self::Four];

    /// Outputs along one side, m.
    pub fn outputs(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Points of a tile.
    pub fn points(self) -> usize {
        (self.outputs() + 2).pow(2)
    }

    /// `winograd2`, `winograd4`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Two => "winograd2",
            Self::Four => "winograd4",
        }
    }

    /// The kernel of a part; `wide` accesses maps and points 64 bits at a time.
    pub(super) fn kernel(self, part: Part, wide: bool) -> KernelSpec {
        let (file, flags) = match part {
            Part::Input => (winograd_map::FILE, Flags::NONE),
            Part::Output => (winograd_output::FILE, Flags::NONE),
            Part::GradInput => (winograd_output::FILE, winograd_output::GRADIENT),
            Part::GradOutput => (winograd_map::FILE, winograd_map::GRAD_OUTPUT),
            Part::Weight => (files::winograd_weight::FILE, Flags::NONE),
            Part::GradWeight => (files::winograd_grad_weight::FILE, Flags::NONE),
        };
        let wide = wide && !matches!(part, Part::Weight | Part::GradWeight);
        let width = if wide { flags::WIDE } else { Flags::NONE };
        let tile = if self == Self::Four { flags::F4 } else { Flags::NONE };
        KernelSpec::new(file).with(flags).with(width).with(tile)
    }
}

#[derive(Clone, Copy)]
pub(super) enum Part {
    Input,
    Output,
    /// [`Self::Output`] for gradients that are not f32.
    GradInput,
    GradOutput,
    Weight,
    GradWeight,
}

/// A Winograd convolution; the kernel `variant` multiplies at the points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Winograd {
    pub(super) conv: Conv2d,
    pub(super) tile: WinogradTile,
    pub(super) variant: Conv2dVariant,
}

impl Winograd {
    /// `conv` with output tiles of `tile`.
    ///
    /// # Errors
    /// The reason in words if it is no 3x3 convolution of stride 1, without dilation and groups.
    pub fn new(conv: Conv2d, tile: WinogradTile, variant: Conv2dVariant) -> Result<Self, String> {
        let Conv2dAttributes { stride, padding, dilation, groups } = conv.attributes;
        if conv.kernel != [3, 3] || stride != [1, 1] || dilation != [1, 1] || groups != 1 {
            return Err(format!("{} is for 3x3 kernels of stride 1, without dilation and groups", tile.name()));
        }
        if padding.iter().any(|&padding| padding > 2) {
            return Err(format!("{} is for paddings of up to 2", tile.name()));
        }
        Ok(Self { conv, tile, variant })
    }

    /// The product at the points as a 1x1 convolution with one group per point.
    pub(super) fn products(&self) -> Conv2d {
        let points = self.tile.points();
        let attributes = Conv2dAttributes { groups: points, ..Default::default() };
        let channels = |count: usize| points * count.next_multiple_of(4);
        Conv2d {
            attributes,
            in_channels: channels(self.conv.in_channels),
            out_channels: channels(self.conv.out_channels),
            kernel: [1, 1],
        }
    }

    /// The kernel of a part.
    pub(super) fn kernel(&self, part: Part) -> KernelSpec {
        self.tile.kernel(part, self.variant.is_wide())
    }
}
