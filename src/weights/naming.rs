//! Other libraries' tensor names, turned into torchvision's. timm's are the same for plain ResNets.

use std::collections::{BTreeMap, BTreeSet};

/// Prefixes of wrappers, for names that the network itself does not identify.
const PREFIXES: [&str; 4] = ["module.", "model.", "backbone.", "_orig_mod."];

/// The naming scheme of a network's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// torchvision's, timm's; also kuangliu's CIFAR networks, whose projections are `shortcut`.
    Torchvision,
    /// Hugging Face's: `embedder`, `encoder.stages`.
    Transformers,
    /// The children of torchvision's network by number, as in `nn.Sequential(*model.children())`.
    Children,
}

/// Every prefix under which there is a ResNet, and its naming scheme. Running statistics must be present, since gradients and an
/// optimiser's moments have the same names without them.
pub(super) fn roots(tensors: &[(&str, &[usize])]) -> Vec<(String, Style)> {
    let anchors = [
        ("layer1.0.conv1.weight", "layer1.0.bn1.running_mean", Style::Torchvision),
        ("embedder.embedder.convolution.weight", "embedder.embedder.normalization.running_mean", Style::Transformers),
        ("4.0.conv1.weight", "1.running_mean", Style::Children),
    ];
    // For numbered children the stem must be present too; a number alone may belong to anything.
    let stems = tensors.iter().filter(|(_, shape)| matches!(shape, [_, 3, _, _]));
    let stems: BTreeSet<&str> = stems.filter_map(|(name, _)| name.strip_suffix("0.weight")).collect();
    let names: BTreeSet<&str> = tensors.iter().map(|(name, _)| *name).collect();
    let mut found = BTreeMap::new();
    for (name, shape) in tensors {
        for (anchor, statistics, style) in anchors {
            let Some(prefix) = name.strip_suffix(anchor) else { continue };
            let whole = prefix.is_empty() || prefix.ends_with('.');
            let normalised = || names.contains(format!("{prefix}{statistics}").as_str());
            if whole && shape.len() == 4 && normalised() && (style != Style::Children || stems.contains(prefix)) {
                found.entry(prefix.to_owned()).or_insert(style);
            }
        }
    }
    found.into_iter().collect()
}

/// The wrappers' prefixes that all names share.
pub(super) fn wrappers<'a>(names: impl Iterator<Item = &'a str> + Clone) -> String {
    let Some(first) = names.clone().next() else { return String::new() };
    let mut length = 0;
    while let Some(prefix) = PREFIXES.iter().find(|prefix| first[length..].starts_with(**prefix)) {
        let longer = &first[..length + prefix.len()];
        if !names.clone().all(|name| name.starts_with(longer)) {
            break;
        }
        length = longer.len();
    }
    first[..length].to_owned()
}

/// torchvision's name for the tensor `name` under the network's prefix; an unknown name stays.
pub(super) fn to_torchvision(name: &str, style: Style) -> String {
    let known = match style {
        Style::Torchvision => from_shortcut(name),
        Style::Transformers => from_transformers(name),
        Style::Children => from_children(name),
    };
    known.unwrap_or_else(|| name.to_owned())
}

/// `layer2.0.shortcut.0.weight` as `layer2.0.downsample.0.weight`.
fn from_shortcut(name: &str) -> Option<String> {
    let (block, rest) = name.strip_prefix("layer")?.split_once(".shortcut.")?;
    Some(format!("layer{block}.downsample.{rest}"))
}

fn from_children(name: &str) -> Option<String> {
    let (number, rest) = name.split_once('.')?;
    let part = match number.parse::<u32>().ok()? {
        0 => "conv1".to_owned(),
        1 => "bn1".to_owned(),
        stage @ 4..=7 => format!("layer{}", stage - 3),
        9 => "fc".to_owned(),
        _ => return None,
    };
    Some(format!("{part}.{rest}"))
}

