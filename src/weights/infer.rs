//! Infers which network a file holds, from its metadata or else from names and shapes.

use std::collections::BTreeSet;

use super::text::{printable, quoted};
use super::{ARCHITECTURE_KEY, Weights};
use crate::error::{Error, Result};
use crate::model::{Architecture, BlockKind, Pool, Shortcut, Stem, StemKind, StrideIn};

/// Refuses an architecture that can't be built.
pub(super) fn validate(weights: &Weights, architecture: &Architecture) -> Result<()> {
    let refuse = |error| Error::file(weights.label(), format!("holds no network that can be built: {error}"));
    architecture.validate().map_err(refuse)
}

/// `architecture` with the projections of the file.
pub(super) fn complete(weights: &Weights, mut architecture: Architecture) -> Result<Architecture> {
    // Sizes are checked before they are used, and again with what the file adds.
    validate(weights, &architecture)?;
    adopt_projections(weights, &mut architecture);
    validate(weights, &architecture)?;
    Ok(architecture)
}

pub(super) fn from_metadata(weights: &Weights, json: &str) -> Result<Architecture> {
    let refuse =
        |error: String| Error::file(weights.label(), format!("the metadata key `{ARCHITECTURE_KEY}`: {error}"));
    let mut value: serde_json::Value = serde_json::from_str(json).map_err(|error| refuse(quoted(error)))?;
    if let (Some(keys), Some([classes, _])) = (value.as_object_mut(), weights.shape("fc.weight")) {
        keys.entry("classes").or_insert((*classes).into());
    }
    serde_json::from_value(value).map_err(|error| refuse(quoted(error)))
}

/// Replaces the description's projections by those of the file, if the file has complete ones. A file that lacks some of those that its
/// shortcut option requires keeps the option, and they are reported as missing.
fn adopt_projections(weights: &Weights, architecture: &mut Architecture) {
    if architecture.block == BlockKind::Plain {
        return;
    }
    let layers = architecture.layers();
    let holds = |name: &str| weights.contains(&format!("{name}.downsample.0.weight"));
    let present: BTreeSet<String> = layers.blocks().map(|b| &b.name).filter(|name| holds(name)).cloned().collect();
    let changing: BTreeSet<String> = layers.blocks().filter(|b| b.changes_shape()).map(|b| b.name.clone()).collect();
    let zero_pad = matches!(architecture.shortcut, Shortcut::ZeroPad | Shortcut::ZeroPadBoth);
    if zero_pad && !changing.is_empty() && changing.is_subset(&present) {
        architecture.shortcut = Shortcut::Projection;
    }
    let every = layers.blocks().count();
    if architecture.shortcut == Shortcut::Projection && present.len() == every && changing.len() < every {
        architecture.shortcut = Shortcut::ProjectionAll;
    }
    architecture.extra_projections = match architecture.shortcut {
        Shortcut::Projection => present.difference(&changing).cloned().collect(),
        Shortcut::ZeroPad | Shortcut::ZeroPadBoth => present,
        Shortcut::ProjectionAll | Shortcut::None => BTreeSet::new(),
    };
}

