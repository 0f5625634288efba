//! Optional abilities of adapters.

use serde::{Deserialize, Serialize};

pub(super) const MATRICES: wgpu::Features = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;

/// Optional abilities that make faster kernel variants; the default f32 path needs none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Features {
    pub f16: bool,
    pub subgroups: bool,
    pub timestamps: bool,
    pub pipeline_cache: bool,
    /// 64-bit integers in shaders.
    #[serde(default)]
    pub int64: bool,
    /// Cooperative matrices of 8x8x8 f32.
    #[serde(default)]
    pub matrices_f32: bool,
    /// Cooperative matrices of 16x16x16 f16 with f32 sums.
    #[serde(default)]
    pub matrices_f16: bool,
    /// Cooperative matrices of 8x8x8 f16 with f32 sums.
    #[serde(default)]
    pub matrices_f16_eight: bool,
    /// Plain arithmetic stands in for cooperative matrices; see [`super::DeviceOptions::emulated_matrices`].
    #[serde(default)]
    pub emulated_matrices: bool,
}

impl Features {
    /// Those among `features` of `adapter`.
    pub(super) fn of(adapter: &wgpu::Adapter, features: wgpu::Features) -> Self {
        use wgpu::CooperativeScalarType::{F16, F32};
        let matrices = |side, operands| {
            features.contains(MATRICES)
                && adapter
                    .cooperative_matrix_properties()
                    .iter()
                    .any(|p| [p.m_size, p.n_size, p.k_size] == [side; 3] && (p.ab_type, p.cr_type) == (operands, F32))
        };
        Self {
            matrices_f32: matrices(8, F32),
            matrices_f16: matrices(16, F16) && features.contains(wgpu::Features::SHADER_F16),
            matrices_f16_eight: matrices(8, F16) && features.contains(wgpu::Features::SHADER_F16),
            emulated_matrices: false,
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            pipeline_cache: features.contains(wgpu::Features::PIPELINE_CACHE),
            int64: features.contains(wgpu::Features::SHADER_INT64),
        }
    }
}

/// An optional ability that can be left unused, to bisect a driver bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum FeatureName {
    F16,
    Subgroups,
    Timestamps,
    PipelineCache,
    Int64,
    CooperativeMatrices,
}

impl FeatureName {
    pub(super) const ALL: [Self; 6] =
        [Self::F16, Self::Subgroups, Self::Timestamps, Self::PipelineCache, Self::Int64, Self::CooperativeMatrices];

    pub(super) fn bits(self) -> wgpu::Features {
        match self {
            Self::F16 => wgpu::Features::SHADER_F16,
            Self::Subgroups => wgpu::Features::SUBGROUP,
            Self::Timestamps => wgpu::Features::TIMESTAMP_QUERY,
            Self::PipelineCache => wgpu::Features::PIPELINE_CACHE,
            Self::Int64 => wgpu::Features::SHADER_INT64,
            Self::CooperativeMatrices => MATRICES,
        }
    }
}
