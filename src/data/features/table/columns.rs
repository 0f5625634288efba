//! Columns of a Parquet file of features: where they are, and their values. A file is read here and not by the parquet crate, which
//! reserves what a file declares, overflows the stack at a deep schema, and takes much of what is damaged for other values.

use std::path::{Path, PathBuf};

use super::footer::{Footer, Leaf, Meaning, RowGroup, Type, Values};
use super::lists::lists;
use super::pages::Pages;
use super::problem::{Problem, Result as Read, broken};
use super::texts::{MAX_TEXT, Row, Texts};
use crate::data::bytes::Mapped;
use crate::data::features::{FeatureOrigin, keys};
use crate::error::{Error, Result};

/// The places of the columns among those that are read; the last, `error`, not every file has.
const ID: usize = 0;
const LABEL: usize = 1;
const FEATURES: usize = 2;
const ERROR: usize = 3;

/// The most bytes of a label. An id, which is a path or the like, may have those of any text.
const MAX_LABEL: usize = 1024;

/// An opened file.
pub struct Columns {
    path: PathBuf,
    bytes: Mapped,
    /// What the columns hold.
    values: Vec<Values>,
    groups: Vec<RowGroup>,
    /// Features of a row.
    width: usize,
    origin: FeatureOrigin,
}

impl Columns {
    /// Opens `path`, whose rows must have `width` features.
    pub fn open(path: &Path, width: usize) -> Result<Self> {
        let bytes = Mapped::open(path)?;
        let about = |problem: Problem| problem.of(path);
        let footer = Footer::of(&bytes).map_err(about)?;
        let columns = find_columns(&footer).map_err(|problem| Error::file(path, problem))?;
        let groups = footer.row_groups(&columns, bytes.len()).map_err(about)?;
        let values = columns.iter().map(|&column| footer.leaves[column].values).collect();
        let origin = origin(&footer);
        Ok(Self { path: path.to_owned(), bytes, values, groups, width, origin })
    }

    /// How its features were computed, as far as it says so.
    pub fn origin(&self) -> &FeatureOrigin {
        &self.origin
    }

    /// The bytes of the file.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Hands `each` the id, the label and whether there is an error of every row, in order. A row with an error may have no label.
    pub fn names(&self, mut each: impl FnMut(&str, Option<&str>, bool) -> Result<()>) -> Result<()> {
        self.groups
            .iter()
            .try_for_each(|group| self.group_names(group, &mut each))
            .map_err(|problem| problem.of(&self.path))
    }

    fn group_names(&self, group: &RowGroup, each: &mut impl FnMut(&str, Option<&str>, bool) -> Result<()>) -> Read<()> {
        let texts = |column| Texts::new(self.pages(group, column), self.values[column]);
        let (ids, labels) = (texts(ID)?, texts(LABEL)?);
        let errors = if self.values.len() > ERROR { Some(texts(ERROR)?) } else { None };
        let (mut ids, mut labels) = (ids.rows(), labels.rows());
        let mut errors = errors.as_ref().map(Texts::rows);
        for _ in 0..group.rows {
            let error = match &mut errors {
                Some(errors) => errors.next()?.ok_or_else(|| fewer("errors", group))?,
                None => Row::Missing,
            };
            let label = match labels.next()?.ok_or_else(|| fewer("labels", group))? {
                Row::Text(label) => Some(text(label, MAX_LABEL)?),
                Row::Missing => None,
            };
            let id = match ids.next()?.ok_or_else(|| fewer("ids", group))? {
                Row::Text(id) => text(id, MAX_TEXT)?,
                Row::Missing => return Err(broken("a row has no `id`")),
            };
            let has_error = matches!(error, Row::Text(text) if !text.is_empty());
            if !has_error && label.is_none() {
                let problem = "has a row without `label`; every row needs one (infer writes the class folder of an image as its label)";
                return Err(Error::file(&self.path, problem).into());
            }
            each(id, label, has_error)?;
        }
        let mut all = [Some(&mut ids), Some(&mut labels), errors.as_mut()].into_iter().flatten();
        all.try_for_each(|rows| match rows.next()? {
            None => Ok(()),
            Some(_) => Err(broken(format!("a row group of {} rows has more values", group.rows))),
        })
    }

