//! The type in which activations and weights are stored. Sums, biases and statistics are always f32.

use std::borrow::Cow;

use half::f16;

use crate::error::{Error, Result};
use crate::gpu::shaders::{self, Flags, flags};
use crate::gpu::{AdapterReport, KernelSpec};

/// The type of stored activations and weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits: every adapter.
    #[default]
    F32,
    /// 16 bits, up to 65,504, with half the memory and traffic: adapters with f16.
    F16,
}

impl Precision {
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// `f32` or `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// Bytes of four values.
    pub fn bytes4(self) -> u64 {
        match self {
            Self::F32 => 16,
            Self::F16 => 8,
        }
    }

    /// Whether the adapter has kernels for it; the reason if not.
    pub fn supported(self, adapter: &AdapterReport) -> Result<(), String> {
        if self == Self::F16 && !adapter.features.f16 {
            return Err(format!("the adapter {} has no f16", adapter.name));
        }
        Ok(())
    }

    /// The same with an error for the user.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where the adapter has none.
    pub fn check(self, adapter: &AdapterReport) -> Result<()> {
        let hint = |why| Error::NoAdapter(format!("{why}; use --precision f32, or another --adapter"));
        self.supported(adapter).map_err(hint)
    }

    /// Whether the operation `op` has kernels over maps of this type.
    pub fn has(self, op: &str) -> bool {
        let by_variant = ["conv2d", "conv2d_backward"].contains(&op);
        let has = |shader: &shaders::Shader| shader.file.shader(shader.flags.with(self.flags())).is_some();
        self == Self::F32 || by_variant || shaders::find(op).is_some_and(has)
    }

    /// The flags of shaders for maps of this type.
    fn flags(self) -> Flags {
        match self {
            Self::F32 => Flags::NONE,
            Self::F16 => flags::HALF,
        }
    }

    /// `kernel` for maps of this type.
    ///
    /// # Errors
    /// [`Error::Shape`] if the operation has none.
    pub(super) fn kernel(self, kernel: impl Into<KernelSpec>) -> Result<KernelSpec> {
        let plain = kernel.into();
        let kernel = plain.clone().with(self.flags());
        match kernel.shader() {
            Err(_) if self == Self::F16 => Err(Error::shape(plain.shader_name(), "has no kernel for f16; use f32")),
            found => found.map(|_| kernel),
        }
    }

    /// Values as they are uploaded, two to a word in f16; rounded to nearest.
    pub fn words(self, values: &[f32]) -> Cow<'_, [u32]> {
        match self {
            Self::F32 => Cow::Borrowed(bytemuck::cast_slice(values)),
            Self::F16 => {
                let half = |value: Option<&f32>| u32::from(f16::from_f32(value.copied().unwrap_or(0.0)).to_bits());
                values.chunks(2).map(|pair| half(pair.first()) | half(pair.get(1)) << 16).collect()
            }
        }
    }

    /// The first `count` values of the words read back.
    pub fn values(self, words: &[u32], count: usize) -> Vec<f32> {
        match self {
            Self::F32 => words[..count].iter().map(|&word| f32::from_bits(word)).collect(),
            Self::F16 => {
                let halves = words.iter().flat_map(|&word| [word as u16, (word >> 16) as u16]);
                halves.take(count).map(|half| f16::from_bits(half).to_f32()).collect()
            }
        }
    }

    /// Words of `count` values.
    pub fn word_count(self, count: usize) -> usize {
        match self {
            Self::F32 => count,
            Self::F16 => count.div_ceil(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip() {
        let values = [1.0, -2.5, 0.0, 65504.0, 5.960_464_5e-8];
        for precision in Precision::ALL {
            let words = precision.words(&values);
            assert_eq!(words.len(), precision.word_count(values.len()));
            assert_eq!(precision.values(&words, values.len()), values);
        }
        let rounded = Precision::F16.values(&Precision::F16.words(&[1.0 + 1.0 / 2048.0, 65520.0]), 2);
        assert_eq!(rounded, [1.0, f32::INFINITY]);
    }

    #[test]
    fn operations_on_maps_have_f16() {
        use crate::gpu::shaders::files::{adam, max_pool2d, pool2d_backward, relu_backward};
        let name = |kernel: KernelSpec| Precision::F16.kernel(kernel).map(|kernel| kernel.name());
        assert_eq!(name(relu_backward::FILE.into()).unwrap(), "relu_backward_f16");
        let indices = KernelSpec::new(max_pool2d::FILE).with(max_pool2d::INDICES);
        assert_eq!(name(indices).unwrap(), "max_pool2d_indices_f16");
        assert_eq!(name(pool2d_backward::FILE.into()).unwrap(), "avg_pool2d_backward_f16");
        for op in ["relu", "batch_norm_backward", "pack_weight", "max_pool2d_backward"] {
            assert!(Precision::F16.has(op), "{op}");
        }
        assert!(Precision::F16.has("conv2d_backward") && !Precision::F16.has("linear_backward"));
        assert!(name(adam::FILE.into()).unwrap_err().to_string().contains("adam: has no kernel for f16"));
    }
}
