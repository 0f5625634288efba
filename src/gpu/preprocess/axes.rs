//! The axes of a shader file: what each adds to the name and which flags it sets. Their products are the file's shaders.

use std::collections::{BTreeMap, BTreeSet};

/// One shader to build: the flags that pick it among its file's, its name, and all flags that select its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variant {
    pub name: String,
    /// One for each axis where it takes an alternative with a flag.
    pub selectors: BTreeSet<String>,
    pub flags: BTreeSet<String>,
    /// Numbers that its text and its loops may name.
    pub numbers: BTreeMap<String, i64>,
}

/// What a file declares.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Axes {
    axes: Vec<Axis>,
    implied: Vec<(String, Vec<String>)>,
    excluded: Vec<Vec<String>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Axis {
    kind: Kind,
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It begins the name in place of the file's own.
    Name,
    /// An operation picks the alternative.
    Axis,
    /// The device picks it.
    Form,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Alternative {
    piece: String,
    /// The first picks it, the others are set along with it.
    flags: Vec<String>,
    numbers: Vec<(String, i64)>,
}

/// A mistake, and its line.
type Mistake = (usize, String);

/// Reads what `source` declares.
///
/// # Errors
/// The line of a mistake, counted from 1, and what it is.
pub fn axes(source: &str) -> Result<Axes, Mistake> {
    let mut axes = Axes::default();
    for (index, text) in source.lines().enumerate() {
        let Some((word, rest)) = text.trim().strip_prefix("//#").and_then(|text| text.split_once(' ')) else {
            continue;
        };
        axes.read(word, rest).map_err(|what| (index + 1, what))?;
    }
    Ok(axes)
}

impl Axes {
    fn read(&mut self, word: &str, rest: &str) -> Result<(), String> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match word {
            "name" if self.axes.is_empty() => self.add(Kind::Name, rest, None)?,
            "name" => return Err("//#name after another axis".into()),
            "axis" => self.add(Kind::Axis, rest, None)?,
            "form" => self.add(Kind::Form, rest, Some(Alternative::default()))?,
            "or" => {
                let axis = self.axes.last_mut().ok_or("//#or without an axis before it")?;
                axis.alternatives.push(alternative(rest)?);
            }
            "with" => match rest.split_once(" if ") {
                Some((flag, condition)) => self.implied.push((flag.trim().to_owned(), words(condition))),
                None => return Err(format!("//#with {rest} is not //#with FLAG if FLAG …")),
            },
            "never" => self.excluded.push(words(rest)),
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, kind: Kind, rest: &str, first: Option<Alternative>) -> Result<(), String> {
        let named = rest.split('|').map(alternative).collect::<Result<Vec<_>, _>>()?;
        self.axes.push(Axis { kind, alternatives: first.into_iter().chain(named).collect() });
        Ok(())
    }

    /// The shaders of the file `stem`: every combination that makes sense.
    ///
    /// # Errors
    /// Two of one name, or picked by the same flags; an alternative that is in none.
    pub fn variants(&self, stem: &str) -> Result<Vec<Variant>, String> {
        let own = if self.axes.first().is_some_and(|axis| axis.kind == Kind::Name) { "" } else { stem };
        let start = Variant { name: own.to_owned(), ..Variant::default() };
        let mut all = self.axes.iter().fold(vec![start], |before, axis| {
            before.iter().flat_map(|variant| axis.alternatives.iter().map(|one| one.added_to(variant, axis))).collect()
        });
        all.retain(|variant| !self.excluded.iter().any(|condition| holds(condition, &variant.flags)));
        for variant in &mut all {
            for (flag, condition) in &self.implied {
                if holds(condition, &variant.flags) {
                    variant.flags.insert(flag.clone());
                }
            }
        }
        let mut names = BTreeSet::new();
        let mut picked = BTreeSet::new();
        for variant in &all {
            if !names.insert(&variant.name) {
                return Err(format!("two combinations of axes have the name {}", variant.name));
            }
            if !picked.insert(&variant.selectors) {
                return Err(format!("{}: another combination of axes has the same flags", variant.name));
            }
        }
        let unused = self.selectors(|_| true).find(|&flag| !all.iter().any(|one| one.selectors.contains(flag)));
        unused.map_or(Ok(()), |flag| Err(format!("no combination of axes has the flag {flag}")))?;
        Ok(all)
    }

    /// The flags that the device picks forms by.
    pub fn forms(&self) -> BTreeSet<String> {
        self.selectors(|kind| kind == Kind::Form).map(str::to_owned).collect()
    }

    /// Every flag that the file sets.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        let along = self.axes.iter().flat_map(|axis| &axis.alternatives).flat_map(|one| &one.flags);
        along.chain(self.implied.iter().map(|(flag, _)| flag)).map(String::as_str)
    }

    fn selectors(&self, wanted: impl Fn(Kind) -> bool) -> impl Iterator<Item = &str> {
        let axes = self.axes.iter().filter(move |axis| axis.is_choice() && wanted(axis.kind));
        axes.flat_map(|axis| &axis.alternatives).filter_map(|one| one.flags.first()).map(String::as_str)
    }
}

impl Axis {
    /// Whether there is anything to pick.
    fn is_choice(&self) -> bool {
        self.alternatives.len() > 1
    }
}

