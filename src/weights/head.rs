//! The classifier of a network under any name: torchvision's `fc`, and the names of other libraries.

use super::selection::{Head, Selection, below, is_of_body};

/// First parts of the names of heads.
const NAMES: [&str; 12] = [
    "fc",
    "linear",
    "classifier",
    "head",
    "heads",
    "last_linear",
    "logits",
    "output",
    "out",
    "cls",
    "cls_head",
    "classif",
];

/// Parts of names that occur on weights without a bias only in a margin loss, whose classifier is not a linear layer.
const MARGINS: [&str; 6] = ["arc", "cos", "margin", "sphere", "center", "proxy"];

/// Whether the tensor's name begins as a head's.
pub(super) fn has_name(name: &str) -> bool {
    NAMES.contains(&name.split('.').next().unwrap_or_default())
}

/// Finds the head among the network's tensors and those `beside` it under a shorter prefix, and gives it torchvision's names. If
/// there is a linear layer both in the network and beside it, the second follows the first.
pub(super) fn find(selection: &mut Selection, tensors: &[(&str, &[usize])], beside: &mut Vec<usize>) {
    let extent = |name: &str| tensors[*selection.names.get(name)?].1.first().copied();
    let features = features(selection.names.keys(), extent);
    let found = candidates(selection, tensors, beside, features);
    if found.is_empty() {
        return;
    }
    let shape = |i: usize| tensors[i].1;
    let weights: Vec<&(String, usize)> = found.iter().filter(|(_, i)| shape(*i).len() == 2).collect();
    let linear = match &weights[..] {
        [(name, i)] if found.len() <= 2 => {
            let stem = name.strip_suffix(".weight");
            let fits = stem == Some("fc") || features.is_none_or(|features| shape(*i)[1] == features);
            let bias = stem.map(|stem| format!("{stem}.bias"));
            let others = found.iter().filter(|(other, _)| other != name).all(|(other, _)| Some(other) == bias.as_ref());
            stem.is_some() && fits && others
        }
        _ => false,
    };
    if !linear && found.len() <= 2 && found.iter().all(|(name, _)| name == "fc.weight" || name == "fc.bias") {
        // A wrong shape is reported by the check.
        selection.head = Head::Linear { bias: true };
        return;
    }
    for (name, i) in &found {
        if selection.names.get(name) == Some(i) {
            selection.names.remove(name);
        }
    }
    if linear {
        for (name, i) in &found {
            let part = if name.ends_with(".weight") { "weight" } else { "bias" };
            selection.names.insert(format!("fc.{part}"), *i);
        }
    }
    beside.retain(|i| !found.iter().any(|(_, head)| head == i));
    selection.head = match linear {
        true => Head::Linear { bias: found.len() == 2 },
        false => Head::Layers(found.iter().map(|(_, i)| tensors[*i].0.to_owned()).collect()),
    };
}

/// The tensors of the head, under the names that they have below the network's prefix or beside it.
fn candidates(
    selection: &Selection,
    tensors: &[(&str, &[usize])],
    beside: &[usize],
    features: Option<usize>,
) -> Vec<(String, usize)> {
    let inside = || selection.names.iter().map(|(name, i)| (name.clone(), *i));
    let outside = || beside.iter().map(|&i| (below(&selection.prefix, tensors[i].0).to_owned(), i));
    let is_weight = |(name, i): &(String, usize)| tensors[*i].1.len() == 2 && name.ends_with(".weight");
    let named: Vec<_> = inside().filter(|(name, _)| has_name(name)).collect();
    let above: Vec<_> = outside().filter(|(name, _)| has_name(name)).collect();
    if named.is_empty() && !above.is_empty() {
        return above;
    }
    if !named.is_empty() {
        let stacked = above.iter().any(is_weight);
        return named.into_iter().chain(above.into_iter().filter(|_| stacked)).collect();
    }
    // No usual name: the only linear layer that takes the features, whatever its name.
    let in_head = |(name, _): &(String, usize)| !is_of_body(name);
    let weights: Vec<_> = inside().filter(in_head).chain(outside()).filter(is_weight).collect();
    if let [(name, i)] = &weights[..]
        && Some(tensors[*i].1[1]) == features
    {
        let bias = format!("{}bias", name.trim_end_matches("weight"));
        let bias = inside().chain(outside()).find(|(other, j)| *other == bias && tensors[*j].1 == &tensors[*i].1[..1]);
        let usual = NAMES.iter().chain(&["pred", "final", "class"]).any(|word| name.contains(word));
        if bias.is_some() || usual && !MARGINS.iter().any(|word| name.contains(word)) {
            return [(name.clone(), *i)].into_iter().chain(bias).collect();
        }
    }
    // Several layers of unusual names within the network are a head too, such as a projection head and its prototypes.
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let groups: Vec<_> = inside().filter(in_head).filter(is_weight).map(|(name, _)| first(&name)).collect();
    inside().filter(|(name, _)| groups.contains(&first(name))).collect()
}

