//! Columns of a Parquet file of features: where they are, and their values.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use parquet::basic::Type;
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;

use super::footer::{self, Footer, Leaf, RowGroup, Values};
use super::pages::column_reader;
use crate::data::features::{FeatureOrigin, keys};
use crate::error::{Error, Result};
use crate::panics::caught;

/// Features that are read at once.
const VALUES: usize = 1 << 18;
/// Texts that are read at once.
const TEXTS: usize = 1 << 10;
/// The most bytes of an id or a label.
const MAX_TEXT: usize = 1 << 16;
/// The longest that the parquet crate may take at once: it counts through lists of values without bytes, of which six bytes may declare
/// two billion.
const LONGEST: Duration = Duration::from_secs(30);

/// The places of the columns among those that are read; the last, `error`, not every file has.
const ID: usize = 0;
const LABEL: usize = 1;
const FEATURES: usize = 2;
const ERROR: usize = 3;

/// An opened file.
pub struct Columns {
    path: PathBuf,
    file: Arc<File>,
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
        let file = crate::data::bytes::open_regular(path)?;
        let (bytes, length) = footer::read(&file).map_err(|error| explain(path, error))?;
        let footer = Footer::parse(&bytes).map_err(|error| explain(path, error))?;
        let columns = find_columns(&footer).map_err(|problem| Error::file(path, problem))?;
        let groups = footer.row_groups(&columns, length).map_err(|error| explain(path, error))?;
        let values = columns.iter().map(|&column| footer.leaves[column].values).collect();
        Ok(Self { path: path.to_owned(), file: Arc::new(file), values, groups, width, origin: origin(&footer) })
    }

    /// How its features were computed, as far as it says so.
    pub fn origin(&self) -> &FeatureOrigin {
        &self.origin
    }

    /// Hands `each` the id, the label and whether there is an error of every row, in order. A row with an error may have no label.
    pub fn names(&self, mut each: impl FnMut(&str, Option<&str>, bool) -> Result<()>) -> Result<()> {
        for group in &self.groups {
            let (mut ids, mut labels) = (self.texts(group, ID)?, self.texts(group, LABEL)?);
            let mut errors = if self.values.len() > ERROR { Some(self.texts(group, ERROR)?) } else { None };
            let mut count = 0;
            loop {
                let (ids, labels) = (ids.next(&self.path)?, labels.next(&self.path)?);
                let errors = match &mut errors {
                    Some(errors) => errors.next(&self.path)?,
                    None => vec![None; ids.len()],
                };
                if ids.len() != labels.len() || ids.len() != errors.len() {
                    return Err(self.broken("columns of different lengths in a row group".into()));
                }
                count += ids.len();
                self.check_count("ids", count, group, ids.is_empty())?;
                if ids.is_empty() {
                    break;
                }
                for ((id, label), error) in ids.iter().zip(&labels).zip(errors) {
                    let Some(id) = id.as_ref().map(text) else {
                        return Err(self.broken("a row without `id`".into()));
                    };
                    if error.is_none() && label.is_none() {
                        let problem = "has a row without `label`; every row needs one (infer writes the class folder of an \
                                       image as its label)";
                        return Err(Error::file(&self.path, problem));
                    }
                    each(id, label.as_ref().map(text), error.is_some())?;
                }
            }
        }
        Ok(())
    }

    /// A column of text in a row group.
    fn texts(&self, group: &RowGroup, column: usize) -> Result<Texts> {
        Ok(Texts { reader: Some(self.reader(group, column)?), most: self.values[column].definition })
    }

    /// Hands `each` the features of every row, in order, and its number in the file; none of a row that has none.
    pub fn features(&self, mut each: impl FnMut(usize, &[f32]) -> Result<()>) -> Result<()> {
        let rows = Rows {
            at_once: (VALUES / self.width.max(1)).max(1),
            width: self.width,
            most: self.values[FEATURES].definition,
        };
        let mut row = 0;
        for group in &self.groups {
            let mut reader = self.reader(group, FEATURES)?;
            let mut count = 0;
            loop {
                let (values, has_some);
                (reader, (values, has_some)) = guarded(&self.path, move || {
                    let next = rows.next(&mut reader)?;
                    Ok((reader, next))
                })?;
                count += has_some.len();
                self.check_count("lists of features", count, group, has_some.is_empty())?;
                if has_some.is_empty() {
                    break;
                }
                let mut rest = values.chunks_exact(self.width);
                for has_some in has_some {
                    let features = if has_some { rest.next() } else { None };
                    each(row, features.unwrap_or_default())?;
                    row += 1;
                }
            }
        }
        Ok(())
    }

    fn reader(&self, group: &RowGroup, column: usize) -> Result<ColumnReader> {
        column_reader(&self.file, self.values[column], group.chunks[column], self.width)
            .map_err(|error| explain(&self.path, error))
    }

    /// Checks that a column has as many entries as its row group has rows, of which `count` were read: others would be of other rows,
    /// and a file may declare them without end.
    fn check_count(&self, what: &str, count: usize, group: &RowGroup, is_end: bool) -> Result<()> {
        let rows = group.rows;
        match count > rows || (is_end && count < rows) {
            true => Err(self.broken(format!("{count} {what} in a row group of {rows} rows"))),
            false => Ok(()),
        }
    }

    fn broken(&self, what: String) -> Error {
        Error::file(&self.path, format!("has {what}; write its features again"))
    }
}