impl Alternative {
    fn added_to(&self, variant: &Variant, axis: &Axis) -> Variant {
        let mut variant = variant.clone();
        variant.name += &self.piece;
        variant.flags.extend(self.flags.iter().cloned());
        variant.numbers.extend(self.numbers.iter().cloned());
        variant.selectors.extend(self.flags.first().filter(|_| axis.is_choice()).cloned());
        variant
    }
}

/// `PIECE [FLAG …] [NAME=NUMBER …]`; the piece `-` adds nothing to the name.
fn alternative(text: &str) -> Result<Alternative, String> {
    let mut words = text.split_whitespace();
    let piece = words.next().ok_or("an alternative without its piece of the name, or - for none")?;
    let mut one = Alternative { piece: if piece == "-" { "" } else { piece }.to_owned(), ..Alternative::default() };
    for word in words {
        let (name, number) = word.split_once('=').map_or((word, None), |(name, number)| (name, Some(number)));
        if !name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
            return Err(format!("{name} is no flag: those are of A to Z, 0 to 9 and _"));
        }
        match number.map(str::parse) {
            None => one.flags.push(name.to_owned()),
            Some(Ok(number)) => one.numbers.push((name.to_owned(), number)),
            Some(Err(_)) => return Err(format!("{word} gives {name} no whole number")),
        }
    }
    Ok(one)
}

/// Whether `flags` has every flag of the condition, and none of those after a `!`.
pub fn holds<T: AsRef<str>>(condition: &[T], flags: &BTreeSet<String>) -> bool {
    condition.iter().all(|flag| match flag.as_ref().strip_prefix('!') {
        Some(flag) => !flags.contains(flag),
        None => flags.contains(flag.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(stem: &str, source: &str) -> Vec<String> {
        variants(stem, source).unwrap().into_iter().map(|variant| variant.name).collect()
    }

    fn variants(stem: &str, source: &str) -> Result<Vec<Variant>, String> {
        axes(source).map_err(|(line, what)| format!("{line}: {what}"))?.variants(stem)
    }

    #[test]
    fn a_file_without_axes_is_one_shader() {
        assert_eq!(names("relu", "fn x() {}"), ["relu"]);
    }

    #[test]
    fn names_are_products_of_pieces_in_order() {
        let source = "//#axis - | _a A\n//#axis - | _b B\n//#or _c C WIDER";
        assert_eq!(names("x", source), ["x", "x_b", "x_c", "x_a", "x_a_b", "x_a_c"]);
        let all = variants("x", source).unwrap();
        let set = |flags: &[&str]| flags.iter().map(|flag| flag.to_string()).collect::<BTreeSet<_>>();
        assert_eq!((&all[5].selectors, &all[5].flags), (&set(&["A", "C"]), &set(&["A", "C", "WIDER"])));
    }

    #[test]
    fn alternatives_set_numbers() {
        let all = variants("x", "//#axis - SIDE=4 | _a A SIDE=6\n//#axis - ROWS=2").unwrap();
        let numbers = |i: usize| ["SIDE", "ROWS"].map(|name| all[i].numbers[name]);
        assert_eq!([numbers(0), numbers(1)], [[4, 2], [6, 2]]);
        assert!(all[0].flags.is_empty() && all[1].flags == ["A".to_owned()].into());
    }

    #[test]
    fn a_name_stands_in_the_files_place() {
        assert_eq!(names("x", "//#name y | z Z\n//#axis _end ALWAYS"), ["y_end", "z_end"]);
        let all = variants("x", "//#name y | z Z\n//#axis _end ALWAYS").unwrap();
        assert!(all[0].selectors.is_empty() && all[0].flags.contains("ALWAYS"));
    }

    #[test]
    fn combinations_are_excluded_and_flags_implied() {
        let source = "//#axis - | _a A\n//#axis - | _b B\n//#with D if !A\n//#with C if A B\n//#never A !B";
        let all = variants("x", source).unwrap();
        let flags = |i: usize| all[i].flags.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(names("x", source), ["x", "x_b", "x_a_b"]);
        assert_eq!([flags(0), flags(1), flags(2)], ["D", "B D", "A B C"]);
    }

    #[test]
    fn devices_pick_forms() {
        let axes = axes("//#axis - | _f16 HALF\n//#form _wide WIDE | _long LONG\n//#never HALF WIDE").unwrap();
        assert_eq!(axes.forms(), ["LONG", "WIDE"].map(str::to_owned).into());
        assert_eq!(axes.flags().collect::<Vec<_>>(), ["HALF", "WIDE", "LONG"]);
        let names: Vec<_> = axes.variants("x").unwrap().into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["x", "x_wide", "x_long", "x_f16", "x_f16_long"]);
    }

    #[test]
    fn mistakes_are_errors_with_their_line() {
        for (bad, part) in [
            ("x\n//#or _a A", "2: //#or without"),
            ("//#axis - | _a A\n//#name y", "2: //#name after"),
            ("//#axis - |", "1: an alternative without"),
            ("//#axis - | _a a", "1: a is no flag"),
            ("//#axis - SIDE=four", "1: SIDE=four gives SIDE no whole number"),
            ("//#with A B", "1: //#with A B is not"),
            ("//#axis - | - A", "the name x"),
            ("//#axis - | _a", "the same flags"),
            ("//#axis - | _a A\n//#never A", "no combination of axes has the flag A"),
        ] {
            let problem = variants("x", bad).unwrap_err();
            assert!(problem.contains(part), "{bad:?}: {problem}");
        }
    }
}