/// Channels after the last stage of a network with tensors called `names`, whose first extents `extent` returns; `None` if there is no
/// stage.
pub(super) fn features<'n>(
    names: impl Iterator<Item = &'n String> + Clone,
    extent: impl Fn(&str) -> Option<usize>,
) -> Option<usize> {
    let stage = |name: &'n String| name.split('.').next().filter(|stage| stage.starts_with("layer"));
    let last = names.clone().filter_map(stage).max()?;
    let width = |conv: &str| {
        let name = names.clone().find(|name| stage(name) == Some(last) && name.ends_with(conv))?;
        extent(name)
    };
    width(".conv3.weight").or_else(|| width(".conv2.weight"))
}

#[cfg(test)]
mod tests {
    use super::super::select::select;
    use super::*;

    /// Of a classifier of 3 classes from 4 features, and of a normalisation of those.
    fn shape(name: &str) -> &'static [usize] {
        match name {
            _ if name.ends_with("running_mean") || name.contains("norm_weight") => &[4],
            _ if name.ends_with("bias") => &[3],
            _ => &[3, 4],
        }
    }

    /// The head's names in the file that a network under `prefix` with these tensors of `[3, 4]` and `[3]` has.
    fn head(prefix: &str, names: &[&str]) -> (Head, bool) {
        let conv: &[usize] = &[4, 3, 3, 3];
        let body = ["conv1.weight", "layer1.0.bn1.running_mean", "layer1.0.conv1.weight", "layer1.0.conv2.weight"];
        let body = body.map(|name| format!("{prefix}{name}"));
        let body = body.iter().map(|name| (name.as_str(), conv));
        let more = names.iter().map(|name| (*name, shape(name)));
        let tensors: Vec<_> = body.chain(more).collect();
        let found = select(&tensors, None, |_, _| false).unwrap();
        (found.head, found.names.contains_key("fc.weight"))
    }

    #[test]
    fn a_linear_layer_under_any_usual_name() {
        for name in ["fc", "linear", "classifier", "head.fc", "fc.0", "fc.1", "last_linear", "classifier.1"] {
            let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
            assert_eq!(head("", &[&weight, &bias]), (Head::Linear { bias: true }, true), "{name}");
            assert_eq!(head("", &[&weight]), (Head::Linear { bias: false }, true), "{name}");
        }
        // Beside the network rather than in it.
        for weight in ["head.weight", "module.classifier.weight", "module.net.fc.weight"] {
            assert_eq!(head("module.net.", &[weight]), (Head::Linear { bias: false }, true), "{weight}");
        }
    }

    #[test]
    fn other_heads_are_none() {
        assert_eq!(head("", &[]), (Head::None, false));
        let (layers, has) = head("", &["fc.0.weight", "fc.0.bias", "fc.2.weight", "fc.2.bias"]);
        assert!(!has && layers.missing().unwrap().contains("fc.2.weight"));
        assert!(Head::None.missing().unwrap().contains("no head"));
        assert_eq!(head("net.", &["arcface.weight"]), (Head::None, false));
    }

    #[test]
    fn a_classifier_on_top_of_a_whole_network_is_a_second_layer() {
        let (layers, has) = head("resnet.", &["resnet.fc.weight", "resnet.fc.bias", "fc.weight", "fc.bias"]);
        let Head::Layers(names) = layers else { panic!("{layers:?}") };
        assert!(!has && names.contains(&"fc.weight".to_owned()) && names.contains(&"resnet.fc.weight".to_owned()));
    }

    #[test]
    fn the_only_linear_layer_that_takes_the_features_is_the_head() {
        for name in ["final", "pred", "fc1", "new_fc", "anything"] {
            let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
            assert_eq!(head("", &[&weight, &bias]), (Head::Linear { bias: true }, true), "{name}");
            assert_eq!(head("net.", &[&weight, &bias]), (Head::Linear { bias: true }, true), "{name}");
        }
        // Two are a head of several layers, so that the features can be computed.
        let (layers, has) = head("", &["projection_head.0.weight", "projection_head.0.bias", "prototypes.weight"]);
        assert!(!has && matches!(&layers, Head::Layers(names) if names.len() == 3), "{layers:?}");
    }

    #[test]
    fn a_normalisation_before_the_classifier_makes_it_a_head_of_several_layers() {
        for neck in ["bottleneck.running_mean", "bnneck.running_mean", "norm_weight.bias"] {
            let (layers, has) = head("base.", &[neck, "classifier.weight"]);
            assert!(!has && layers.missing().is_some_and(|why| why.contains(neck)), "{neck}: {layers:?}");
        }
        let (layers, has) = head("", &["bottleneck.running_mean", "classifier.weight"]);
        assert!(!has && matches!(layers, Head::Layers(_)));
        // Of another width it is not before the classifier.
        assert_eq!(head("base.", &["other.bias", "classifier.weight"]).0, Head::Linear { bias: false });
    }
}
