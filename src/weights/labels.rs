//! Class names in common forms: one name per line, a JSON list, or the objects of other libraries.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::text::{printable, quoted};

/// Pairs of ImageNet-1k's classes that share a name: `crane` (the bird and the machine) and `maillot`.
const NAMED_ALIKE: [(usize, usize); 2] = [(134, 517), (638, 639)];
/// Entries of a list or an object that are read: more than a network has classes.
const MOST: usize = 1 << 20;

/// The names in `text`, in the order of their classes: JSON if it begins like JSON, otherwise one per line.
///
/// JSON is a list of names, an object `{"0": name, …}` or `{name: 0, …}`, or one that holds such a list or object as
/// `id2label`, `label2id` (`transformers`) or `class_to_idx` (torchvision). A byte order mark and Windows line ends are dropped. The
/// classes are numbered from 0 without a gap, and no two share a name.
///
/// # Errors
/// What is wrong, to be said after the file's name.
pub fn parse_labels(text: &str) -> Result<Vec<String>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim_start().starts_with(['[', '{']) {
        true => parse_json_labels(text),
        false => distinct(text.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect()),
    }
}

/// The same of text that must be JSON.
pub(super) fn parse_json_labels(text: &str) -> Result<Vec<String>, String> {
    let no_json = |e| format!("is not a JSON list or object of class names: {}", quoted(e));
    let labels = match serde_json::from_str(text).map_err(no_json)? {
        Json::List(items) => items.into_iter().enumerate().map(|(class, item)| item.name(class)).collect(),
        Json::Object(pairs) => of_object(pairs),
        other => Err(format!("is not a JSON list or object of class names, but {}", other.kind())),
    };
    distinct(labels?)
}

/// The names of the classes of a network with this many `outputs`: one per output, and two for a single output. For a single output, a
/// single name is that of class 1, and class 0 is `not NAME`.
///
/// # Errors
/// What is wrong, to be said after the file's name.
pub fn labels_of(labels: Vec<String>, outputs: usize) -> Result<Vec<String>, String> {
    match (outputs, labels.as_slice()) {
        (1, [name]) => Ok(vec![format!("not {name}"), name.clone()]),
        (1, [_, _]) => Ok(labels),
        (1, names) => Err(format!(
            "has {} names and the network 1 output, which tells 2 classes apart; give two names",
            names.len()
        )),
        (_, names) if names.len() == outputs => Ok(labels),
        (_, names) => Err(format!("has {} names and the network {outputs} classes; give one for each", names.len())),
    }
}

/// The subset of JSON that class names need; keys keep their order and may be repeated.
enum Json {
    Integer(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
    Other(&'static str),
}

impl Json {
    fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Other(kind) => kind,
        }
    }

    /// The name of class `class`: a string, or the second of a list of a WordNet id and a name.
    fn name(self, class: usize) -> Result<String, String> {
        match self {
            Self::Text(name) => Ok(name),
            Self::List(mut parts) if parts.len() == 2 && parts.iter().all(|part| matches!(part, Self::Text(_))) => {
                parts.pop().map_or(Ok(String::new()), |name| name.name(class))
            }
            other => Err(format!("has {} for the name of class {class}; a name is a text", other.kind())),
        }
    }
}

/// Names from an object in one of its forms.
fn of_object(mut pairs: Vec<(String, Json)>) -> Result<Vec<String>, String> {
    for key in ["id2label", "label2id", "class_to_idx"] {
        if let Some(at) = pairs.iter().position(|(name, inner)| name == key && matches!(inner, Json::Object(_)))
            && let (_, Json::Object(inner)) = pairs.swap_remove(at)
        {
            return in_order(numbered(inner)?);
        }
    }
    in_order(numbered(pairs)?)
}

/// Names with their numbers, from `{name: number}` or `{number: name}`.
fn numbered(pairs: Vec<(String, Json)>) -> Result<Vec<(usize, String)>, String> {
    let by_name = !pairs.is_empty() && pairs.iter().all(|(_, value)| matches!(value, Json::Integer(_)));
    let pair = |(key, value): (String, Json)| match value {
        Json::Integer(number) if by_name => {
            let number = usize::try_from(number).map_err(|_| format!("numbers a class {number}"))?;
            Ok((number, key))
        }
        value => match key.trim().parse::<usize>() {
            Ok(number) => Ok((number, value.name(number)?)),
            Err(_) => Err(format!(
                "has the key \"{}\", which is not a class number; give a list of names, {{\"0\": name}}, or {{name: 0}}",
                printable(&key)
            )),
        },
    };
    pairs.into_iter().map(pair).collect()
}

/// The names by their numbers, which start at 0 and have no gap.
fn in_order(mut pairs: Vec<(usize, String)>) -> Result<Vec<String>, String> {
    pairs.sort_by_key(|(number, _)| *number);
    if let Some([(number, a), (_, b)]) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!(
            "gives class {number} two names, \"{}\" and \"{}\"; leave one",
            printable(a),
            printable(b)
        ));
    }
    let (count, last) = (pairs.len(), pairs.last().map_or(0, |(number, _)| *number));
    match pairs.iter().zip(0..).find(|((number, _), place)| number != place) {
        None => Ok(pairs.into_iter().map(|(_, name)| name).collect()),
        Some((_, gap)) => Err(format!(
            "has {count} names for the classes up to {last}, and none for class {gap}; number them from 0 without a gap"
        )),
    }
}

