//! The classifier of a network, whatever it is called: torchvision's `fc`, and the names that others have for it.

use super::select::Selection;
use super::text::some;

/// What a file has for a classifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Head {
    /// One linear layer, under `fc.weight` and `fc.bias` here.
    Linear {
        /// Whether the file has a bias; zeros stand in for one that it lacks.
        bias: bool,
    },
    /// None at all.
    #[default]
    None,
    /// More than one linear layer, which is not run; the names of its tensors.
    Layers(Vec<String>),
}

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

/// Finds the head among the network's tensors or, where those have none, among those `beside` it under a shorter prefix, and
/// gives it torchvision's names.
pub(super) fn find(selection: &mut Selection, tensors: &[(&str, &[usize])], beside: &mut Vec<usize>) {
    let extent = |name: &str| tensors[*selection.names.get(name)?].1.first().copied();
    let features = features(selection.names.keys(), extent);
    let is_head = |name: &str| NAMES.contains(&name.split('.').next().unwrap_or_default());
    let inside: Vec<(String, usize)> =
        selection.names.iter().filter(|(name, _)| is_head(name)).map(|(name, i)| (name.clone(), *i)).collect();
    let above: Vec<(String, usize)> = beside
        .iter()
        .filter_map(|&i| {
            above(&selection.prefix, tensors[i].0).filter(|name| is_head(name)).map(|name| (name.to_owned(), i))
        })
        .collect();
    let outside = inside.is_empty();
    let found = if outside { above } else { inside };
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
    if !linear && found.iter().all(|(name, _)| name == "fc.weight" || name == "fc.bias") {
        // Misshapen: for the check to say.
        selection.head = Head::Linear { bias: true };
        return;
    }
    for (name, i) in &found {
        selection.names.remove(name);
        if linear {
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

/// The part of `name` after a prefix that `prefix` begins with: `head.weight` of `module.head.weight` for
/// `module.backbone.`.
fn above<'n>(prefix: &str, name: &'n str) -> Option<&'n str> {
    let common = prefix.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let cut = name.get(..common)?.rfind('.').map_or(0, |dot| dot + 1);
    name.get(cut..)
}

/// Channels after the last stage of a network of tensors called `names`, whose first extents `extent` knows; none if there is no
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

impl Head {
    /// Why there are no predictions, if there are none; it completes the sentence "FILE …".
    pub fn missing(&self) -> Option<String> {
        match self {
            Head::Linear { .. } => None,
            Head::None => Some("has no head (no classifier such as `fc`)".into()),
            Head::Layers(names) => {
                let names = some(names.iter().map(String::as_str));
                Some(format!("has a head of more than one linear layer ({names}), which is not run"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::select::select;
    use super::*;

    /// The head's names in the file that a network under `prefix` with these tensors of `[3, 4]` and `[3]` has.
    fn head(prefix: &str, names: &[&str]) -> (Head, bool) {
        let conv: &[usize] = &[4, 3, 3, 3];
        let body = ["conv1.weight", "layer1.0.bn1.running_mean", "layer1.0.conv1.weight", "layer1.0.conv2.weight"];
        let body = body.map(|name| format!("{prefix}{name}"));
        let body = body.iter().map(|name| (name.as_str(), conv));
        let more = names.iter().map(|name| (*name, if name.ends_with("bias") { &[3][..] } else { &[3, 4][..] }));
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
        assert_eq!(head("net.", &["other.weight"]), (Head::None, false));
    }
}
