//! Class names: the order in which they are numbered, and how similar names differ.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::{Display, Formatter};

use unicode_normalization::UnicodeNormalization;

/// The classes that a list of names stands for.
pub(crate) struct ClassOrder {
    /// Each class once, in order.
    pub classes: Vec<String>,
    /// The class of each name.
    place: HashMap<String, usize>,
}

impl ClassOrder {
    /// Numbers the classes that occur in `names`: by value if all of them are whole numbers, else as Python sorts strings,
    /// which is `ImageFolder`'s order. Where all are whole numbers, `3.0`, as pandas writes a column with gaps, is `3`.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut place = HashMap::with_capacity(names.len());
        let mut classes: Vec<String> = Vec::with_capacity(names.len());
        let numbers: Option<Vec<(Value, &str)>> = names.iter().map(|name| whole_number(name)).collect();
        match numbers {
            None => {
                for name in names {
                    place.insert(name.to_owned(), classes.len());
                    classes.push(name.to_owned());
                }
            }
            Some(numbers) => {
                let mut order: Vec<((Value, &str), &str)> = numbers.into_iter().zip(names).collect();
                order.sort_unstable();
                for ((_, digits), name) in order {
                    if classes.last().is_none_or(|last| last != digits) {
                        classes.push(digits.to_owned());
                    }
                    place.insert(name.to_owned(), classes.len() - 1);
                }
            }
        }
        ClassOrder { classes, place }
    }

    /// The class of one of the names.
    pub fn place(&self, name: &str) -> usize {
        self.place[name]
    }
}

/// The value of a whole number of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    is_negative: bool,
    /// Without zeros in front; empty for 0.
    digits: &'a str,
}

impl Ord for Value<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.digits, other.digits);
        let sizes = a.len().cmp(&b.len()).then(a.cmp(b));
        match (self.is_negative, other.is_negative) {
            (false, false) => sizes,
            (true, true) => sizes.reverse(),
            (a, b) => b.cmp(&a),
        }
    }
}

impl PartialOrd for Value<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Display for Value<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        write!(f, "{sign}{}", if self.digits.is_empty() { "0" } else { self.digits })
    }
}

/// The value of a whole number such as `7`, `-1`, `007` or `7.0`, and its text without the decimals.
pub(crate) fn whole_number(name: &str) -> Option<(Value<'_>, &str)> {
    let (whole, decimals) = name.split_once('.').unwrap_or((name, "0"));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let zeros = !decimals.is_empty() && decimals.bytes().all(|b| b == b'0');
    let digits = digits.trim_start_matches('0');
    (plain && zeros).then(|| (Value { is_negative: whole.starts_with('-') && !digits.is_empty(), digits }, whole))
}

/// A whole number without its decimals; any other name as it is.
pub(crate) fn without_decimals(name: &str) -> &str {
    whole_number(name).map_or(name, |(_, digits)| digits)
}

/// A sentence about classes that are numbered by value while torchvision's `ImageFolder` sorts their names as text; `None` if both give
/// the same order.
pub fn order_note(classes: &[String]) -> Option<String> {
    let values: Vec<Value> = classes.iter().map(|class| Some(whole_number(class)?.0)).collect::<Option<_>>()?;
    if !values.is_sorted() || classes.is_sorted() {
        return None;
    }
    let some = |names: &[String]| names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut text = classes.to_vec();
    text.sort();
    Some(format!(
        "classes are numbered by their value ({}, …); torchvision's ImageFolder numbers them as text ({}, …)",
        some(classes),
        some(&text)
    ))
}

/// How two different names differ, if only in spelling.
pub(crate) fn spelling_difference(a: &str, b: &str) -> Option<&'static str> {
    let normal = |name: &str| name.nfc().collect::<String>();
    let (a, b) = (normal(a), normal(b));
    let values = || Some((whole_number(&a)?.0, whole_number(&b)?.0));
    if a == b {
        Some("Unicode normalisation")
    } else if a.to_lowercase() == b.to_lowercase() {
        Some("case")
    } else if without_separators(&a) == without_separators(&b) {
        Some("spaces, `_` or `-`")
    } else if values().is_some_and(|(a, b)| a == b) {
        Some("how the number is written")
    } else if folded(&a) == folded(&b) {
        Some("case and spaces, `_` or `-`")
    } else {
        None
    }
}

