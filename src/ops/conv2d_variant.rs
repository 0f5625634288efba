//! The kernels that compute convolutions: what each is for, and which adapter can run it.

use super::Precision;
use super::conv2d::{Conv2d, Direction};
use crate::gpu::AdapterReport;

/// The kernels that can compute a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conv2dVariant {
    /// Implicit GEMM with workgroup tiles: hardware GPUs.
    Gemm,
    /// The same with tiles of other sizes (pixels x channels), or (64x64) by half as many invocations.
    Gemm16x64,
    Gemm32x32,
    Gemm64x32,
    Gemm64x64,
    Gemm128x64,
    Gemm128x128,
    /// The same by half as many invocations of 16 pixels x 8 channels, for GPUs with as many registers.
    Gemm128x128By16x8,
    /// Register blocks without workgroup memory or subgroups: runs everywhere.
    Register,
    /// Register blocks with weights broadcast through subgroups of exactly eight: lavapipe.
    Subgroup,
    /// The same, two source channels at a time and memory accessed 64 bits at once: lavapipe with 64-bit integers.
    SubgroupWide,
    /// The same with four source channels at a time: lavapipe on processors with AVX-512.
    SubgroupQuad,
    /// The same with eight: lavapipe on processors with AVX-512 that keep 48 KB or more of instructions at hand. Convolutions whose
    /// channels don't fill eights are `SubgroupQuad`'s, as are gradients by the weight.
    SubgroupOct,
    /// Register blocks with activations broadcast through subgroups of exactly four: SwiftShader.
    Subgroup4,
    /// By cooperative matrices, of f16 operands or of f32, with tiles of 64 pixels x 64 channels: hardware that has them.
    Cooperative,
    /// The same with tiles of 128 pixels x 64 channels.
    Cooperative128x64,
}

