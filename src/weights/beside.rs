//! Tensors beside a network that look like a part of its forward pass. Predictions ignore them, which must be reported.

use super::head::features;
use super::selection::{Head, Selection, below, is_of_body};

/// Last parts of the names of single values that scale the logits.
const SCALES: [&str; 5] = ["temperature", "logit_scale", "scale", "logit_bias", "temp"];

/// Names of the tensors that look like a part of the forward pass: a normalisation of the features, which makes the classifier
/// after it a head of several layers; a temperature; the mean and standard deviation of the images. Those within the network
/// move to `beside`.
pub(super) fn doubtful(
    selection: &mut Selection,
    tensors: &[(&str, &[usize])],
    beside: &mut Vec<usize>,
) -> Vec<String> {
    let moved: Vec<(String, usize)> = selection.names.iter().map(|(name, i)| (name.clone(), *i)).collect();
    let necks = necks(selection, tensors, beside);
    for (name, i) in moved {
        let shape = tensors[i].1;
        if necks.contains(&i) || !is_of_body(&name) && (is_scale(&name, shape) || is_of_images(&name, shape)) {
            selection.names.remove(&name);
            beside.push(i);
        }
    }
    let found = beside.iter().copied().filter(|&i| {
        let (name, shape) = (below(&selection.prefix, tensors[i].0), tensors[i].1);
        is_scale(name, shape) || is_of_images(name, shape)
    });
    let found: Vec<String> = found.map(|i| tensors[i].0.to_owned()).collect();
    if !necks.is_empty() {
        stack(selection, tensors, beside, &necks);
    }
    found
}

/// Makes a head of several layers of the normalisation and the classifier.
fn stack(selection: &mut Selection, tensors: &[(&str, &[usize])], beside: &mut Vec<usize>, necks: &[usize]) {
    let mut layers: Vec<usize> = necks.to_vec();
    match &selection.head {
        Head::None => return,
        Head::Linear { .. } => {
            layers.extend(["fc.weight", "fc.bias"].iter().filter_map(|name| selection.names.remove(*name)))
        }
        Head::Layers(names) => layers.extend((0..tensors.len()).filter(|i| names.iter().any(|n| n == tensors[*i].0))),
    }
    beside.retain(|i| !necks.contains(i));
    selection.head = Head::Layers(layers.iter().map(|i| tensors[*i].0.to_owned()).collect());
}

/// The tensors of normalisations of the features that are not part of the body.
fn necks(selection: &Selection, tensors: &[(&str, &[usize])], beside: &[usize]) -> Vec<usize> {
    let extent = |name: &str| tensors[*selection.names.get(name)?].1.first().copied();
    let Some(features) = features(selection.names.keys(), extent) else { return vec![] };
    let inside = selection.names.iter().filter(|(name, _)| !is_of_body(name) && !name.starts_with("fc."));
    let inside = inside.map(|(name, i)| (name.as_str(), *i));
    let all: Vec<(&str, usize)> =
        inside.chain(beside.iter().map(|&i| (below(&selection.prefix, tensors[i].0), i))).collect();
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    // A module with convolutions of its own, a decoder, is none.
    let others: Vec<String> =
        all.iter().filter(|(_, i)| tensors[*i].1.len() > 2).map(|(name, _)| first(name)).collect();
    let parameter = |name: &str| ["weight", "bias", "running_mean", "running_var"].iter().any(|p| name.ends_with(p));
    let is_neck = |(name, i): &&(&str, usize)| {
        let depth = name.split('.').count();
        (2..=3).contains(&depth) && parameter(name) && tensors[*i].1 == [features] && !others.contains(&first(name))
    };
    // The bias of a linear layer is no normalisation.
    let linear = |name: &str| {
        let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
        all.iter().any(|(other, i)| tensors[*i].1.len() == 2 && other.strip_suffix(".weight") == Some(stem))
    };
    all.iter().filter(is_neck).filter(|(name, _)| !linear(name)).map(|(_, i)| *i).collect()
}

fn is_scale(name: &str, shape: &[usize]) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    shape.iter().product::<usize>() == 1 && SCALES.contains(&last)
}

/// Mean or standard deviation of three channels.
pub(super) fn is_of_images(name: &str, shape: &[usize]) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_of_channels = matches!(shape, [3] | [3, 1, 1] | [1, 3, 1, 1]);
    is_of_channels && ["mean", "std", "pixel_mean", "pixel_std", "image_mean", "image_std"].contains(&last)
}

#[cfg(test)]
mod tests {
    use super::super::select::select;

    #[test]
    fn temperatures_and_the_images_normalisation_are_doubtful() {
        let conv: &[usize] = &[4, 3, 3, 3];
        let body = ["conv1.weight", "layer1.0.bn1.running_mean", "layer1.0.conv1.weight", "layer1.0.conv2.weight"];
        let more: [(&str, &[usize]); 4] =
            [("temperature", &[1]), ("normalize.std", &[1, 3, 1, 1]), ("other.scale", &[7]), ("queue.mean", &[4])];
        for prefix in ["", "model."] {
            let body = body.map(|name| format!("{prefix}{name}"));
            let tensors: Vec<_> = body.iter().map(|name| (name.as_str(), conv)).chain(more).collect();
            let found = select(&tensors, None, |_, _| false).unwrap();
            let mut doubtful = found.doubtful.clone();
            doubtful.sort();
            assert_eq!(doubtful, ["normalize.std", "temperature"], "{prefix}");
            assert!(!found.names.contains_key("temperature") && found.left_out.contains(&"temperature".to_owned()));
        }
    }
}
