//! The table of convolution kernels: name, shader and requirements of each. Cases, negative controls, help texts and the tests of the
//! documentation are derived from it.

use super::Precision;
use super::conv2d::Direction;
use super::conv2d_variant::Conv2dVariant;
use crate::error::{Error, Result};
use crate::gpu::shaders::files::{
    conv2d_backward_weight_gemm, conv2d_backward_weight_register, conv2d_backward_weight_subgroup,
    conv2d_backward_weight_subgroup4, conv2d_cooperative, conv2d_gemm, conv2d_register, conv2d_subgroup,
    conv2d_subgroup4,
};
use crate::gpu::shaders::{Flags, Shader, ShaderFile, flags};
use crate::gpu::{AdapterReport, KernelSpec};

/// A convolution kernel.
pub(crate) struct Conv2dKernelLine {
    pub variant: Conv2dVariant,
    /// The name that users see and type.
    pub name: &'static str,
    /// The shader of the forward pass and of the input gradient: its file, and the flags that select it there.
    pub file: ShaderFile,
    pub flags: Flags,
    /// Its kernel for the weight gradient. Variants without one share another's: [`Conv2dVariant::by_weight`].
    pub by_weight: Option<WeightKernel>,
    pub needs: &'static [Need],
}

/// A kernel for the weight gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WeightKernel {
    pub file: ShaderFile,
    pub flags: Flags,
    /// The tile: output channels, and vec4s of input channels under one tap.
    pub tile: [usize; 2],
    /// Invocations that compute one tile.
    pub invocations: usize,
    /// The form for 1x1 kernels without stride or padding: its flag, and the pixels of one iteration, which must divide the number of
    /// pixels.
    pub pointwise: Option<(Flags, usize)>,
}

/// A requirement on the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// 64-bit integers in shaders.
    Int64,
    /// Subgroups of exactly this many invocations.
    SubgroupsOf(u32),
    /// Cooperative matrices, and subgroups of at most 64.
    Matrices,
    /// Enough workgroup memory for its tile.
    WorkgroupMemory,
}

const fn weight(file: ShaderFile, flags: Flags, tile: [usize; 2], invocations: usize) -> Option<WeightKernel> {
    Some(WeightKernel { file, flags, tile, invocations, pointwise: None })
}

const fn weight_by_pixels(flags: Flags, pixels: usize) -> Option<WeightKernel> {
    let pointwise = Some((conv2d_backward_weight_subgroup::POINTWISE, pixels));
    let file = conv2d_backward_weight_subgroup::FILE;
    Some(WeightKernel { file, flags, tile: [32, 8], invocations: 8, pointwise })
}

const fn line(
    variant: Conv2dVariant,
    name: &'static str,
    (file, flags): (ShaderFile, Flags),
    by_weight: Option<WeightKernel>,
    needs: &'static [Need],
) -> Conv2dKernelLine {
    Conv2dKernelLine { variant, name, file, flags, by_weight, needs }
}

/// One tile size of `gemm`.
const fn gemm(variant: Conv2dVariant, name: &'static str, flags: Flags) -> Conv2dKernelLine {
    line(variant, name, (conv2d_gemm::FILE, flags), None, &[Need::WorkgroupMemory])
}