/// The common form of names that differ only in spelling; see [`spelling_difference`].
pub(crate) fn folded(name: &str) -> String {
    match whole_number(name) {
        Some((value, _)) => value.to_string(),
        None => without_separators(&name.nfc().collect::<String>().to_lowercase()),
    }
}

fn without_separators(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-')).collect()
}

/// `` `cat`, `dog` `` and how many more.
pub(crate) fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 5;
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text += &format!(" and {} more", names.len() - MOST);
    }
    text
}

/// Warnings about classes whose names differ only in spelling; after a few, the number of further ones.
pub(crate) fn look_alikes(classes: &[String]) -> Vec<String> {
    const MOST: usize = 5;
    let mut first: HashMap<String, &String> = HashMap::new();
    let (mut warnings, mut more) = (Vec::new(), 0);
    for class in classes {
        let other = *first.entry(folded(class)).or_insert(class);
        let Some(what) = spelling_difference(other, class).filter(|_| other != class) else { continue };
        if warnings.len() == MOST {
            more += 1;
            continue;
        }
        warnings.push(format!(
            "classes `{other}` and `{class}` differ only in {what}, so one class may be two; give them one name if they are \
             the same"
        ));
    }
    if more > 0 {
        warnings.push(format!("{more} more classes differ from another only in spelling"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(names: &[&str]) -> Vec<String> {
        ClassOrder::of(names.iter().copied()).classes
    }

    #[test]
    fn whole_numbers_go_by_value_and_all_else_by_text() {
        assert_eq!(order(&["10", "9", "0", "-1"]), ["-1", "0", "9", "10"]);
        assert_eq!(order(&["2.0", "10.0", "2.0"]), ["2", "10"]);
        // All or none: one name that is not a number leaves the others unchanged.
        assert_eq!(order(&["10.0", "9.0", "none"]), ["10.0", "9.0", "none"]);
        assert_eq!(order(&["1.5", "10", "9"]), ["1.5", "10", "9"]);
        assert_eq!(order(&["class10", "class9", "Class1"]), ["Class1", "class10", "class9"]);
        // Of any size; leading zeros are names of their own.
        assert_eq!(order(&["100000000000000000000", "99999999999999999999"]).last().unwrap(), "100000000000000000000");
        assert_eq!(order(&["-99999999999999999999", "-100000000000000000000", "5"])[0], "-100000000000000000000");
        assert_eq!(order(&["1", "01", "0"]), ["0", "01", "1"]);
        let mixed = ClassOrder::of(["1", "1.0", "0.0"]);
        assert_eq!((mixed.classes.len(), mixed.place("1"), mixed.place("1.0"), mixed.place("0.0")), (2, 1, 1, 0));
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn another_order_than_torchvisions_is_said() {
        let names = |list: &[&str]| list.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let note = order_note(&names(&["0", "1", "2", "10"])).unwrap();
        assert!(note.contains("(0, 1, 2, …)") && note.contains("(0, 1, 10, …)"), "{note}");
        assert_eq!(order_note(&names(&["0", "1", "9"])), None);
        assert_eq!(order_note(&names(&["00", "01", "10"])), None);
        assert_eq!(order_note(&names(&["b", "a"])), None);
        // An order that the user chose.
        assert_eq!(order_note(&names(&["10", "9"])), None);
    }

    #[test]
    fn names_that_look_alike() {
        let what = |a, b| spelling_difference(a, b);
        assert_eq!(what("Cat", "cat"), Some("case"));
        assert_eq!(what("cafe\u{301}", "caf\u{e9}"), Some("Unicode normalisation"));
        assert_eq!(what("polar bear", "polar_bear"), Some("spaces, `_` or `-`"));
        assert_eq!(what("Polar-Bear", "polar_bear"), Some("case and spaces, `_` or `-`"));
        assert_eq!(what("cat", " cat"), Some("spaces, `_` or `-`"));
        assert_eq!(what("01", "1"), Some("how the number is written"));
        assert_eq!(what("cat", "dog"), None);
        let classes = ["Cat", "cat", "dog", "-1", "1"].map(String::from);
        let said = look_alikes(&classes);
        assert!(said.len() == 1 && said[0].contains("`Cat` and `cat` differ only in case"), "{said:?}");
        let many: Vec<String> = (0..20).map(|i| "_".repeat(i) + "a").collect();
        let said = look_alikes(&many);
        assert!(said.len() == 6 && said[5].starts_with("14 more classes"), "{said:?}");
    }
}
