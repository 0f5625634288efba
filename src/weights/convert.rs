//! Converts weights between formats, element types and naming schemes. The output is safetensors.

use std::borrow::Cow;
use std::path::Path;

use half::{bf16, f16};
use safetensors::Dtype;

use super::{ASSUMED_KEY, Description, RawTensor, Weights, metadata, naming, write_safetensors};
use crate::error::{Error, Result};
use crate::model::{Architecture, BlockKind, Shortcut, StemKind};

/// Element types that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum ElementType {
    /// 32 bits, IEEE 754.
    F32,
    /// 16 bits, IEEE 754: up to 65504.
    F16,
    /// 16 bits with the exponent of 32: the range of f32, 8 bits of precision.
    Bf16,
}

/// The naming scheme of the tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Names {
    /// torchvision's and timm's: `layer1.0.conv1.weight`.
    #[default]
    Torchvision,
    /// Hugging Face's `ResNetForImageClassification`: `resnet.encoder.stages.0.layers.0.layer.0.convolution.weight`.
    Transformers,
}

/// Writes a whole, checked network to `path`, with its architecture, labels and preprocessing in the metadata and the
/// counters that `load_state_dict(strict=True)` insists on. What was only assumed stays so: its keys are in `gpu_resnet.assumed`. Without a `dtype` each tensor keeps its own (f64 becomes f32).
///
/// # Errors
/// A value that the type can't hold, or a network that `transformers` has no names for.
pub fn convert(
    weights: &Weights,
    description: &Description,
    path: &Path,
    dtype: Option<ElementType>,
    names: Names,
) -> Result<()> {
    let Description { architecture, preprocess, labels, .. } = description;
    let assumed = description.assumed_keys();
    // Assumed names are not a fact of this file.
    let labels = labels.as_deref().filter(|_| !assumed.contains(&"labels"));
    if names == Names::Transformers {
        check_transformers(weights, architecture)?;
    }
    let renamed = |name: &str| match names {
        Names::Torchvision => name.to_owned(),
        Names::Transformers => naming::to_transformers(name).unwrap_or_else(|| name.to_owned()),
    };
    let mut tensors = Vec::new();
    for spec in architecture.parameters() {
        // Zeros that stand in for a head or its bias do not belong to the network.
        if weights.original_name(&spec.name).is_none() {
            continue;
        }
        let values = weights.tensor_f32(&spec.name)?;
        let kept = match weights.dtype(&spec.name) {
            Some(Dtype::F16) => ElementType::F16,
            Some(Dtype::BF16) => ElementType::Bf16,
            _ => ElementType::F32,
        };
        let (dtype, bytes) = encode(&values, dtype.unwrap_or(kept)).ok_or_else(|| {
            let problem = format!("{} has values past 65504, which f16 can't hold; take --dtype bf16", spec.name);
            Error::file(weights.label(), problem)
        })?;
        if let Some(bn) = spec.name.strip_suffix("running_var") {
            tensors.push(RawTensor {
                name: renamed(&format!("{bn}num_batches_tracked")).into(),
                dtype: Dtype::I64,
                shape: Cow::Borrowed(&[]),
                bytes: Cow::Borrowed(&[0; 8]),
            });
        }
        tensors.push(RawTensor {
            name: renamed(&spec.name).into(),
            dtype,
            shape: spec.shape.into(),
            bytes: bytes.into(),
        });
    }
    let preprocess = serde_json::to_string(preprocess).map_err(|error| Error::file(path, error))?;
    let mut metadata = metadata(architecture, labels, Some(&preprocess))?;
    if !assumed.is_empty() {
        metadata.insert(ASSUMED_KEY.into(), serde_json::to_string(&assumed).map_err(|error| Error::file(path, error))?);
    }
    write_safetensors(path, &tensors, &metadata)
}

/// Little-endian elements; None if one becomes infinite.
fn encode(values: &[f32], to: ElementType) -> Option<(Dtype, Vec<u8>)> {
    let halves = |round: fn(f32) -> ([u8; 2], bool)| {
        let rounded = values.iter().map(|value| round(*value)).map(|(bytes, finite)| finite.then_some(bytes));
        Some(rounded.collect::<Option<Vec<_>>>()?.concat())
    };
    Some(match to {
        ElementType::F32 => (Dtype::F32, bytemuck::cast_slice(values).to_vec()),
        ElementType::F16 => (Dtype::F16, halves(|x| (f16::from_f32(x).to_le_bytes(), f16::from_f32(x).is_finite()))?),
        ElementType::Bf16 => {
            (Dtype::BF16, halves(|x| (bf16::from_f32(x).to_le_bytes(), bf16::from_f32(x).is_finite()))?)
        }
    })
}

/// `transformers` has the networks of `ResNetConfig`: its 7x7 stem, post-activation blocks, projections.
fn check_transformers(weights: &Weights, architecture: &Architecture) -> Result<()> {
    let has = architecture.stem.kind == StemKind::Imagenet
        && matches!(architecture.block, BlockKind::Basic | BlockKind::Bottleneck)
        && architecture.shortcut == Shortcut::Projection
        && architecture.groups == 1
        && architecture.width_per_group == 64;
    if has {
        return Ok(());
    }
    let problem = format!("is {architecture}, which transformers' ResNet can't be; leave out --names transformers");
    Err(Error::file(weights.label(), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_rounded_and_never_infinite() {
        assert_eq!(encode(&[1.5, -2.0], ElementType::F16), Some((Dtype::F16, vec![0x00, 0x3e, 0x00, 0xc0])));
        assert_eq!(encode(&[1.5], ElementType::Bf16), Some((Dtype::BF16, vec![0xc0, 0x3f])));
        assert_eq!(encode(&[1.0], ElementType::F32), Some((Dtype::F32, vec![0, 0, 0x80, 0x3f])));
        assert!(encode(&[70_000.0], ElementType::F16).is_none() && encode(&[70_000.0], ElementType::Bf16).is_some());
    }
}