pub(super) fn from_shapes(weights: &Weights) -> Result<Architecture> {
    let refuse = |problem: String| Error::file(weights.label(), problem);
    if let Some((name, why)) = unsupported(weights) {
        return Err(refuse(format!(
            "has the tensor {}: {why}; use a plain ResNet, such as timm's `resnet50`",
            printable(name)
        )));
    }
    let Some(stem_shape) = weights.shape("conv1.weight") else {
        let names: Vec<_> = weights.names().take(3).map(printable).collect();
        let found = if names.is_empty() { "no tensors".into() } else { format!("{}, …", names.join(", ")) };
        return Err(refuse(format!("holds no ResNet: there is no `conv1.weight` among its names ({found})")));
    };
    let stem = match *stem_shape {
        [width, 3, 7, 7] => Stem { kind: StemKind::Imagenet, width, pool: Some(Pool::default()) },
        [width, 3, 3, 3] => Stem::cifar(width),
        ref other => {
            let problem = format!("conv1.weight is {other:?}; a stem has 3 input channels and a kernel of 7x7 or 3x3");
            return Err(refuse(problem));
        }
    };
    let depths = depths(weights).ok_or_else(|| refuse("holds no residual blocks: there is no `layer1.0`".into()))?;
    // Block 0 of each stage gives its sizes; if a tensor is missing, any other block does. Only existing names are looked up, because
    // hostile names can produce any depth.
    let dimension = |stage: usize, tensor: &str, axis: usize| {
        let is_it = |name: &&str| block_of(name).is_some_and(|(at, _, rest)| at == stage + 1 && rest == tensor);
        let mut sizes = weights.names().filter(is_it).filter_map(|name| weights.shape(name)?.get(axis).copied());
        let size = sizes.find(|size| *size > 0);
        size.ok_or_else(|| refuse(format!("has no layer{}.0.{tensor}", stage + 1)))
    };
    let stages = 0..depths.len();
    let bottleneck = weights.names().any(|name| block_of(name).is_some_and(|(_, _, rest)| rest == "conv3.weight"));
    let preact = weights.contains("bn.weight") && !weights.contains("bn1.weight");
    let sizes = if bottleneck {
        let outputs = stages.clone().map(|stage| dimension(stage, "conv3.weight", 0)).collect::<Result<Vec<_>>>()?;
        let inner = stages.map(|stage| dimension(stage, "conv2.weight", 0)).collect::<Result<Vec<_>>>()?;
        let groups = inner[0] / dimension(0, "conv2.weight", 1)?;
        bottleneck_sizes(&outputs, &inner, groups.max(1)).ok_or_else(|| {
            let problem =
                format!("has bottlenecks of {inner:?} channels with outputs of {outputs:?} and {groups} groups");
            refuse(problem + ", which no width_per_group and expansion describe")
        })?
    } else {
        let widths = stages.map(|stage| dimension(stage, "conv2.weight", 0)).collect::<Result<Vec<_>>>()?;
        Sizes { widths, expansion: 1, groups: 1, width_per_group: 64 }
    };
    let with_projections = weights.names().any(|name| name.contains(".downsample."));
    Ok(Architecture {
        block: match (bottleneck, preact) {
            (false, false) => BlockKind::Basic,
            (true, false) => BlockKind::Bottleneck,
            (false, true) => BlockKind::PreactBasic,
            (true, true) => BlockKind::PreactBottleneck,
        },
        depths,
        widths: sizes.widths,
        expansion: sizes.expansion,
        stem,
        stride_in: StrideIn::Middle3x3,
        shortcut: if with_projections { Shortcut::Projection } else { Shortcut::ZeroPad },
        groups: sizes.groups,
        width_per_group: sizes.width_per_group,
        bn_eps: 1e-5,
        // A file without a classifier has `fc.weight` reported as missing.
        classes: weights.shape("fc.weight").and_then(|shape| shape.first().copied()).unwrap_or(1000),
        extra_projections: BTreeSet::new(),
    })
}

struct Sizes {
    widths: Vec<usize>,
    expansion: usize,
    groups: usize,
    width_per_group: usize,
}

/// Widths, expansion and width per group that give every stage's `inner` and output channels. An expansion of 4 is
/// tried first, then a width per group of 64.
fn bottleneck_sizes(outputs: &[usize], inner: &[usize], groups: usize) -> Option<Sizes> {
    let (output, channels) = (*outputs.first()?, *inner.first()?);
    let per_group = |width: usize| channels.checked_mul(64)?.checked_div(width.checked_mul(groups)?);
    [(4, per_group(output / 4)), (output / channels.max(1), Some(64))].into_iter().find_map(|(expansion, per_group)| {
        let width_per_group = per_group?;
        let widths: Vec<_> = outputs.iter().map(|output| output.checked_div(expansion)).collect::<Option<_>>()?;
        let fits = widths.iter().zip(outputs).zip(inner).all(|((width, output), inner)| {
            let found = width.checked_mul(width_per_group).and_then(|width| (width / 64).checked_mul(groups));
            width * expansion == *output && found == Some(*inner)
        });
        fits.then_some(Sizes { widths, expansion, groups, width_per_group })
    })
}