/// What a variant is: one line of [`Conv2dVariant::traits`].
struct Traits {
    name: &'static str,
    /// Pixels and output channels that one workgroup (gemm, subgroup) or invocation (register) makes.
    tile: (usize, usize),
    /// Forward, by input, and by input in blocks.
    shaders: [&'static str; 3],
    /// Forward and by input, of a part of the reduction; there are none for some variants.
    split: [&'static str; 2],
}

impl Conv2dVariant {
    /// Those that need no cooperative matrices.
    pub const ALL: [Self; 14] = [
        Self::Gemm,
        Self::Gemm16x64,
        Self::Gemm32x32,
        Self::Gemm64x32,
        Self::Gemm64x64,
        Self::Gemm128x64,
        Self::Gemm128x128,
        Self::Gemm128x128By16x8,
        Self::Register,
        Self::Subgroup,
        Self::SubgroupWide,
        Self::SubgroupQuad,
        Self::SubgroupOct,
        Self::Subgroup4,
    ];

    /// Those by cooperative matrices.
    pub const COOPERATIVE: [Self; 2] = [Self::Cooperative, Self::Cooperative128x64];

    /// All of them.
    pub const FORWARD: [Self; 16] = {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = Self::ALL;
        let [o, p] = Self::COOPERATIVE;
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    };

    fn traits(self) -> Traits {
        macro_rules! of {
            ($name:literal, $shader:literal, $tile:expr) => {
                Traits {
                    name: $name,
                    tile: $tile,
                    shaders: [
                        concat!("conv2d_", $shader),
                        concat!("conv2d_backward_input_", $shader),
                        concat!("conv2d_backward_input_blocks_", $shader),
                    ],
                    split: [
                        concat!("conv2d_", $shader, "_split"),
                        concat!("conv2d_backward_input_", $shader, "_split"),
                    ],
                }
            };
        }
        match self {
            Self::Gemm => of!("gemm", "gemm", (64, 64)),
            Self::Gemm16x64 => of!("gemm-16x64", "gemm_16x64", (16, 64)),
            Self::Gemm32x32 => of!("gemm-32x32", "gemm_32x32", (32, 32)),
            Self::Gemm64x32 => of!("gemm-64x32", "gemm_64x32", (64, 32)),
            Self::Gemm64x64 => of!("gemm-64x64", "gemm_64x64", (64, 64)),
            Self::Gemm128x64 => of!("gemm-128x64", "gemm_128x64", (128, 64)),
            Self::Gemm128x128 => of!("gemm-128x128", "gemm_128x128", (128, 128)),
            Self::Gemm128x128By16x8 => of!("gemm-128x128-16x8", "gemm_128x128_16x8", (128, 128)),
            Self::Register => of!("register", "register", (8, 8)),
            Self::Subgroup => of!("subgroup", "subgroup", (32, 32)),
            Self::SubgroupWide => of!("subgroup-wide", "subgroup_wide", (32, 32)),
            Self::SubgroupQuad => of!("subgroup-quad", "subgroup_quad", (32, 32)),
            // Blocks of pixels are of few channels.
            Self::SubgroupOct => Traits {
                shaders: [
                    "conv2d_subgroup_oct",
                    "conv2d_backward_input_subgroup_oct",
                    Self::SubgroupQuad.blocks_shader(),
                ],
                ..of!("subgroup-oct", "subgroup_oct", (32, 32))
            },
            Self::Subgroup4 => of!("subgroup4", "subgroup4", (16, 32)),
            // Blocks of pixels are of few channels, and `Gemm`'s.
            Self::Cooperative => Traits {
                shaders: ["conv2d_cooperative", "conv2d_backward_input_cooperative", Self::Gemm.blocks_shader()],
                ..of!("cooperative", "cooperative", (64, 64))
            },
            Self::Cooperative128x64 => Traits {
                shaders: [
                    "conv2d_cooperative_128x64",
                    "conv2d_backward_input_cooperative_128x64",
                    Self::Gemm.blocks_shader(),
                ],
                ..of!("cooperative-128x64", "cooperative_128x64", (128, 64))
            },
        }
    }

    /// Whether the adapter can run it; the reason if not.
    pub fn supported(self, adapter: &AdapterReport) -> Result<(), String> {
        let (pixels, channels) = self.tile();
        let memory = match self {
            _ if !self.is_gemm() => 0,
            // Operands in padded rows of 80 bytes, and 16 pixels of sums.
            _ if self.is_cooperative() => (pixels + channels) * 80 + 16 * (channels + 4) * 4,
            // Sixteen steps of the reduction, and what keeps their rows in different banks.
            _ => (pixels + channels) * 64 + 128,
        };
        let exactly = |lanes: u32| {
            let [least, most] = adapter.subgroup_size;
            if [least, most] == [lanes; 2] {
                return Ok(());
            }
            Err(format!("it needs subgroups of exactly {lanes} and the adapter's are {least} to {most}"))
        };
        match self {
            _ if self.is_wide() && !adapter.features.int64 => {
                Err("the adapter has no 64-bit integers in shaders".into())
            }
            _ if self.is_wide() => Self::Subgroup.supported(adapter),
            Self::Subgroup | Self::Subgroup4 if !adapter.features.subgroups => {
                Err("the adapter has no subgroup operations".into())
            }
            Self::Subgroup => exactly(8),
            Self::Subgroup4 => exactly(4),
            _ if self.is_cooperative() && !Precision::ALL.iter().any(|&precision| has_matrices(adapter, precision)) => {
                Err(format!("the adapter has no cooperative matrices of {F32_MATRICES} or {F16_MATRICES}"))
            }
            _ if self.is_cooperative() && adapter.matrix_lanes() > 64 && !adapter.features.emulated_matrices => {
                let [least, most] = adapter.subgroup_size;
                Err(format!("it needs subgroups of at most 64 and the adapter's are {least} to {most}"))
            }
            _ if memory > adapter.max_workgroup_memory_bytes as usize => {
                let most = adapter.max_workgroup_memory_bytes;
                Err(format!("it needs {memory} bytes of workgroup memory and the adapter has {most}"))
            }
            _ => Ok(()),
        }
    }

    pub fn name(self) -> &'static str {
        self.traits().name
    }

    pub(super) fn shader(self, direction: Direction) -> &'static str {
        match direction {
            Direction::Forward => self.traits().shaders[0],
            Direction::Transposed => self.traits().shaders[1],
        }
    }

