//! Other libraries' tensor names, turned into torchvision's. timm's are the same for plain ResNets.

use std::collections::BTreeMap;

use safetensors::tensor::TensorInfo;

/// What wrappers put before every name: data parallel, Lightning modules, detection backbones, `torch.compile`.
const PREFIXES: [&str; 4] = ["module.", "model.", "backbone.", "_orig_mod."];

/// Each tensor's name in the file and what the header says of it, by its name here.
pub type Renamed<'a> = BTreeMap<String, (&'a str, &'a TensorInfo)>;

/// The tensors of a file under torchvision's names, without the `num_batches_tracked` counters. Fails with the two
/// original names when they would have one name.
pub fn to_torchvision<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a TensorInfo)>,
) -> Result<Renamed<'a>, (&'a str, &'a str)> {
    let tensors: Vec<_> = tensors.filter(|(name, _)| !name.ends_with("num_batches_tracked")).collect();
    let skip = shared_prefix(tensors.iter().map(|(name, _)| *name));
    let transformers = tensors.iter().any(|(name, _)| name[skip..].contains("embedder.embedder."));
    let mut named = BTreeMap::new();
    for (original, info) in tensors {
        let short = &original[skip..];
        let name = if transformers { from_transformers(short) } else { None };
        if let Some((other, _)) = named.insert(name.unwrap_or_else(|| short.to_owned()), (original, info)) {
            return Err((other, original));
        }
    }
    Ok(named)
}

/// Length of the wrappers' prefixes that all names share.
fn shared_prefix<'a>(names: impl Iterator<Item = &'a str> + Clone) -> usize {
    let Some(first) = names.clone().next() else { return 0 };
    let mut length = 0;
    while let Some(prefix) = PREFIXES.iter().find(|prefix| first[length..].starts_with(**prefix)) {
        let longer = &first[..length + prefix.len()];
        if !names.clone().all(|name| name.starts_with(longer)) {
            break;
        }
        length = longer.len();
    }
    length
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

/// The name that `ResNetForImageClassification` has for one of torchvision's.
pub fn to_transformers(name: &str) -> Option<String> {
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
    use safetensors::Dtype;

    fn renamed(names: &[&str]) -> Vec<String> {
        let info = TensorInfo { dtype: Dtype::F32, shape: vec![], data_offsets: (0, 4) };
        to_torchvision(names.iter().map(|name| (*name, &info))).unwrap().into_keys().collect()
    }

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
    fn shared_prefixes_go() {
        assert_eq!(renamed(&["module.model.conv1.weight", "module.model.fc.bias"]), ["conv1.weight", "fc.bias"]);
        assert_eq!(renamed(&["model.conv1.weight", "fc.bias"]), ["fc.bias", "model.conv1.weight"]);
        assert_eq!(renamed(&["conv1.weight", "bn1.num_batches_tracked"]), ["conv1.weight"]);
        assert_eq!(renamed(&["module.", "module.x"]), ["", "x"]);
    }

    #[test]
    fn two_tensors_of_one_name_are_refused() {
        let info = TensorInfo { dtype: Dtype::F32, shape: vec![], data_offsets: (0, 4) };
        let names = ["resnet.embedder.embedder.convolution.weight", "conv1.weight"];
        assert!(to_torchvision(names.iter().map(|name| (*name, &info))).is_err());
    }
}