    /// Hands `each` the features of every row, in order, and its number in the file; none of a row that has none.
    pub fn features(&self, mut each: impl FnMut(usize, &[f32]) -> Result<()>) -> Result<()> {
        let mut number = 0;
        let mut read = |group: &RowGroup| {
            let mut count = 0;
            lists(self.pages(group, FEATURES), self.values[FEATURES], self.width, |list| {
                count += 1;
                if count > group.rows {
                    return Err(broken(format!("a row group of {} rows has more lists of features", group.rows)));
                }
                each(number, list.unwrap_or_default())?;
                number += 1;
                Ok(())
            })?;
            if count == group.rows { Ok(()) } else { Err(fewer("lists of features", group)) }
        };
        self.groups.iter().try_for_each(&mut read).map_err(|problem| problem.of(&self.path))
    }

    fn pages(&self, group: &RowGroup, column: usize) -> Pages<'_> {
        Pages::new(&self.bytes, group.chunks[column], self.values[column])
    }
}

/// The text of an id or a label.
fn text(bytes: &[u8], most: usize) -> Read<&str> {
    match bytes.len() > most {
        true => Err(broken(format!("a text of {} bytes", bytes.len()))),
        false => std::str::from_utf8(bytes).map_err(|_| broken("a text is not UTF-8")),
    }
}

/// Where a column has fewer entries than its row group has rows: all that follow would be of other rows.
fn fewer(what: &str, group: &RowGroup) -> Problem {
    broken(format!("a row group of {} rows has fewer {what}", group.rows))
}

/// Where the columns of ids, labels, features and perhaps errors are, or what is wrong with them.
fn find_columns(footer: &Footer) -> Result<Vec<usize>, String> {
    let named =
        |name: &str| (0..footer.leaves.len()).filter(move |&i| footer.leaves[i].name == name).collect::<Vec<_>>();
    let find = |name: &str, what: &str, fits: &dyn Fn(&Leaf) -> bool| match named(name)[..] {
        [one] if fits(&footer.leaves[one]) => Ok(one),
        _ => {
            let have: Vec<String> = footer.names.iter().take(8).map(|name| format!("`{name}`")).collect();
            let have = have.join(", ");
            Err(format!("has no column {what} (only {have}); a table of features has `id`, `label` and `features`"))
        }
    };
    let is_plain = |leaf: &Leaf| leaf.is_outermost && leaf.values.repetition == 0;
    let is_text = |leaf: &Leaf| (leaf.values.kind, leaf.values.meaning) == (Type::Bytes, Meaning::Plain);
    let is_number =
        |leaf: &Leaf| matches!(leaf.values.kind, Type::Int32 | Type::Int64) && leaf.values.meaning != Meaning::Other;
    // What `infer` calls the ids of its other tables.
    let id = if named("id").is_empty() { "input" } else { "id" };
    let id = find(id, "`id` of text", &|leaf| is_plain(leaf) && is_text(leaf))?;
    let is_label = |leaf: &Leaf| is_plain(leaf) && (is_text(leaf) || is_number(leaf));
    let label = find("label", "`label` of text or whole numbers", &is_label)?;
    let is_list = |leaf: &Leaf| leaf.values.repetition == 1 && matches!(leaf.values.kind, Type::Float | Type::Double);
    let features = find("features", "`features` of lists of floats of 32 or 64 bits", &is_list)?;
    // Another number may be called so, but no text that is not read: its rows would count.
    let error = match named("error")[..] {
        [] => None,
        [one] if is_plain(&footer.leaves[one]) && is_text(&footer.leaves[one]) => Some(one),
        [one] if is_plain(&footer.leaves[one]) && footer.leaves[one].values.kind != Type::Bytes => None,
        _ => return Err("has a column `error` that is no text; write it as text, or under another name".into()),
    };
    Ok([id, label, features].into_iter().chain(error).collect())
}

/// How the features were computed, as far as a footer says so.
fn origin(footer: &Footer) -> FeatureOrigin {
    let get = |key: &str| footer.pairs.iter().find(|pair| pair.0 == key)?.1.map(str::to_owned);
    FeatureOrigin {
        weights_sha256: get(keys::WEIGHTS),
        preprocess: get(keys::PREPROCESS),
        precision: get(keys::PRECISION),
    }
}
