//! Matches the classes of a data set by name with those of its other part, or with a network's outputs.

use std::collections::HashMap;

use super::Dataset;
use super::names::{folded, order_note, quoted, spelling_difference, whole_number, without_decimals};
use super::split::Relabelled;
use crate::error::{Error, Result};

/// What is known about a network's outputs.
pub struct Outputs<'a> {
    /// Their number.
    pub count: usize,
    /// The name of each, if the network carries names.
    pub names: Option<&'a [String]>,
    /// The WordNet id of each, if they are ImageNet-1k's.
    pub synsets: Option<&'a [&'a str]>,
}

/// `data` with its labels numbered by `classes`, matched by name: a validation folder that lacks a class, or a model
/// with classes in another order, would otherwise shift every label.
///
/// # Errors
/// A class of `data` that `classes` lacks; the sentence lists names that differ only in spelling.
pub fn align_classes(data: Box<dyn Dataset>, classes: &[String]) -> Result<Box<dyn Dataset>> {
    if data.classes() == classes {
        return Ok(data);
    }
    let place = places(data.classes(), classes).map_err(Error::Usage)?;
    Ok(Relabelled::boxed(data, place, classes.to_vec()))
}

/// `data` with its labels numbered as a network's outputs, and a sentence on how its classes were matched, if it was not
/// simply by their names.
///
/// Classes are matched by name if the network carries names; ImageNet's also by synset (`n01440764`) and by number. Without
/// names, whole numbers are the outputs of these numbers, and other names go by their order if there are as many as outputs.
///
/// # Errors
/// Classes that can't be matched, or that could be matched in two orders.
pub fn match_outputs(data: Box<dyn Dataset>, outputs: &Outputs) -> Result<(Box<dyn Dataset>, Option<String>)> {
    let classes = data.classes();
    let numbered: Vec<String>;
    let names = match outputs.names {
        Some(names) => names,
        None => {
            numbered = (0..outputs.count).map(|i| i.to_string()).collect();
            &numbered
        }
    };
    let by_name = match outputs.names {
        Some(names) => places(classes, names).map(|place| (place, part_note(classes, names))),
        None => Err(format!(
            "the data has {} classes and the network {} without names, so they can't be matched; use weights that carry \
             labels, or give --labels",
            classes.len(),
            outputs.count
        )),
    };
    let (place, note) = match by_name {
        Ok(matched) => matched,
        Err(problem) => {
            let matched = by_synset(classes, outputs)
                .or_else(|| by_number(classes, outputs))
                .or_else(|| by_order(classes, outputs))
                .ok_or(Error::Usage(problem))?;
            refuse_two_orders(&*data, outputs)?;
            matched
        }
    };
    let mut names = names.to_vec();
    if outputs.names.is_none() {
        // An output gets the data's name for it.
        place.iter().zip(classes).for_each(|(&output, class)| names[output].clone_from(class));
    }
    Ok((Relabelled::boxed(data, place, names), note))
}

/// An error if nothing tells which output is which class: the network has no names, and the data's are numbers that
/// torchvision's `ImageFolder` would have put in another order. A wrong order would give a wrong accuracy.
fn refuse_two_orders(data: &dyn Dataset, outputs: &Outputs) -> Result<()> {
    let classes = data.classes();
    let is_all = outputs.names.is_none() && outputs.synsets.is_none() && classes.len() == outputs.count;
    match order_note(classes).filter(|_| is_all && !data.has_numbers_for_labels()) {
        None => Ok(()),
        Some(note) => Err(Error::Usage(format!(
            "the network carries no class names, and the data's classes can be its outputs in two orders: {note}; give \
             --labels FILE with the names in the order of the network's outputs"
        ))),
    }
}

/// How to number labels, and the message about it.
type Matched = (Vec<usize>, Option<String>);

fn part_note(classes: &[String], names: &[String]) -> Option<String> {
    let (some, all) = (classes.len(), names.len());
    (some < all).then(|| format!("the data has {some} of the network's {all} classes"))
}

fn by_synset(classes: &[String], outputs: &Outputs) -> Option<Matched> {
    let known: HashMap<&str, usize> = outputs.synsets?.iter().copied().zip(0..).collect();
    let place = classes.iter().map(|class| known.get(class.as_str()).copied()).collect::<Option<Vec<usize>>>()?;
    let note = format!("classes matched with ImageNet's by synset: {} of 1000", classes.len());
    Some((place, Some(note)))
}

