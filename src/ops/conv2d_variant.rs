//! The kernels that compute convolutions: what each is for, and which adapter can run it.

use super::Precision;
use super::conv2d::{Conv2d, Direction};
use super::conv2d_kernels::{
    Conv2dKernelLine, F16_MATRICES, F32_MATRICES, KERNELS, WeightKernel, count, from, has_matrices,
};
use crate::error::{Error, Result};
use crate::gpu::shaders::{Flags, flags};
use crate::gpu::{AdapterReport, KernelSpec};

/// A kernel that can compute a convolution, by what it is. Those that there are, with their names and shaders, are the lines of
/// [`KERNELS`]; any other value is supported by no adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conv2dVariant {
    /// Implicit GEMM through workgroup memory: hardware GPUs. Sizes are pixels x channels.
    Gemm {
        /// Of a workgroup.
        tile: [usize; 2],
        /// Of an invocation.
        block: [usize; 2],
    },
    /// Register blocks without workgroup memory or subgroups: runs everywhere.
    Register,
    /// Register blocks with operands broadcast through subgroups of exactly `lanes`: software drivers.
    Subgroup {
        lanes: usize,
        /// Source channels of an iteration. More than one reads memory 64 bits at once.
        channels_per_step: usize,
    },
    /// By cooperative matrices, of f16 operands or of f32: hardware that has them.
    Cooperative {
        /// Pixels x channels of a workgroup.
        tile: [usize; 2],
    },
}

impl Conv2dVariant {
    /// 64 registers an invocation hold its sums: GCN, and gradients by the weight.
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
    /// The same on processors that keep 48 KB or more of instructions at hand. Convolutions whose channels don't fill eights are
    /// [`Self::SUBGROUP_QUAD`]'s, as are gradients by the weight.
    pub const SUBGROUP_OCT: Self = Self::Subgroup { lanes: 8, channels_per_step: 8 };
    /// SwiftShader.
    pub const SUBGROUP4: Self = Self::Subgroup { lanes: 4, channels_per_step: 4 };
    pub const COOPERATIVE_64X64: Self = Self::Cooperative { tile: [64, 64] };
    pub const COOPERATIVE_128X64: Self = Self::Cooperative { tile: [128, 64] };

    /// Those that need no cooperative matrices.
    pub const ALL: [Self; count(false)] = from(0);

    /// Those by cooperative matrices.
    pub const COOPERATIVE: [Self; count(true)] = from(count(false));

    /// All of them.
    pub const FORWARD: [Self; KERNELS.len()] = from(0);