/// Every kernel. Those with cooperative matrices come last.
#[rustfmt::skip]
pub(crate) const KERNELS: &[Conv2dKernelLine] = {
    use Conv2dVariant as V;
    use Need::{Int64, Matrices, SubgroupsOf, WorkgroupMemory};
    use conv2d_backward_weight_subgroup as by_weight;
    const NONE: Flags = Flags::NONE;
    &[
        line(V::GEMM, "gemm", (conv2d_gemm::FILE, conv2d_gemm::TILE_64X64_8X4), weight(conv2d_backward_weight_gemm::FILE, NONE, [64, 16], 64), &[WorkgroupMemory]),
        gemm(V::GEMM_16X64, "gemm-16x64", conv2d_gemm::TILE_16X64),
        gemm(V::GEMM_32X32, "gemm-32x32", conv2d_gemm::TILE_32X32),
        gemm(V::GEMM_64X32, "gemm-64x32", conv2d_gemm::TILE_64X32),
        gemm(V::GEMM_64X64, "gemm-64x64", conv2d_gemm::TILE_64X64),
        gemm(V::GEMM_128X64, "gemm-128x64", conv2d_gemm::TILE_128X64),
        gemm(V::GEMM_128X128, "gemm-128x128", conv2d_gemm::TILE_128X128),
        gemm(V::GEMM_128X128_BY_16X8, "gemm-128x128-16x8", conv2d_gemm::TILE_128X128_16X8),
        line(V::Register, "register", (conv2d_register::FILE, NONE), weight(conv2d_backward_weight_register::FILE, NONE, [8, 4], 1), &[]),
        line(V::SUBGROUP, "subgroup", (conv2d_subgroup::FILE, NONE), weight(by_weight::FILE, NONE, [32, 8], 8), &[SubgroupsOf(8)]),
        line(V::SUBGROUP_WIDE, "subgroup-wide", (conv2d_subgroup::FILE, conv2d_subgroup::TWO_CHANNELS), weight_by_pixels(by_weight::TWO_PIXELS, 2), &[Int64, SubgroupsOf(8)]),
        line(V::SUBGROUP_QUAD, "subgroup-quad", (conv2d_subgroup::FILE, conv2d_subgroup::FOUR_CHANNELS), weight_by_pixels(by_weight::FOUR_PIXELS, 4), &[Int64, SubgroupsOf(8)]),
        line(V::SUBGROUP_OCT, "subgroup-oct", (conv2d_subgroup::FILE, conv2d_subgroup::EIGHT_CHANNELS), None, &[Int64, SubgroupsOf(8)]),
        line(V::SUBGROUP4, "subgroup4", (conv2d_subgroup4::FILE, NONE), weight(conv2d_backward_weight_subgroup4::FILE, NONE, [16, 4], 4), &[SubgroupsOf(4)]),
        line(V::COOPERATIVE_64X64, "cooperative", (conv2d_cooperative::FILE, NONE), None, &[Matrices, WorkgroupMemory]),
        line(V::COOPERATIVE_128X64, "cooperative-128x64", (conv2d_cooperative::FILE, conv2d_cooperative::TALL), None, &[Matrices, WorkgroupMemory]),
    ]
};

/// Look-ups in the table.
impl Conv2dVariant {
    /// The kernels without cooperative matrices.
    pub const ALL: [Self; count(false)] = from(0);

    /// The kernels with cooperative matrices.
    pub const COOPERATIVE: [Self; count(true)] = from(count(false));

    /// All kernels.
    pub const FORWARD: [Self; KERNELS.len()] = from(0);

    /// Its line of the table.
    fn line(self) -> Option<&'static Conv2dKernelLine> {
        KERNELS.iter().find(|line| line.variant == self)
    }

    /// Whether the adapter can run it; the reason if not.
    pub fn supported(self, adapter: &AdapterReport) -> std::result::Result<(), String> {
        let line = self.line().ok_or_else(|| format!("there is no kernel {self:?}"))?;
        line.needs.iter().try_for_each(|need| need.check(self, adapter))
    }

    /// Whether the adapter can run it on maps of `precision`; the reason if not.
    pub fn supported_in(self, adapter: &AdapterReport, precision: Precision) -> std::result::Result<(), String> {
        if self.is_cooperative() && !has_matrices(adapter, precision) {
            let shape = if precision == Precision::F32 { F32_MATRICES } else { F16_MATRICES };
            return Err(format!("the adapter has no cooperative matrices of {shape}"));
        }
        self.supported(adapter)
    }

    /// The name that users see and type.
    pub fn name(self) -> &'static str {
        self.line().map_or("(no kernel)", |line| line.name)
    }

    /// The kernel with this [`Self::name`].
    pub fn named(name: &str) -> Option<Self> {
        Self::FORWARD.into_iter().find(|variant| variant.name() == name)
    }

    /// The kernel for a direction.
    ///
    /// # Errors
    /// There is no such kernel.
    pub(super) fn kernel(self, direction: Direction) -> Result<KernelSpec> {
        let none = || Error::shape("conv2d", format!("there is no kernel {self:?}"));
        let line = self.line().ok_or_else(none)?;
        let transposed = if direction == Direction::Transposed { flags::TRANSPOSED } else { Flags::NONE };
        Ok(KernelSpec::new(line.file).with(line.flags).with(transposed))
    }

    /// The kernel for the input gradient that computes blocks of pixels.
    pub(super) fn blocks_kernel(self) -> Result<KernelSpec> {
        Ok(self.for_blocks().kernel(Direction::Forward)?.with(flags::BLOCKS))
    }

    /// The kernel that sums one part of a split reduction, if there is one.
    pub(super) fn split_kernel(self, direction: Direction) -> Option<KernelSpec> {
        self.kernel(direction).ok().filter(|_| self.splits()).map(|kernel| kernel.with(flags::SPLIT))
    }

    /// The kernel for the weight gradient over this number of `pixels`; `pointwise` means 1x1 without stride or padding.
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
}