/// For ImageNet's outputs, and for those without names.
fn by_number(classes: &[String], outputs: &Outputs) -> Option<Matched> {
    if outputs.names.is_some() && outputs.synsets.is_none() {
        return None;
    }
    let number =
        |class: &String| whole_number(class)?.0.to_string().parse().ok().filter(|&i: &usize| i < outputs.count);
    let place = classes.iter().map(number).collect::<Option<Vec<usize>>>()?;
    let mut seen = vec![false; outputs.count];
    if place.iter().any(|&i| std::mem::replace(&mut seen[i], true)) {
        return None;
    }
    // Up to ten numbers are in one order by value and as text.
    let as_text = match outputs.names.is_none() && outputs.synsets.is_none() && outputs.count > 10 {
        true => "; if it was trained on folders by torchvision, their order is that of text: then give --labels",
        false => "",
    };
    Some((place, Some(format!("classes are taken for the numbers of the network's outputs{as_text}"))))
}

/// For outputs without names.
fn by_order(classes: &[String], outputs: &Outputs) -> Option<Matched> {
    let fits = outputs.names.is_none() && classes.len() == outputs.count;
    let note = "the network carries no class names, so its outputs are taken for the data's classes in their order";
    fits.then(|| ((0..classes.len()).collect(), Some(note.into())))
}

/// The position of each of `classes` among `known`, by name; `3.0` is `3`. Otherwise how the names differ.
fn places(classes: &[String], known: &[String]) -> Result<Vec<usize>, String> {
    // None for a name that comes twice.
    let mut by_name: HashMap<&str, Option<usize>> = HashMap::with_capacity(known.len());
    for (name, i) in known.iter().zip(0..) {
        by_name.entry(without_decimals(name)).and_modify(|place| *place = None).or_insert(Some(i));
    }
    let mut place = Vec::with_capacity(classes.len());
    let mut unknown = Vec::new();
    for class in classes {
        match by_name.get(without_decimals(class)) {
            Some(Some(i)) => place.push(*i),
            Some(None) => {
                return Err(format!("`{class}` is the name of several classes, so it can't be matched; rename it"));
            }
            None => unknown.push(class.as_str()),
        }
    }
    if unknown.is_empty() { Ok(place) } else { Err(differences(&unknown, classes, known)) }
}

