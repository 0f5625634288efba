//! The convolution kernels as values: what each is for, and the properties that follow from its parameters.

use super::conv2d::Conv2d;

/// A convolution kernel, described by its parameters. Existing kernels, with names, shaders and requirements, are the lines of
/// a table (`conv2d_kernels.rs`). No adapter supports any other value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conv2dVariant {
    /// Implicit GEMM through workgroup memory: hardware GPUs. Sizes are pixels x channels.
    Gemm {
        /// Of one workgroup.
        tile: [usize; 2],
        /// Of one invocation.
        block: [usize; 2],
    },
    /// Register blocks without workgroup memory or subgroups. Runs everywhere.
    Register,
    /// Register blocks with operands broadcast through subgroups of exactly `lanes`: software drivers.
    Subgroup {
        lanes: usize,
        /// Source channels of one iteration. With more than one, memory is read 64 bits at a time.
        channels_per_step: usize,
    },
    /// Cooperative matrices with f16 or f32 operands: hardware that has them.
    Cooperative {
        /// Pixels x channels of one workgroup.
        tile: [usize; 2],
    },
}

impl Conv2dVariant {
    /// Its sums fit 64 registers per invocation: GCN, and weight gradients.
    pub const GEMM: Self = Self::Gemm { tile: [64, 64], block: [8, 4] };
    pub const GEMM_16X64: Self = Self::Gemm { tile: [16, 64], block: [4, 4] };
    pub const GEMM_32X32: Self = Self::Gemm { tile: [32, 32], block: [4, 4] };
    pub const GEMM_64X32: Self = Self::Gemm { tile: [64, 32], block: [4, 4] };
    pub const GEMM_64X64: Self = Self::Gemm { tile: [64, 64], block: [8, 8] };
    pub const GEMM_128X64: Self = Self::Gemm { tile: [128, 64], block: [8, 8] };
    pub const GEMM_128X128: Self = Self::Gemm { tile: [128, 128], block: [8, 8] };
    /// For GPUs with twice as many registers.
    pub const GEMM_128X128_BY_16X8: Self = Self::Gemm { tile: [128, 128], block: [16, 8] };
    /// lavapipe.
    pub const SUBGROUP: Self = Self::Subgroup { lanes: 8, channels_per_step: 1 };
    /// lavapipe with 64-bit integers.
    pub const SUBGROUP_WIDE: Self = Self::Subgroup { lanes: 8, channels_per_step: 2 };
    /// The same on processors with AVX-512.
    pub const SUBGROUP_QUAD: Self = Self::Subgroup { lanes: 8, channels_per_step: 4 };
    /// The same on processors with an instruction cache of 48 KB or more. [`Self::SUBGROUP_QUAD`] computes weight gradients, and
    /// convolutions whose channels do not come in eights.
    pub const SUBGROUP_OCT: Self = Self::Subgroup { lanes: 8, channels_per_step: 8 };
    /// SwiftShader.
    pub const SUBGROUP4: Self = Self::Subgroup { lanes: 4, channels_per_step: 4 };
    pub const COOPERATIVE_64X64: Self = Self::Cooperative { tile: [64, 64] };
    pub const COOPERATIVE_128X64: Self = Self::Cooperative { tile: [128, 64] };

    /// Bytes of workgroup memory for its tile.
    pub(super) fn workgroup_memory(self) -> usize {
        match self {
            // Sixteen steps of the reduction, and padding that keeps their rows in different banks.
            Self::Gemm { tile: [pixels, channels], .. } => (pixels + channels) * 64 + 128,
            // Operands in padded rows of 80 bytes, and 16 pixels of sums.
            Self::Cooperative { tile: [pixels, channels] } => (pixels + channels) * 80 + 16 * (channels + 4) * 4,
            Self::Register | Self::Subgroup { .. } => 0,
        }
    }

    /// Whether it has kernels for split reductions.
    pub fn splits(self) -> bool {
        matches!(self, Self::Gemm { .. })
    }

    /// Pixels and output channels that one workgroup (gemm, subgroup) or invocation (register) computes.
    pub const fn tile(self) -> (usize, usize) {
        match self {
            Self::Gemm { tile: [pixels, channels], .. } | Self::Cooperative { tile: [pixels, channels] } => {
                (pixels, channels)
            }
            Self::Register => (8, 8),
            // Four pixels per lane.
            Self::Subgroup { lanes, .. } => (4 * lanes, 32),
        }
    }

    /// Whether it multiplies cooperative matrices.
    pub const fn is_cooperative(self) -> bool {
        matches!(self, Self::Cooperative { .. })
    }

    /// Whether it uses workgroup memory.
    pub(super) fn is_gemm(self) -> bool {
        matches!(self, Self::Gemm { .. } | Self::Cooperative { .. })
    }

    /// Whether it accesses memory through 64-bit integers.
    pub(super) fn is_wide(self) -> bool {
        matches!(self, Self::Subgroup { lanes: 8, channels_per_step: 2.. })
    }

    /// The kernel whose weight gradient this one uses. All tiled kernels share one, and so do the subgroup kernels with four and
    /// eight channels at a time.
    pub(super) fn by_weight(self) -> Self {
        match self {
            Self::SUBGROUP_OCT => Self::SUBGROUP_QUAD,
            Self::Gemm { .. } | Self::Cooperative { .. } => Self::GEMM,
            Self::Register | Self::Subgroup { .. } => self,
        }
    }

    /// The kernel whose input gradient in blocks of pixels this one uses. Blocks are for few channels.
    pub(super) fn for_blocks(self) -> Self {
        match self {
            Self::Cooperative { .. } => Self::GEMM,
            Self::SUBGROUP_OCT => Self::SUBGROUP_QUAD,
            _ => self,
        }
    }

    /// The kernel that runs when this one is chosen for `conv`: another one with the same packed weights if the channels do not fit.
    pub(super) fn for_channels_of(self, conv: &Conv2d) -> Self {
        let groups = conv.attributes.groups.max(1);
        let eights = |channels: usize| fills_eights(channels / groups);
        match self {
            Self::SUBGROUP_OCT if !(eights(conv.in_channels) && eights(conv.out_channels)) => Self::SUBGROUP_QUAD,
            variant => variant,
        }
    }
}

/// Whether `subgroup-oct` can compute a group of `channels`: padded to vec4s, they must come in eights.
pub(crate) fn fills_eights(channels: usize) -> bool {
    channels.div_ceil(4).is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::attributes::Conv2dAttributes;

    #[test]
    fn eights_go_by_the_channels_of_a_group() {
        let of = |in_channels, out_channels, groups| {
            let attributes = Conv2dAttributes { groups, ..Default::default() };
            let conv = Conv2d { attributes, in_channels, out_channels, kernel: [1, 1] };
            Conv2dVariant::SUBGROUP_OCT.for_channels_of(&conv) == Conv2dVariant::SUBGROUP_OCT
        };
        assert!(of(64, 256, 1) && of(5, 13, 1) && of(32, 16, 2));
        assert!(!of(3, 64, 1) && !of(64, 12, 1) && !of(16, 8, 2));
    }
}