/// Where the columns of ids, labels, features and perhaps errors are, or what is wrong with them.
fn find_columns(footer: &Footer) -> std::result::Result<Vec<usize>, String> {
    let find = |names: &[&str], what: &str, repetition: i16| {
        let mut found = (0..footer.leaves.len()).filter(|&i| names.contains(&footer.leaves[i].name));
        match (found.next(), found.next()) {
            (Some(one), None) if footer.leaves[one].values.repetition == repetition => Ok(one),
            _ => {
                let have: Vec<String> = footer.names.iter().take(8).map(|name| format!("`{name}`")).collect();
                let have = have.join(", ");
                Err(format!("has no {what} (only {have}); a table of features has `id`, `label` and `features`"))
            }
        }
    };
    let id = find(&["id", "input"], "column `id` of text", 0)?;
    let label = find(&["label"], "column `label` of text or whole numbers", 0)?;
    let features = find(&["features"], "column `features` of lists of floats", 1)?;
    for (column, name, allowed) in [
        (id, "id", &[Type::BYTE_ARRAY][..]),
        (label, "label", &[Type::BYTE_ARRAY, Type::INT32, Type::INT64]),
        (features, "features", &[Type::FLOAT, Type::DOUBLE]),
    ] {
        let kind = footer.leaves[column].values.kind;
        if !allowed.contains(&kind) {
            return Err(format!("has `{name}` as {kind}; it must be {allowed:?}"));
        }
    }
    let is_error = |leaf: &Leaf| leaf.is_outermost && leaf.name == "error" && leaf.values.repetition == 0;
    let error = footer.leaves.iter().position(is_error);
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

/// How rows of features are read.
#[derive(Clone, Copy)]
struct Rows {
    at_once: usize,
    width: usize,
    /// The definition level of a value that is there.
    most: i16,
}

impl Rows {
    /// The features of the next rows, and for each row whether it has some.
    fn next(&self, reader: &mut ColumnReader) -> Result<(Vec<f32>, Vec<bool>), ParquetError> {
        let (mut definition, mut repetition) = (Vec::new(), Vec::new());
        let (mut floats, mut doubles) = (Vec::new(), Vec::new());
        match reader {
            ColumnReader::FloatColumnReader(reader) => {
                reader.read_records(self.at_once, Some(&mut definition), Some(&mut repetition), &mut floats)?;
            }
            ColumnReader::DoubleColumnReader(reader) => {
                reader.read_records(self.at_once, Some(&mut definition), Some(&mut repetition), &mut doubles)?;
                floats.extend(doubles.iter().map(|&value: &f64| value as f32));
            }
            _ => {}
        }
        let (mut has_some, mut at) = (Vec::new(), 0);
        while at < repetition.len() {
            let length = 1 + repetition[at + 1..].iter().take_while(|&&level| level != 0).count();
            let values = definition[at..at + length].iter().filter(|&&level| level == self.most).count();
            // A row that has none is an entry without a value.
            match (length, values) {
                (1, 0) => has_some.push(false),
                (length, values) if length == values && values == self.width => has_some.push(true),
                (length, _) => {
                    let width = self.width;
                    return Err(ParquetError::General(format!(
                        "a row of {length} features, where the network has {width}"
                    )));
                }
            }
            at += length;
        }
        Ok((floats, has_some))
    }
}

/// A column of text, or of numbers as their digits.
struct Texts {
    /// None after an error.
    reader: Option<ColumnReader>,
    /// The definition level of a value that is there.
    most: i16,
}

impl Texts {
    /// The next values, at most [`TEXTS`]; none where there is none. Equal values of a dictionary share their memory: a small file may
    /// have a long text a million times.
    fn next(&mut self, path: &Path) -> Result<Vec<Option<ByteArray>>> {
        let Some(mut reader) = self.reader.take() else { return Ok(Vec::new()) };
        let (records, levels, texts);
        (reader, (records, levels, texts)) = guarded(path, move || {
            let next = next_texts(&mut reader)?;
            Ok((reader, next))
        })?;
        self.reader = Some(reader);
        let mut texts = texts.into_iter();
        Ok(match self.most {
            0 => texts.take(records).map(Some).collect(),
            most => levels.iter().map(|&level| if level == most { texts.next() } else { None }).collect(),
        })
    }
}

/// The number of the next values of a column, their definition levels if some may be missing, and those that are there: UTF-8 of at
/// most [`MAX_TEXT`] bytes.
fn next_texts(reader: &mut ColumnReader) -> Result<(usize, Vec<i16>, Vec<ByteArray>), ParquetError> {
    let (mut levels, mut texts) = (Vec::new(), Vec::new());
    let digits = |number: String| ByteArray::from(number.into_bytes());
    let records = match reader {
        // One at a time: a text may be the one before with more to it, so that a thousand long ones take some bytes.
        ColumnReader::ByteArrayColumnReader(reader) => {
            let mut records = 0;
            while records < TEXTS && reader.read_records(1, Some(&mut levels), None, &mut texts)?.0 > 0 {
                records += 1;
                if let Some(text) = texts.last().filter(|text| text.len() > MAX_TEXT) {
                    return Err(ParquetError::General(format!("a text of {} bytes", text.len())));
                }
            }
            records
        }
        ColumnReader::Int32ColumnReader(reader) => {
            let mut values = Vec::new();
            let (records, ..) = reader.read_records(TEXTS, Some(&mut levels), None, &mut values)?;
            texts.extend(values.iter().map(i32::to_string).map(digits));
            records
        }
        ColumnReader::Int64ColumnReader(reader) => {
            let mut values = Vec::new();
            let (records, ..) = reader.read_records(TEXTS, Some(&mut levels), None, &mut values)?;
            texts.extend(values.iter().map(i64::to_string).map(digits));
            records
        }
        _ => 0,
    };
    for text in &texts {
        text.as_utf8()?;
    }
    Ok((records, levels, texts))
}

/// A text that [`next_texts`] gave, which is UTF-8.
fn text(bytes: &ByteArray) -> &str {
    bytes.as_utf8().unwrap_or_default()
}

/// Does what may fail on a broken file. A reader that panics on a hostile one must not take the run with it, nor may one that does
/// not come to an end: its thread is left behind.
fn guarded<T: Send + 'static>(
    path: &Path,
    act: impl FnOnce() -> Result<T, ParquetError> + Send + 'static,
) -> Result<T> {
    within(LONGEST, path, act)
}

