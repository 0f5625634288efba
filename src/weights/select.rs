//! Which of a file's tensors are the network: those under the one prefix that a ResNet stands under, the head beside or
//! above them, and what is left out.

use std::collections::BTreeMap;

use super::head::{self, Head};
use super::naming::{self, Style};
use super::text::{printable, some};

/// The network among a file's tensors.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// What stands before every name of the network in the file: `state_dict.module.`.
    pub prefix: String,
    /// Each tensor's place in the list that was given, by its name here.
    pub names: BTreeMap<String, usize>,
    /// Names in the file of what is beside the network and was not to be expected there.
    pub left_out: Vec<String>,
    pub head: Head,
}

/// Finds the network among tensors of these names and shapes. `same(a, b)` says whether two of them lie in the same place.
/// `key` is the prefix that the user wants. The error completes the sentence "FILE …".
pub(super) fn select(
    tensors: &[(&str, &[usize])],
    key: Option<&str>,
    same: impl Fn(usize, usize) -> bool,
) -> Result<Selection, String> {
    let index: BTreeMap<&str, usize> = tensors.iter().enumerate().map(|(i, (name, _))| (*name, i)).collect();
    let mut roots = naming::roots(tensors);
    if let Some(key) = key {
        let wanted = key.trim_end_matches('.');
        let under = |prefix: &str| {
            let prefix = prefix.trim_end_matches('.');
            prefix == wanted
                || prefix.strip_prefix(wanted).is_some_and(|rest| wanted.is_empty() || rest.starts_with('.'))
        };
        let there = listed(&roots);
        roots.retain(|(prefix, _)| under(prefix));
        // Of `model` and `model_ema.module`, the exact one where both are under the key.
        if let Some(exact) = roots.iter().find(|(prefix, _)| prefix.trim_end_matches('.') == wanted).cloned() {
            roots = vec![exact];
        }
        if roots.is_empty() {
            return Err(format!("holds no ResNet under {}; it holds {there}", printable(key)));
        }
    }
    let others: Vec<String> = naming::roots(tensors).into_iter().map(|(prefix, _)| prefix).take(32).collect();
    one_of_equals(&mut roots, tensors, &index, same);
    let (prefix, style) = match &roots[..] {
        [] => (naming::wrappers(tensors.iter().map(|(name, _)| *name)), Style::Torchvision),
        [one] => one.clone(),
        _ => {
            return Err(format!(
                "holds several networks ({}); choose one by --weights-key, such as --weights-key {}",
                listed(&roots),
                printable(roots[0].0.trim_end_matches('.'))
            ));
        }
    };
    let mut selection = collect(tensors, prefix, style, roots.is_empty())?;
    // Another network of the file is not taken by mistake for what this one lacks.
    let of_another = |name: &String| others.iter().any(|other| *other != selection.prefix && name.starts_with(other));
    let left_out = selection.left_out.iter().filter(|name| !of_another(name)).cloned().collect();
    selection.left_out = left_out;
    Ok(selection)
}

fn collect(tensors: &[(&str, &[usize])], prefix: String, style: Style, no_root: bool) -> Result<Selection, String> {
    let mut selection = Selection { prefix, ..Selection::default() };
    let mut beside = Vec::new();
    for (i, (original, _)) in tensors.iter().enumerate() {
        if original.ends_with("num_batches_tracked") {
            continue;
        }
        let short = original.strip_prefix(selection.prefix.as_str());
        match short {
            Some(short) if no_root || !is_of_training(short) => {
                let name = naming::to_torchvision(short, style);
                if let Some(other) = selection.names.insert(name, i) {
                    let (a, b) = (printable(tensors[other].0), printable(original));
                    return Err(format!("has {a} and {b}, which are two names of one tensor; remove one"));
                }
            }
            _ => beside.push(i),
        }
    }
    if !no_root {
        head::find(&mut selection, tensors, &mut beside);
    }
    let left_out = beside.into_iter().map(|i| tensors[i].0).filter(|name| !is_of_training(name));
    selection.left_out = left_out.map(str::to_owned).collect();
    Ok(selection)
}

/// Keeps one of several prefixes under which the same tensors lie: a module that another one holds too, as Lightning's
/// `backbone` and `model.backbone`. The one with most tensors stays, for it may have the head.
fn one_of_equals(
    roots: &mut Vec<(String, Style)>,
    tensors: &[(&str, &[usize])],
    index: &BTreeMap<&str, usize>,
    same: impl Fn(usize, usize) -> bool,
) {
    // More than any trainer writes: not worth the comparing.
    if !(2..=32).contains(&roots.len()) {
        return;
    }
    let under = |prefix: &str| tensors.iter().filter(|(name, _)| name.starts_with(prefix)).count();
    roots.sort_by_cached_key(|(prefix, _)| (std::cmp::Reverse(under(prefix)), prefix.clone()));
    let mut kept: Vec<(String, Style)> = Vec::new();
    for (prefix, style) in roots.drain(..) {
        let equal = |other: &(String, Style)| {
            let anchor = |name: &&str| name.starts_with(prefix.as_str()) && name.contains("layer");
            let mut common = tensors.iter().map(|(name, _)| *name).filter(anchor).peekable();
            other.1 == style
                && common.peek().is_some()
                && common.all(|name| {
                    let twin = format!("{}{}", other.0, &name[prefix.len()..]);
                    index.get(twin.as_str()).is_some_and(|twin| same(index[name], *twin))
                })
        };
        if !kept.iter().any(equal) {
            kept.push((prefix, style));
        }
    }
    kept.sort_by(|a, b| a.0.cmp(&b.0));
    *roots = kept;
}