/// Splits `layer2.0.conv1.weight` into stage 2, block 0 and `conv1.weight`.
fn block_of(name: &str) -> Option<(usize, usize, &str)> {
    let (stage, rest) = name.strip_prefix("layer")?.split_once('.')?;
    let (block, rest) = rest.split_once('.')?;
    Some((stage.parse().ok()?, block.parse().ok()?, rest))
}

/// Blocks in each stage by the highest number found; `None` without a first block. Absent blocks in between will be reported as missing.
fn depths(weights: &Weights) -> Option<Vec<usize>> {
    let mut depths = Vec::new();
    for (stage, block, _) in weights.names().filter_map(block_of) {
        // No ResNet has more than 9 stages; validation checks their number.
        if (1..=9).contains(&stage) {
            depths.resize(depths.len().max(stage), 0);
            depths[stage - 1] = depths[stage - 1].max(block.saturating_add(1));
        }
    }
    (depths.first().is_some_and(|depth| *depth > 0)).then_some(depths)
}

/// A tensor that reveals an unsupported variant, and the name of the variant.
fn unsupported(weights: &Weights) -> Option<(&str, &'static str)> {
    weights.names().find_map(|name| {
        let rank = weights.shape(name).map_or(0, <[usize]>::len);
        let why = if name == "conv1.0.weight" {
            "a deep stem of three 3x3 convolutions (as in timm's resnet50d) is not supported"
        } else if name.ends_with(".downsample.1.weight") && rank == 4 {
            "an average-pooled shortcut (as in timm's resnet50d) is not supported"
        } else if [".se.", ".se_module.", ".eca.", ".attn."].iter().any(|part| name.contains(part)) {
            "attention inside blocks (SE, ECA and the like) is not supported"
        } else if name.starts_with("conv1.") && name.ends_with(".bias")
            || name.contains(".conv") && name.ends_with(".bias")
        {
            "convolutions with a bias, as after folding batch normalisation, are not supported"
        } else if name.starts_with("stages.") || name.starts_with("stem.") {
            "networks with timm's ResNetV2 or RegNet names are not supported"
        } else {
            return None;
        };
        Some((name, why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bottleneck_widths_are_told_from_shapes() {
        let sizes = |outputs: &[usize], inner: &[usize], groups| {
            bottleneck_sizes(outputs, inner, groups).map(|s| (s.widths, s.expansion, s.groups, s.width_per_group))
        };
        assert_eq!(sizes(&[256, 512], &[64, 128], 1), Some((vec![64, 128], 4, 1, 64)));
        assert_eq!(sizes(&[256, 512], &[128, 256], 32), Some((vec![64, 128], 4, 32, 4)));
        assert_eq!(sizes(&[256, 512], &[128, 256], 1), Some((vec![64, 128], 4, 1, 128)));
        assert_eq!(sizes(&[30, 60], &[10, 20], 1), Some((vec![10, 20], 3, 1, 64)));
        assert_eq!(sizes(&[256, 512], &[64, 100], 1), None);
        assert_eq!(sizes(&[3, 5], &[64, 100], 1), None);
        assert_eq!(sizes(&[usize::MAX], &[usize::MAX], usize::MAX), None);
    }

    #[test]
    fn block_names() {
        assert_eq!(block_of("layer2.10.bn1.weight"), Some((2, 10, "bn1.weight")));
        assert_eq!(block_of("layer2.x.bn1.weight"), None);
        assert_eq!(block_of("fc.weight"), None);
    }
}