/// The message that `unknown`, some of `classes`, are not among `known`.
fn differences(unknown: &[&str], classes: &[String], known: &[String]) -> String {
    let mut folded_known: HashMap<String, &String> = HashMap::new();
    known.iter().for_each(|name| _ = folded_known.entry(folded(name)).or_insert(name));
    let spelt = unknown.iter().filter_map(|name| {
        let other = folded_known.get(&folded(name))?;
        Some(format!("`{name}` differs from the known `{other}` only in {}", spelling_difference(name, other)?))
    });
    let spelt: Vec<String> = spelt.take(3).collect();
    let have: std::collections::HashSet<&str> = classes.iter().map(|class| without_decimals(class)).collect();
    let lacking: Vec<&str> =
        known.iter().map(String::as_str).filter(|name| !have.contains(without_decimals(name))).collect();
    let mut text = format!(
        "the data has classes that are not among the {} known ones: {}",
        known.len(),
        quoted(unknown.iter().copied())
    );
    if !lacking.is_empty() {
        text += &format!("; it lacks {}", quoted(lacking));
    }
    spelt.iter().for_each(|spelt| text += &format!("; {spelt}"));
    text + "; name the classes alike"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::folder::FileSet;

    /// An image of each class.
    fn data(classes: &[&str]) -> Box<dyn Dataset> {
        let files = (0..classes.len()).map(|i| (format!("{i}.png").into(), i)).collect();
        Box::new(FileSet { files, classes: names(classes), remarks: Vec::new() })
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| name.to_string()).collect()
    }

    fn labels(data: &dyn Dataset) -> Vec<usize> {
        (0..data.len()).map(|i| data.label(i)).collect()
    }

    fn matched(classes: &[&str], outputs: Outputs) -> Result<(Vec<usize>, String)> {
        let (data, note) = match_outputs(data(classes), &outputs)?;
        assert_eq!(data.classes().len(), outputs.count);
        Ok((labels(&*data), note.unwrap_or_default()))
    }

    #[test]
    fn another_order_of_the_same_names_is_no_other_data() {
        let known = names(&["dog", "cat", "ape"]);
        let outputs = || Outputs { count: 3, names: Some(&known), synsets: None };
        assert_eq!(matched(&["ape", "cat", "dog"], outputs()).unwrap(), (vec![2, 1, 0], String::new()));
        let (place, note) = matched(&["cat"], outputs()).unwrap();
        assert!(place == [1] && note.contains("1 of the network's 3"), "{note}");
        // A network that was trained on labels that pandas had written.
        let known = names(&["0.0", "1.0", "10.0", "2.0"]);
        let outputs = Outputs { count: 4, names: Some(&known), synsets: None };
        assert_eq!(matched(&["0", "1", "2", "10"], outputs).unwrap().0, [0, 1, 3, 2]);
    }

    #[test]
    fn names_that_differ_are_said() {
        let said =
            |classes: &[&str], known: &[&str]| align_classes(data(classes), &names(known)).err().unwrap().to_string();
        let text = said(&["Cat", "dog", "cow"], &["cat", "dog", "polar_bear"]);
        assert!(text.contains("not among the 3 known ones: `Cat`, `cow`; it lacks `cat`, `polar_bear`"), "{text}");
        assert!(text.contains("`Cat` differs from the known `cat` only in case"), "{text}");
        assert!(said(&["polar bear"], &["polar_bear"]).contains("only in spaces, `_` or `-`"));
        assert!(said(&["cafe\u{301}"], &["caf\u{e9}"]).contains("only in Unicode normalisation"));
        assert!(said(&["01"], &["1"]).contains("only in how the number is written"));
        assert!(said(&["crane"], &["crane", "crane"]).contains("the name of several classes"));
        // A network with names for its outputs is not matched by numbers.
        let known = names(&["cat", "dog"]);
        let outputs = Outputs { count: 2, names: Some(&known), synsets: None };
        assert!(matched(&["0", "1"], outputs).err().unwrap().to_string().contains("it lacks `cat`, `dog`"));
    }

    #[test]
    fn imagenets_outputs_go_by_synset_and_by_number() {
        let known = names(&["tench", "goldfish", "great white shark"]);
        let synsets = ["n01440764", "n01443537", "n01484850"];
        let outputs = || Outputs { count: 3, names: Some(&known), synsets: Some(&synsets) };
        assert_eq!(matched(&["n01443537", "n01484850"], outputs()).unwrap().0, [1, 2]);
        let (place, note) = matched(&["0", "2"], outputs()).unwrap();
        assert!(place == [0, 2] && note.contains("numbers of the network's outputs"), "{note}");
        assert_eq!(matched(&["goldfish"], outputs()).unwrap().0, [1]);
        for wrong in [&["1", "3"][..], &["n01443537", "n99999999"], &["n01443537", "1"], &["1", "01"]] {
            assert!(matched(wrong, outputs()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn outputs_without_names() {
        let outputs = |count| Outputs { count, names: None, synsets: None };
        assert_eq!(matched(&["1", "9"], outputs(10)).unwrap().0, [1, 9]);
        let (place, note) = matched(&["0", "11"], outputs(12)).unwrap();
        assert!(place == [0, 11] && note.contains("give --labels"), "{note}");
        let (place, note) = matched(&["a", "b"], outputs(2)).unwrap();
        assert!(place == [0, 1] && note.contains("no class names"), "{note}");
        assert!(matched(&["a", "b"], outputs(3)).err().unwrap().to_string().contains("2 classes and the network 3"));
    }

    #[test]
    fn numbers_in_two_orders_are_no_accuracy_without_names() {
        let outputs = |count| Outputs { count, names: None, synsets: None };
        let numbers = |from: usize, to: usize| (from..to).map(|i| i.to_string()).collect::<Vec<_>>();
        // From 0 they are the numbers of outputs, from 1 they go by their order: both may be wrong.
        for classes in [numbers(0, 12), numbers(1, 13), vec!["9".into(), "10".into()]] {
            let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
            let said = matched(&classes, outputs(classes.len())).err().unwrap().to_string();
            assert!(said.contains("two orders") && said.contains("--labels FILE"), "{said}");
        }
        // Both orders are the same; the classes keep the data's names.
        for classes in [&["1", "2", "3"][..], &["00", "01", "10"], &["0", "1", "2"], &["8", "9"]] {
            let (data, _) = match_outputs(data(classes), &outputs(classes.len())).unwrap();
            assert_eq!((labels(&*data), data.classes()), ((0..classes.len()).collect(), &names(classes)[..]));
        }
        // Names tell, and so do labels that are stored as numbers.
        let known = names(&["1", "10", "9"]);
        let named = Outputs { count: 3, names: Some(&known), synsets: None };
        assert_eq!(matched(&["1", "9", "10"], named).unwrap().0, [0, 2, 1]);
        let classes = numbers(0, 12);
        let stored = Relabelled::boxed(Box::new(Stored(classes.clone())), (0..12).collect(), classes.clone());
        assert_eq!(labels(&*match_outputs(stored, &outputs(12)).unwrap().0), (0..12).collect::<Vec<_>>());
    }

    /// An image of each class, whose labels are stored as numbers.
    struct Stored(Vec<String>);

    impl Dataset for Stored {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn classes(&self) -> &[String] {
            &self.0
        }

        fn name(&self, i: usize) -> String {
            format!("x#{i}")
        }

        fn label(&self, i: usize) -> usize {
            i
        }

        fn image(&self, _: usize) -> Result<crate::data::Rgb8> {
            Ok(crate::data::Rgb8::black(1, 1))
        }

        fn content_key(&self, _: usize) -> Result<[u8; 32]> {
            Ok([0; 32])
        }

        fn has_numbers_for_labels(&self) -> bool {
            true
        }
    }
}