/// The number of kernels with or without cooperative matrices.
const fn count(by_matrices: bool) -> usize {
    let (mut i, mut count) = (0, 0);
    while i < KERNELS.len() {
        count += (KERNELS[i].variant.is_cooperative() == by_matrices) as usize;
        i += 1;
    }
    count
}

/// `N` kernels of the table, starting with number `first`.
const fn from<const N: usize>(first: usize) -> [Conv2dVariant; N] {
    let mut all = [Conv2dVariant::Register; N];
    let mut i = 0;
    while i < N {
        all[i] = KERNELS[first + i].variant;
        i += 1;
    }
    all
}

/// Names of all kernels, in the order of the table.
pub(crate) const NAMES: [&str; KERNELS.len()] = {
    let mut all = [""; KERNELS.len()];
    let mut i = 0;
    while i < KERNELS.len() {
        all[i] = KERNELS[i].name;
        i += 1;
    }
    all
};

/// The kernel that `shader` belongs to, if any: `conv2d_backward_input_gemm_64x64_f16` belongs to `gemm-64x64`.
pub(crate) fn kernel_of(shader: &Shader) -> Option<Conv2dVariant> {
    let own =
        |(file, flags): (ShaderFile, Flags)| (shader.file == file && shader.flags.contains(flags)).then_some(flags);
    let picked = |line: &Conv2dKernelLine| {
        let by_weight = line.by_weight.and_then(|kernel| own((kernel.file, kernel.flags)));
        Some((own((line.file, line.flags)).or(by_weight)?, line.variant))
    };
    // Several lines may match, since a line without flags matches every shader of its file. The one with the most flags is meant.
    KERNELS.iter().filter_map(picked).max_by_key(|(flags, _)| flags.count()).map(|(_, variant)| variant)
}

/// The shaders of `variant`, as file and flags: forward (the input gradient adds its own flags), then the weight gradient.
pub(crate) fn shaders_of(variant: Conv2dVariant) -> Option<[(ShaderFile, Flags); 2]> {
    let (map, weight) = (variant.line()?, variant.by_weight().line()?.by_weight?);
    Some([(map.file, map.flags), (weight.file, weight.flags)])
}

