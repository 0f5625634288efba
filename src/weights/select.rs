//! Selects the tensors of the network in a file: those under the one prefix of a ResNet, and the head beside or above them; lists what
//! is ignored.

use std::collections::BTreeMap;

use super::beside;
use super::head;
use super::naming::{self, Style};
use super::selection::{Selection, below, is_of_training, of_another};
use super::text::{printable, some};

/// The most networks that are distinguished in one file.
const MOST_ROOTS: usize = 32;

/// Finds the network among tensors of these names and shapes. `same(a, b)` says whether two of them lie in the same place.
/// `key` is the prefix that the user wants. The error completes the sentence "FILE …".
pub(super) fn select(
    tensors: &[(&str, &[usize])],
    key: Option<&str>,
    same: impl Fn(usize, usize) -> bool,
) -> Result<Selection, String> {
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
        // The exact one, if several are under the key, such as `model` and `model_ema.module`.
        if let Some(exact) = roots.iter().find(|(prefix, _)| prefix.trim_end_matches('.') == wanted).cloned() {
            roots = vec![exact];
        }
        if roots.is_empty() {
            return Err(format!("holds no ResNet under {}; it holds {there}", printable(key)));
        }
    }
    let all: Vec<String> = naming::roots(tensors).into_iter().map(|(prefix, _)| prefix).take(MOST_ROOTS).collect();
    one_of_equals(&mut roots, &all, tensors, same);
    let (prefix, style) = match &roots[..] {
        [] => (naming::wrappers(tensors.iter().map(|(name, _)| *name)), Style::Torchvision),
        [one] => one.clone(),
        _ => {
            return Err(format!(
                "holds several networks ({}); choose one by --weights-key, such as --weights-key {}",
                listed(&roots),
                argument(roots[0].0.trim_end_matches('.'))
            ));
        }
    };
    let others = all.into_iter().filter(|other| *other != prefix).collect();
    collect(tensors, Selection { prefix, others, ..Selection::default() }, style, roots.is_empty())
}

/// `key` quoted for a shell.
fn argument(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match key {
        "" => "\"\"".into(),
        key if key.chars().all(plain) => key.into(),
        key => format!("'{}'", printable(key).replace('\'', "'\\''")),
    }
}

fn collect(
    tensors: &[(&str, &[usize])],
    mut selection: Selection,
    style: Style,
    no_root: bool,
) -> Result<Selection, String> {
    let mut beside = Vec::new();
    for (i, (original, _)) in tensors.iter().enumerate() {
        // Another network of the file must not be mistaken for what this one lacks.
        let of_another = || of_another(&selection.prefix, &selection.others, original);
        if original.ends_with("num_batches_tracked") || of_another() {
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
            // A wrapper may be called `best_model`: only the names below it say what a tensor is for.
            _ if is_of_training(below(&selection.prefix, original)) => {}
            _ => beside.push(i),
        }
    }
    if !no_root {
        head::find(&mut selection, tensors, &mut beside);
        selection.doubtful = beside::doubtful(&mut selection, tensors, &mut beside);
    }
    selection.left_out = beside.into_iter().map(|i| tensors[i].0.to_owned()).collect();
    Ok(selection)
}