    /// The kernel of the gradient by the input that makes blocks.
    pub(super) fn blocks_shader(self) -> &'static str {
        self.traits().shaders[2]
    }

    /// Whether it has kernels that make a part of the reduction.
    pub fn splits(self) -> bool {
        self.is_gemm() && !self.is_cooperative()
    }

    /// The kernel that makes a part of the reduction.
    pub(super) fn split_shader(self, direction: Direction) -> Option<&'static str> {
        let [forward, transposed] = self.traits().split;
        self.splits().then_some(if direction == Direction::Forward { forward } else { transposed })
    }

    /// Pixels and output channels that one workgroup (gemm, subgroup) or invocation (register) makes.
    pub fn tile(self) -> (usize, usize) {
        self.traits().tile
    }

    /// Whether the adapter can run it on maps of `precision`; the reason if not.
    pub fn supported_in(self, adapter: &AdapterReport, precision: Precision) -> Result<(), String> {
        if self.is_cooperative() && !has_matrices(adapter, precision) {
            let shape = if precision == Precision::F32 { F32_MATRICES } else { F16_MATRICES };
            return Err(format!("the adapter has no cooperative matrices of {shape}"));
        }
        self.supported(adapter)
    }

    /// Whether it multiplies cooperative matrices.
    pub fn is_cooperative(self) -> bool {
        Self::COOPERATIVE.contains(&self)
    }

    /// Whether it goes through workgroup memory.
    pub(super) fn is_gemm(self) -> bool {
        !(matches!(self, Self::Register | Self::Subgroup | Self::Subgroup4) || self.is_wide())
    }

    /// Whether it accesses memory through 64-bit integers.
    pub(super) fn is_wide(self) -> bool {
        matches!(self, Self::SubgroupWide | Self::SubgroupQuad | Self::SubgroupOct)
    }

    /// The kernel whose gradient by the weight this one takes: the tiled ones share one, and those for subgroups that take four channels
    /// at a time or eight.
    pub(super) fn by_weight(self) -> Self {
        match self {
            Self::SubgroupOct => Self::SubgroupQuad,
            variant if variant.is_gemm() => Self::Gemm,
            variant => variant,
        }
    }

    /// The kernel whose gradient by the input in blocks of pixels this one takes.
    pub(super) fn for_blocks(self) -> Self {
        if self.is_cooperative() { Self::Gemm } else { self }
    }

    /// The kernel that runs where this one is asked for `conv`: another, with the same packed weights, where its channels don't fit.
    pub(super) fn for_channels_of(self, conv: &Conv2d) -> Self {
        let groups = conv.attributes.groups.max(1);
        let eights = |channels: usize| fills_eights(channels / groups);
        match self {
            Self::SubgroupOct if !(eights(conv.in_channels) && eights(conv.out_channels)) => Self::SubgroupQuad,
            variant => variant,
        }
    }
}

const F32_MATRICES: &str = "8x8x8 f32";
const F16_MATRICES: &str = "16x16x16 or 8x8x8 f16 with f32 sums";

/// Whether the adapter has cooperative matrices for maps of `precision`.
fn has_matrices(adapter: &AdapterReport, precision: Precision) -> bool {
    match precision {
        Precision::F32 => adapter.features.matrices_f32,
        Precision::F16 => adapter.features.matrices_f16 || adapter.features.matrices_f16_eight,
    }
}

/// Whether `SubgroupOct` takes a group of so many channels: in whole eights, the last partly padding or not.
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
            Conv2dVariant::SubgroupOct.for_channels_of(&conv) == Conv2dVariant::SubgroupOct
        };
        assert!(of(64, 256, 1) && of(5, 13, 1) && of(32, 16, 2));
        assert!(!of(3, 64, 1) && !of(64, 12, 1) && !of(16, 8, 2));
    }
}