fn within<T: Send + 'static>(
    longest: Duration,
    path: &Path,
    act: impl FnOnce() -> Result<T, ParquetError> + Send + 'static,
) -> Result<T> {
    let (result, received) = channel();
    thread::spawn(move || result.send(caught(act).unwrap_or_else(|| Err(corrupt()))));
    match received.recv_timeout(longest) {
        Ok(result) => result.map_err(|error| explain(path, error)),
        Err(RecvTimeoutError::Timeout) => {
            let problem = format!("has a part that takes over {} s to read", longest.as_secs());
            Err(Error::file(path, format!("{problem}; write its features again, or copy it to a faster disk")))
        }
        Err(RecvTimeoutError::Disconnected) => Err(explain(path, corrupt())),
    }
}

fn corrupt() -> ParquetError {
    ParquetError::General("it is corrupt".into())
}

fn explain(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::NYI(what) => {
            Error::file(path, format!("can't be read ({what}); write it uncompressed or with snappy"))
        }
        error => {
            let what = error.to_string();
            Error::file(path, format!("is no Parquet file that can be read ({what}); write its features again"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_does_not_end_is_left_behind() {
        let path = Path::new("endless.parquet");
        let endless = || loop {
            thread::sleep(Duration::from_millis(50));
        };
        let error = within::<()>(Duration::from_millis(10), path, endless).unwrap_err().to_string();
        assert!(error.starts_with("endless.parquet: has a part that takes over 0 s to read; "), "{error}");
        let slow = || {
            thread::sleep(Duration::from_millis(10));
            Ok(7)
        };
        assert_eq!(within(LONGEST, path, slow).unwrap(), 7);
    }
}