/// Hugging Face `transformers`' `ResNetForImageClassification` and `ResNetModel`; None for any other name.
fn from_transformers(name: &str) -> Option<String> {
    if let Some(parameter) = name.strip_prefix("classifier.1.") {
        return Some(format!("fc.{parameter}"));
    }
    let name = name.strip_prefix("resnet.").unwrap_or(name);
    let layer = |place: &str, conv: String, bn: String| {
        let (kind, parameter) = place.split_once('.')?;
        match kind {
            "convolution" => Some(format!("{conv}.{parameter}")),
            "normalization" => Some(format!("{bn}.{parameter}")),
            _ => None,
        }
    };
    if let Some(place) = name.strip_prefix("embedder.embedder.") {
        return layer(place, "conv1".into(), "bn1".into());
    }
    let (stage, rest) = name.strip_prefix("encoder.stages.")?.split_once('.')?;
    let stage = stage.parse::<u32>().ok()?.checked_add(1)?;
    let (block, rest) = rest.strip_prefix("layers.")?.split_once('.')?;
    let block = format!("layer{stage}.{}", block.parse::<u32>().ok()?);
    if let Some(place) = rest.strip_prefix("shortcut.") {
        return layer(place, format!("{block}.downsample.0"), format!("{block}.downsample.1"));
    }
    let (position, place) = rest.strip_prefix("layer.")?.split_once('.')?;
    let number = position.parse::<u32>().ok()?.checked_add(1)?;
    layer(place, format!("{block}.conv{number}"), format!("{block}.bn{number}"))
}

/// The name of a torchvision tensor in `ResNetForImageClassification`.
pub(super) fn to_transformers(name: &str) -> Option<String> {
    let layer = |place: &str| {
        let (kind, parameter) = place.split_once('.')?;
        let (convolution, number) = match kind {
            "0" => (true, 1),
            "1" => (false, 1),
            _ => match kind.strip_prefix("conv") {
                Some(number) => (true, number.parse().ok()?),
                None => (false, kind.strip_prefix("bn")?.parse::<u32>().ok()?),
            },
        };
        let kind = if convolution { "convolution" } else { "normalization" };
        Some((number.checked_sub(1)?, format!("{kind}.{parameter}")))
    };
    if let Some(parameter) = name.strip_prefix("fc.") {
        return Some(format!("classifier.1.{parameter}"));
    }
    let Some(rest) = name.strip_prefix("layer") else {
        return Some(format!("resnet.embedder.embedder.{}", layer(name)?.1));
    };
    let (stage, rest) = rest.split_once('.')?;
    let (block, rest) = rest.split_once('.')?;
    let block = format!("resnet.encoder.stages.{}.layers.{block}", stage.parse::<u32>().ok()?.checked_sub(1)?);
    Some(match rest.strip_prefix("downsample.") {
        Some(place) => format!("{block}.shortcut.{}", layer(place)?.1),
        None => {
            let (position, place) = layer(rest)?;
            format!("{block}.layer.{position}.{place}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transformers_names() {
        for (theirs, ours) in [
            ("resnet.embedder.embedder.convolution.weight", "conv1.weight"),
            ("resnet.embedder.embedder.normalization.running_var", "bn1.running_var"),
            ("resnet.encoder.stages.0.layers.0.layer.0.convolution.weight", "layer1.0.conv1.weight"),
            ("resnet.encoder.stages.3.layers.2.layer.2.normalization.bias", "layer4.2.bn3.bias"),
            ("encoder.stages.1.layers.0.shortcut.convolution.weight", "layer2.0.downsample.0.weight"),
            ("encoder.stages.1.layers.0.shortcut.normalization.weight", "layer2.0.downsample.1.weight"),
            ("classifier.1.bias", "fc.bias"),
        ] {
            assert_eq!(from_transformers(theirs).as_deref(), Some(ours));
            let whole = if theirs.starts_with("encoder") { format!("resnet.{theirs}") } else { theirs.to_owned() };
            assert_eq!(to_transformers(ours), Some(whole));
        }
        for other in ["encoder.stages.x.layers.0.layer.0.convolution.weight", "encoder.stages.4294967295.layers.0.a.b"]
        {
            assert_eq!(from_transformers(other), None);
        }
    }

    #[test]
    fn wrappers_that_all_share_go() {
        assert_eq!(wrappers(["module.model.conv1.weight", "module.model.fc.bias"].into_iter()), "module.model.");
        assert_eq!(wrappers(["model.conv1.weight", "fc.bias"].into_iter()), "");
        assert_eq!(wrappers(["module.", "module.x"].into_iter()), "module.");
    }

    #[test]
    fn other_styles() {
        for (theirs, style, ours) in [
            ("layer2.0.shortcut.1.running_var", Style::Torchvision, "layer2.0.downsample.1.running_var"),
            ("layer2.0.conv1.weight", Style::Torchvision, "layer2.0.conv1.weight"),
            ("0.weight", Style::Children, "conv1.weight"),
            ("1.running_mean", Style::Children, "bn1.running_mean"),
            ("7.1.bn2.bias", Style::Children, "layer4.1.bn2.bias"),
            ("9.bias", Style::Children, "fc.bias"),
            ("8.weight", Style::Children, "8.weight"),
        ] {
            assert_eq!(to_torchvision(theirs, style), ours);
        }
    }
}