impl Need {
    /// # Errors
    /// The reason why `variant` cannot run on `adapter`.
    pub fn check(self, variant: Conv2dVariant, adapter: &AdapterReport) -> std::result::Result<(), String> {
        let [least, most] = adapter.subgroup_size;
        match self {
            Self::Int64 if !adapter.features.int64 => Err("the adapter has no 64-bit integers in shaders".into()),
            Self::SubgroupsOf(_) if !adapter.features.subgroups => Err("the adapter has no subgroup operations".into()),
            Self::SubgroupsOf(lanes) if [least, most] != [lanes; 2] => {
                Err(format!("it needs subgroups of exactly {lanes} and the adapter's are {least} to {most}"))
            }
            Self::Matrices if !Precision::ALL.iter().any(|&precision| has_matrices(adapter, precision)) => {
                Err(format!("the adapter has no cooperative matrices of {F32_MATRICES} or {F16_MATRICES}"))
            }
            Self::Matrices if adapter.matrix_lanes() > 64 && !adapter.features.emulated_matrices => {
                Err(format!("it needs subgroups of at most 64 and the adapter's are {least} to {most}"))
            }
            Self::WorkgroupMemory if variant.workgroup_memory() > adapter.max_workgroup_memory_bytes as usize => {
                let (memory, most) = (variant.workgroup_memory(), adapter.max_workgroup_memory_bytes);
                Err(format!("it needs {memory} bytes of workgroup memory and the adapter has {most}"))
            }
            _ => Ok(()),
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

#[cfg(test)]
mod tests {
    use pollster::FutureExt as _;

    use super::*;
    use crate::gpu::{list_adapters, shaders};

    #[test]
    fn every_line_is_a_kernel_of_its_own() {
        for (i, line) in KERNELS.iter().enumerate() {
            assert_eq!(line.variant.name(), line.name);
            let others = KERNELS.iter().enumerate().filter(|(j, _)| *j != i);
            for (_, other) in others {
                assert!(other.name != line.name && other.variant != line.variant, "{}", line.name);
            }
            for direction in [Direction::Forward, Direction::Transposed] {
                let kernel = line.variant.kernel(direction).unwrap();
                for precision in Precision::ALL {
                    let kernel = precision.kernel(kernel.clone()).unwrap_or_else(|e| panic!("{}: {e}", line.name));
                    assert_eq!(kernel_of(kernel.shader().unwrap()), Some(line.variant), "{}", kernel.name());
                }
            }
            if let Some(weight) = &line.by_weight {
                let shader = weight.file.shader(weight.flags).expect("a shader");
                assert_eq!(kernel_of(shader), Some(line.variant), "{}", shader.name);
            }
        }
    }

    #[test]
    fn a_kernel_that_there_is_not_runs_nowhere() {
        let adapter =
            list_adapters(None).block_on().into_iter().next().expect("an adapter; scripts/setup.sh installs one");
        let none = Conv2dVariant::Gemm { tile: [48, 48], block: [8, 8] };
        assert!(none.supported(&adapter).unwrap_err().contains("there is no kernel Gemm"));
        assert!(none.kernel(Direction::Forward).is_err() && Conv2dVariant::named("(no kernel)").is_none());
    }

    #[test]
    fn a_shader_is_of_one_kernel() {
        for (shader, variant) in [
            ("conv2d_gemm", Some(Conv2dVariant::GEMM)),
            ("conv2d_backward_input_blocks_gemm_64x64_f16", Some(Conv2dVariant::GEMM_64X64)),
            ("conv2d_gemm_128x128_16x8_split", Some(Conv2dVariant::GEMM_128X128_BY_16X8)),
            ("conv2d_backward_weight_subgroup_quad_pointwise", Some(Conv2dVariant::SUBGROUP_QUAD)),
            ("conv2d_backward_weight_gemm", Some(Conv2dVariant::GEMM)),
            ("conv2d_subgroup4", Some(Conv2dVariant::SUBGROUP4)),
            ("conv2d_cooperative_128x64_f16_eight", Some(Conv2dVariant::COOPERATIVE_128X64)),
            ("conv2d_backward_input_blocks_repair", None),
            ("fingerprint/subgroups", None),
        ] {
            assert_eq!(kernel_of(shaders::find(shader).expect("a shader")), variant, "{shader}");
        }
    }

    /// The documentation has a line for each kernel, with the size of its tile.
    #[test]
    fn every_kernel_is_documented() {
        let page = include_str!("../../docs/internals/kernels.md");
        for line in KERNELS {
            let quoted = format!("`{}`", line.name);
            let rows: Vec<&str> = page.lines().filter(|row| row.starts_with("| `")).collect();
            let named = rows.iter().any(|row| row.split('|').nth(1).is_some_and(|cell| cell.contains(&quoted)));
            assert!(named, "docs/internals/kernels.md has no row for {quoted}");
            let switch = page.lines().find(|line| line.starts_with("`GPU_RESNET_CONV2D=")).expect("the switch");
            let values = switch.split('`').nth(1).and_then(|text| text.split_once('=')).expect("its values").1;
            assert!(
                values.split('|').any(|value| value == line.name),
                "{quoted} is no value of GPU_RESNET_CONV2D there"
            );
        }
    }
}