fn listed(roots: &[(String, Style)]) -> String {
    if roots.is_empty() {
        return "none".into();
    }
    let names = roots.iter().map(|(prefix, _)| match prefix.trim_end_matches('.') {
        "" => "the outermost",
        prefix => prefix,
    });
    some(names)
}

/// Tensors of training rather than of the network: losses, metrics, counters, the optimiser's.
pub(super) fn is_of_training(name: &str) -> bool {
    const PARTS: [&str; 16] = [
        "optimizer",
        "optim",
        "lr_scheduler",
        "scheduler",
        "scaler",
        "rng_state",
        "cuda_rng_state",
        "criterion",
        "loss",
        "loss_fn",
        "metric",
        "metrics",
        "n_averaged",
        "best_acc1",
        "callbacks",
        "confusion_matrix",
    ];
    const STARTS: [&str; 9] =
        ["criterion_", "loss_", "metric_", "metrics_", "train_", "val_", "valid_", "test_", "best_"];
    name.split('.').any(|part| PARTS.contains(&part) || STARTS.iter().any(|start| part.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONV: &[usize] = &[4, 3, 3, 3];

    fn network(prefix: &str) -> Vec<String> {
        ["conv1.weight", "layer1.0.bn1.running_mean", "layer1.0.conv1.weight", "layer1.0.conv2.weight"]
            .map(|name| format!("{prefix}{name}"))
            .into()
    }

    fn selected(names: &[String], key: Option<&str>) -> Result<Selection, String> {
        let shape = |name: &str| -> &'static [usize] {
            match name {
                _ if name.contains("conv") => CONV,
                _ if name.ends_with(".weight") && !name.contains("bn") => &[3, 4],
                _ => &[4],
            }
        };
        let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), shape(name))).collect();
        select(&tensors, key, |_, _| false)
    }

    #[test]
    fn one_network_under_any_prefix() {
        for prefix in ["", "net.", "encoder.", "module.encoder_q.", "state_dict.model.backbone.", "a.b.c.d.e.f.g."] {
            let mut names = network(prefix);
            names.extend(["criterion.pos_weight", "n_averaged", "optimizer.state.0.exp_avg"].map(String::from));
            let found = selected(&names, None).unwrap();
            assert_eq!(found.prefix, prefix);
            let expected =
                ["conv1.weight", "layer1.0.bn1.running_mean", "layer1.0.conv1.weight", "layer1.0.conv2.weight"];
            assert_eq!(found.names.keys().collect::<Vec<_>>(), expected, "{prefix}");
            assert!(found.left_out.is_empty(), "{:?}", found.left_out);
        }
    }

    #[test]
    fn several_networks_are_listed_and_one_is_chosen() {
        let names = [network("state_dict."), network("state_dict_ema."), network("ema.module.")].concat();
        let text = selected(&names, None).unwrap_err();
        assert!(text.contains("ema.module, state_dict, state_dict_ema") && text.contains("--weights-key"), "{text}");
        for (key, prefix) in [("state_dict", "state_dict."), ("ema", "ema.module."), ("ema.module.", "ema.module.")] {
            assert_eq!(selected(&names, Some(key)).unwrap().prefix, prefix);
        }
        assert!(selected(&names, Some("state")).unwrap_err().contains("no ResNet under state; it holds ema.module"));
        // The same tensors under two names are one network.
        let twice = [network("model."), network("model_copy.")].concat();
        let tensors: Vec<_> = twice.iter().map(|name| (name.as_str(), CONV)).collect();
        assert_eq!(select(&tensors, None, |a, b| a % 4 == b % 4).unwrap().prefix, "model.");
        assert!(select(&tensors, None, |_, _| false).is_err());
    }

    #[test]
    fn gradients_are_no_network() {
        let names: Vec<String> = network("grad.").into_iter().filter(|name| !name.contains("bn1")).collect();
        let found = selected(&names, None).unwrap();
        assert!(found.prefix.is_empty() && found.names.contains_key("grad.conv1.weight"));
    }

    #[test]
    fn what_stands_beside_is_left_out_and_named() {
        let mut names = network("backbone.");
        names.extend(["decoder.conv.weight", "val_accuracy.total"].map(String::from));
        assert_eq!(selected(&names, None).unwrap().left_out, ["decoder.conv.weight"]);
        // What stands within the network is not.
        let mut names = network("");
        names.push("layer1.0.se.fc.weight".into());
        assert!(selected(&names, None).unwrap().names.contains_key("layer1.0.se.fc.weight"));
    }
}
