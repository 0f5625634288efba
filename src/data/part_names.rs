//! Which part of a data set a name stands for: `train`, `val_images`, `seg_test`, `TrainSet`.

/// Names of the training part, in lower case.
const TRAIN: [&str; 2] = ["train", "training"];
/// Names of a validation part.
const VALIDATION: [&str; 5] = ["val", "valid", "validation", "dev", "eval"];
/// Names of a test part.
const TEST: [&str; 2] = ["test", "testing"];
/// Words that may be attached to such a name.
const ENDINGS: [&str; 3] = ["set", "data", "images"];

/// A part of a data set. The held-out parts come in the order in which they are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Train,
    Validation,
    Test,
}

impl Part {
    pub const ALL: [Part; 3] = [Part::Train, Part::Validation, Part::Test];

    /// The names of this part, the usual ones first.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Part::Train => &TRAIN,
            Part::Validation => &VALIDATION,
            Part::Test => &TEST,
        }
    }

    /// The part whose full name is `name`, in any case.
    pub fn called(name: &str) -> Option<Part> {
        let is = |part: &Part| part.names().iter().any(|own| own.eq_ignore_ascii_case(name));
        Part::ALL.into_iter().find(is)
    }
}

/// The parts that `name` contains as words, each once: `train_val` has two. Words end at `_`, `-`, `.` and spaces; a number (`val2017`)
/// and `set` (`trainset`) may follow.
pub(crate) fn parts_in(name: &str) -> Vec<Part> {
    let name = name.to_lowercase();
    let words = name.split(|c: char| c.is_whitespace() || matches!(c, '_' | '-' | '.'));
    let mut parts: Vec<Part> = words.filter_map(word).collect();
    parts.sort();
    parts.dedup();
    parts
}

fn word(word: &str) -> Option<Part> {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = ENDINGS.iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
    Part::called(stem)
}

/// Whether a folder of this name is a part of a data set, such as `train` or `val_images`.
#[cfg(feature = "cli")]
pub(crate) fn is_part_name(name: &str) -> bool {
    !parts_in(name).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_words_of_a_name() {
        for (name, parts) in [
            ("train", &[Part::Train][..]),
            ("Training_Set", &[Part::Train]),
            ("trainset", &[Part::Train]),
            ("seg_test", &[Part::Test]),
            ("my-valid labels", &[Part::Validation]),
            ("val2017", &[Part::Validation]),
            ("test.clean", &[Part::Test]),
            ("train_val", &[Part::Train, Part::Validation]),
            ("trains", &[]),
            ("contest", &[]),
            ("device", &[]),
            ("set", &[]),
            ("", &[]),
        ] {
            assert_eq!(parts_in(name), parts, "{name}");
        }
        assert_eq!((Part::called("VAL"), Part::called("val_set")), (Some(Part::Validation), None));
    }
}