    fn line(self) -> Option<&'static Conv2dKernelLine> {
        KERNELS.iter().find(|line| line.variant == self)
    }

    /// Whether the adapter can run it; the reason if not.
    pub fn supported(self, adapter: &AdapterReport) -> std::result::Result<(), String> {
        let line = self.line().ok_or_else(|| format!("there is no kernel {self:?}"))?;
        line.needs.iter().try_for_each(|need| need.check(self, adapter))
    }

    /// Bytes of workgroup memory that its tile takes.
    pub(super) fn workgroup_memory(self) -> usize {
        match self {
            // Sixteen steps of the reduction, and what keeps their rows in different banks.
            Self::Gemm { tile: [pixels, channels], .. } => (pixels + channels) * 64 + 128,
            // Operands in padded rows of 80 bytes, and 16 pixels of sums.
            Self::Cooperative { tile: [pixels, channels] } => (pixels + channels) * 80 + 16 * (channels + 4) * 4,
            Self::Register | Self::Subgroup { .. } => 0,
        }
    }

    /// What users call it.
    pub fn name(self) -> &'static str {
        self.line().map_or("(no kernel)", |line| line.name)
    }

    /// The kernel of that [`Self::name`].
    pub fn named(name: &str) -> Option<Self> {
        Self::FORWARD.into_iter().find(|variant| variant.name() == name)
    }

    /// Its kernel in a direction.
    ///
    /// # Errors
    /// There is no such kernel.
    pub(super) fn kernel(self, direction: Direction) -> Result<KernelSpec> {
        let none = || Error::shape("conv2d", format!("there is no kernel {self:?}"));
        let line = self.line().ok_or_else(none)?;
        let transposed = if direction == Direction::Transposed { flags::TRANSPOSED } else { Flags::NONE };
        Ok(KernelSpec::new(line.file).with(line.flags).with(transposed))
    }

    /// The kernel of the gradient by the input that makes blocks.
    pub(super) fn blocks_kernel(self) -> Result<KernelSpec> {
        Ok(self.for_blocks().kernel(Direction::Forward)?.with(flags::BLOCKS))
    }

    /// Whether it has kernels that make a part of the reduction.
    pub fn splits(self) -> bool {
        matches!(self, Self::Gemm { .. })
    }

    /// The kernel that makes a part of the reduction, where it has one.
    pub(super) fn split_kernel(self, direction: Direction) -> Option<KernelSpec> {
        self.kernel(direction).ok().filter(|_| self.splits()).map(|kernel| kernel.with(flags::SPLIT))
    }

    /// Pixels and output channels that one workgroup (gemm, subgroup) or invocation (register) makes.
    pub const fn tile(self) -> (usize, usize) {
        match self {
            Self::Gemm { tile: [pixels, channels], .. } | Self::Cooperative { tile: [pixels, channels] } => {
                (pixels, channels)
            }
            Self::Register => (8, 8),
            // Four pixels a lane.
            Self::Subgroup { lanes, .. } => (4 * lanes, 32),
        }
    }

    /// Whether the adapter can run it on maps of `precision`; the reason if not.
    pub fn supported_in(self, adapter: &AdapterReport, precision: Precision) -> std::result::Result<(), String> {
        if self.is_cooperative() && !has_matrices(adapter, precision) {
            let shape = if precision == Precision::F32 { F32_MATRICES } else { F16_MATRICES };
            return Err(format!("the adapter has no cooperative matrices of {shape}"));
        }
        self.supported(adapter)
    }

    /// Whether it multiplies cooperative matrices.
    pub const fn is_cooperative(self) -> bool {
        matches!(self, Self::Cooperative { .. })
    }

    /// Whether it goes through workgroup memory.
    pub(super) fn is_gemm(self) -> bool {
        matches!(self, Self::Gemm { .. } | Self::Cooperative { .. })
    }

    /// Whether it accesses memory through 64-bit integers.
    pub(super) fn is_wide(self) -> bool {
        matches!(self, Self::Subgroup { lanes: 8, channels_per_step: 2.. })
    }

    /// The kernel whose gradient by the weight this one takes: the tiled ones share one, and those for subgroups that take four channels
    /// at a time or eight.
    pub(super) fn by_weight(self) -> Self {
        match self {
            Self::SUBGROUP_OCT => Self::SUBGROUP_QUAD,
            Self::Gemm { .. } | Self::Cooperative { .. } => Self::GEMM,
            Self::Register | Self::Subgroup { .. } => self,
        }
    }

    /// That kernel, for a convolution that is `pointwise` (1x1 without stride or padding) or not over so many pixels.
    ///
    /// # Errors
    /// There is no such kernel.
    pub(super) fn weight_kernel(self, pointwise: bool, pixels: usize) -> Result<WeightKernel> {
        let own = self.by_weight().line().and_then(|line| line.by_weight);
        let mut kernel = own.ok_or_else(|| Error::shape("conv2d_backward", format!("there is no kernel {self:?}")))?;
        if let Some((flag, _)) = kernel.pointwise.filter(|(_, whole)| pointwise && pixels.is_multiple_of(*whole)) {
            kernel.flags = kernel.flags.with(flag);
        }
        Ok(kernel)
    }

    /// The kernel whose gradient by the input in blocks of pixels this one takes: blocks are of few channels.
    pub(super) fn for_blocks(self) -> Self {
        match self {
            Self::Cooperative { .. } => Self::GEMM,
            Self::SUBGROUP_OCT => Self::SUBGROUP_QUAD,
            _ => self,
        }
    }

    /// The kernel that runs where this one is asked for `conv`: another, with the same packed weights, where its channels don't fit.
    pub(super) fn for_channels_of(self, conv: &Conv2d) -> Self {
        let groups = conv.attributes.groups.max(1);
        let eights = |channels: usize| fills_eights(channels / groups);
        match self {
            Self::SUBGROUP_OCT if !(eights(conv.in_channels) && eights(conv.out_channels)) => Self::SUBGROUP_QUAD,
            variant => variant,
        }
    }
}

/// Whether `subgroup-oct` takes a group of so many channels: in whole eights, the last partly padding or not.
pub(crate) fn fills_eights(channels: usize) -> bool {
    channels.div_ceil(4).is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt as _;

    use super::*;
    use crate::gpu::list_adapters;
    use crate::ops::attributes::Conv2dAttributes;

    #[test]
    fn a_kernel_that_there_is_not_runs_nowhere() {
        let adapter =
            list_adapters(None).block_on().into_iter().next().expect("an adapter; scripts/setup.sh installs one");
        let none = Conv2dVariant::Gemm { tile: [48, 48], block: [8, 8] };
        assert!(none.supported(&adapter).unwrap_err().contains("there is no kernel Gemm"));
        assert!(none.kernel(Direction::Forward).is_err() && Conv2dVariant::named("(no kernel)").is_none());
    }

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