/// Keeps one of several prefixes for the same tensors: a module that another one also holds, like Lightning's `backbone` and
/// `model.backbone`. They are equal only if every tensor of the smaller one, including its head, is the other's: two networks may share
/// their layers and differ in the rest. The one with most tensors stays.
fn one_of_equals(
    roots: &mut Vec<(String, Style)>,
    all: &[String],
    tensors: &[(&str, &[usize])],
    same: impl Fn(usize, usize) -> bool,
) {
    // More than any trainer writes: not worth comparing.
    if !(2..=MOST_ROOTS).contains(&roots.len()) {
        return;
    }
    let parts = |prefix: &str| -> BTreeMap<String, usize> {
        let part = |name: &str| match name.strip_prefix(prefix) {
            _ if of_another(prefix, all, name) => None,
            Some(short) => (!is_of_training(short)).then(|| short.to_owned()),
            None => {
                Some(below(prefix, name)).filter(|short| head::has_name(short)).map(|short| format!("beside {short}"))
            }
        };
        let own = tensors.iter().enumerate().filter(|(_, (name, _))| !name.ends_with("num_batches_tracked"));
        own.filter_map(|(i, (name, _))| Some((part(name)?, i))).collect()
    };
    let mut found: Vec<_> = roots.drain(..).map(|root| (parts(&root.0), root)).collect();
    found.sort_by_cached_key(|(parts, (prefix, _))| (std::cmp::Reverse(parts.len()), prefix.clone()));
    let mut kept: Vec<(BTreeMap<String, usize>, (String, Style))> = Vec::new();
    for (parts, root) in found {
        let twin = |larger: &BTreeMap<String, usize>| {
            parts.iter().all(|(name, i)| larger.get(name).is_some_and(|twin| same(*i, *twin)))
        };
        if !kept.iter().any(|(larger, other)| other.1 == root.1 && twin(larger)) {
            kept.push((parts, root));
        }
    }
    *roots = kept.into_iter().map(|(_, root)| root).collect();
    roots.sort_by(|a, b| a.0.cmp(&b.0));
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

#[cfg(test)]
mod tests {
    use super::super::selection::Head;
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
        // The same tensors under two names are one network; with another stem or head they are two.
        let twice = [network("model."), network("model_copy.")].concat();
        let tensors: Vec<_> = twice.iter().map(|name| (name.as_str(), CONV)).collect();
        assert_eq!(select(&tensors, None, |a, b| a % 4 == b % 4).unwrap().prefix, "model.");
        assert!(select(&tensors, None, |_, _| false).is_err());
        let stem = |a: usize, b: usize| a % 4 == b % 4 && !a.is_multiple_of(4);
        assert!(select(&tensors, None, stem).is_err());
        let heads = [network("a.net."), network("b.net."), vec!["a.fc.weight".into(), "b.fc.weight".into()]].concat();
        let shape = |name: &str| if name.contains("fc") { &[3, 4] } else { CONV };
        let tensors: Vec<_> = heads.iter().map(|name| (name.as_str(), shape(name))).collect();
        let shared = |a: usize, b: usize| a == b || a < 8 && b < 8 && a % 4 == b % 4;
        assert!(select(&tensors, None, shared).unwrap_err().contains("a.net, b.net"));
        let whole = |a: usize, b: usize| shared(a, b) || a.min(b) == 8;
        assert_eq!(select(&tensors, None, whole).unwrap().prefix, "a.net.");
    }

    #[test]
    fn a_network_inside_of_another_and_the_one_around_it() {
        let mut names = [network(""), network("ema.")].concat();
        names.extend(["fc.weight", "ema.fc.weight"].map(String::from));
        let text = selected(&names, None).unwrap_err();
        assert!(text.ends_with("--weights-key \"\""), "{text}");
        for (key, prefix) in [("", ""), ("ema", "ema.")] {
            let found = selected(&names, Some(key)).unwrap();
            assert_eq!((found.prefix.as_str(), found.names.len()), (prefix, 5), "{:?}", found.names);
            assert_eq!(tensor_of(&names, &found, "fc.weight"), format!("{prefix}fc.weight"));
            assert!(found.left_out.is_empty() && !found.holds("other.x") || prefix.is_empty());
        }
        assert_eq!((argument("a b"), argument("it's")), ("'a b'".into(), "'it'\\''s'".into()));
    }

    fn tensor_of<'n>(names: &'n [String], found: &Selection, name: &str) -> &'n str {
        &names[found.names[name]]
    }

    #[test]
    fn a_wrapper_called_like_training_hides_nothing() {
        for wrapper in ["best_model", "val_best", "train_state", "metric_model"] {
            let mut names = network(&format!("{wrapper}.base."));
            names.extend(
                ["classifier.weight", "extra.weight", "loss_fn.weight"].map(|name| format!("{wrapper}.{name}")),
            );
            let found = selected(&names, None).unwrap();
            assert_eq!(found.head, Head::Linear { bias: false }, "{wrapper}");
            assert_eq!(found.left_out, [format!("{wrapper}.extra.weight")]);
        }
    }

    #[test]
    fn optimisers_are_passed_over() {
        let mut names = network("0.");
        let states = [
            "1.state.0.exp_avg",
            "optimizer_state_dict.state.0.x",
            "optimizer_states.0.state.1.y",
            "grads.conv1.weight",
        ];
        names.extend(states.map(String::from));
        assert!(selected(&names, None).unwrap().left_out.is_empty());
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