/// The labels; an error if two classes share a name.
pub(super) fn distinct(labels: Vec<String>) -> Result<Vec<String>, String> {
    let mut first = std::collections::HashMap::new();
    for (class, label) in labels.iter().enumerate() {
        let Some(before) = first.insert(label, class) else { continue };
        if labels.len() != 1000 || !NAMED_ALIKE.contains(&(before, class)) {
            let label = printable(label);
            return Err(format!(
                "names both class {before} and class {class} \"{label}\"; give each a name of its own"
            ));
        }
    }
    Ok(labels)
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

fn bounded<E: serde::de::Error>(entries: usize) -> Result<(), E> {
    if entries <= MOST { Ok(()) } else { Err(E::custom(format!("it has more than {MOST} entries"))) }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("class names")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other("true or false"))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Integer(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other("a negative number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other("a fraction"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
            bounded(list.len())?;
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = entries.next_entry()? {
            pairs.push(pair);
            bounded(pairs.len())?;
        }
        Ok(Json::Object(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse_labels(text).expect_err(text)
    }

    #[test]
    fn every_form_gives_the_same_names() {
        for text in [
            "cat\ndog\nnewt\n",
            "\u{feff}cat\r\ndog\r\n\r\nnewt",
            r#"["cat", "dog", "newt"]"#,
            "\u{feff} [\"cat\",\r\n\"dog\", \"newt\"]",
            r#"{"0": "cat", "1": "dog", "2": "newt"}"#,
            r#"{"2": "newt", "0": "cat", "1": "dog"}"#,
            r#"{"cat": 0, "newt": 2, "dog": 1}"#,
            r#"{"id2label": {"0": "cat", "1": "dog", "2": "newt"}, "label2id": {"x": 7}, "hidden_sizes": [1]}"#,
            r#"{"label2id": {"cat": 0, "dog": 1, "newt": 2}}"#,
            r#"{"class_to_idx": {"cat": 0, "dog": 1, "newt": 2}, "epoch": 1.5}"#,
            r#"{"0": ["n02121808", "cat"], "1": ["n02084071", "dog"], "2": ["n01630670", "newt"]}"#,
        ] {
            assert_eq!(parse_labels(text).expect(text), ["cat", "dog", "newt"], "{text}");
        }
        // Digits are names as well as numbers.
        assert_eq!(parse_labels(r#"{"7": 0, "1": 1}"#).unwrap(), ["7", "1"]);
        assert_eq!(parse_labels(r#"{"0": "7", "1": "1"}"#).unwrap(), ["7", "1"]);
    }

    #[test]
    fn a_name_or_a_number_that_comes_twice_is_refused() {
        assert!(refused("a\nb\na\n").contains("names both class 0 and class 2 \"a\""));
        assert!(refused(r#"["a", "b", "b"]"#).contains("names both class 1 and class 2 \"b\""));
        assert!(refused(r#"{"0": "a", "1": "a"}"#).contains("names both class 0 and class 1"));
        assert!(refused(r#"{"0": "a", "0": "b"}"#).contains("gives class 0 two names, \"a\" and \"b\""));
        assert!(refused(r#"{"a": 1, "b": 0, "c": 1}"#).contains("gives class 1 two names"));
        assert!(refused("a\u{1b}[31m\na\u{1b}[31m\n").contains("a\\u{1b}[31m"), "an escape reached the terminal");
    }

    #[test]
    fn imagenets_own_two_pairs_are_let_through() {
        // torchvision's spelling distinguishes them; other lists don't.
        let mut names = super::super::imagenet_labels();
        (names[134], names[639]) = (names[517].clone(), names[638].clone());
        assert_eq!((&*names[134], &*names[639]), ("crane", "maillot"));
        assert_eq!(parse_labels(&names.join("\n")).unwrap(), names);
        assert!(refused(&names[1..].join("\n")).contains("names both class 133 and class 516 \"crane\""));
        names[7] = "tench".into();
        assert!(refused(&names.join("\n")).contains("names both class 0 and class 7 \"tench\""));
    }

    #[test]
    fn gaps_are_refused_in_words() {
        let said = refused(r#"{"1": "a", "2": "b"}"#);
        assert!(said.contains("2 names for the classes up to 2, and none for class 0"), "{said}");
        assert!(refused(r#"{"a": 0, "b": 18446744073709551615}"#).contains("none for class 1"));
        assert!(refused(r#"{"a": 0, "b": -1}"#).contains("not a class number"));
        assert!(refused(r#"{"x": "a"}"#).contains("the key \"x\", which is not a class number"));
        assert!(refused(r#"{"0": null}"#).contains("null for the name of class 0"));
        assert!(refused(r#"["a", 3]"#).contains("a number for the name of class 1"));
        assert!(refused("[\"a\"").contains("is not a JSON list or object"));
        assert!(refused(&"[".repeat(1 << 20)).contains("is not a JSON list or object"), "it went too deep");
    }

    #[test]
    fn one_output_has_two_names() {
        let of = |names: &[&str], outputs| labels_of(names.iter().map(|name| name.to_string()).collect(), outputs);
        assert_eq!(of(&["hotdog"], 1).unwrap(), ["not hotdog", "hotdog"]);
        assert_eq!(of(&["no", "yes"], 1).unwrap(), ["no", "yes"]);
        assert!(of(&["a", "b", "c"], 1).unwrap_err().contains("3 names and the network 1 output"));
        assert_eq!(of(&["a", "b", "c"], 3).unwrap(), ["a", "b", "c"]);
        assert!(of(&["a"], 3).unwrap_err().contains("1 names and the network 3 classes"));
        assert!(of(&[], 1).is_err());
    }
}
