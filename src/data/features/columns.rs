//! Columns of a Parquet file of features: where they are, and their values.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::basic::Type;
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{FeatureOrigin, keys};
use crate::error::{Error, Result};

/// Values that are read at once.
const VALUES: usize = 1 << 18;
/// The most bytes of an id or a label.
const MAX_TEXT: usize = 1 << 16;

/// An opened file.
pub struct Columns {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    id: usize,
    label: usize,
    features: usize,
    /// The column `error`, of files that have one.
    error: Option<usize>,
    /// Features of a row.
    width: usize,
}

impl Columns {
    /// Opens `path`, whose rows must have `width` features.
    pub fn open(path: &Path, width: usize) -> Result<Self> {
        let file = super::super::bytes::open_regular(path)?;
        let reader = guarded(path, || SerializedFileReader::new(file))?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let find = |names: &[&str], what: &str, repeated: bool| {
            let is_it = |c: &usize| names.contains(&schema.column(*c).path().parts()[0].as_str());
            let found: Vec<usize> = (0..schema.num_columns()).filter(is_it).collect();
            let problem = || {
                let have = schema.root_schema().get_fields().iter().take(8).map(|field| format!("`{}`", field.name()));
                let have = have.collect::<Vec<_>>().join(", ");
                format!("has no {what} (only {have}); a table of features has `id`, `label` and `features`")
            };
            match found[..] {
                [one] if (schema.column(one).max_rep_level() > 0) == repeated => Ok(one),
                _ => Err(Error::file(path, problem())),
            }
        };
        let id = find(&["id", "input"], "column `id` of text", false)?;
        let label = find(&["label"], "column `label` of text or whole numbers", false)?;
        let features = find(&["features"], "column `features` of lists of floats", true)?;
        let is_error = |c: &usize| schema.column(*c).path().parts() == ["error"];
        let error = (0..schema.num_columns()).find(is_error);
        let kinds = [(id, "id", &[Type::BYTE_ARRAY][..])];
        let more = [
            (label, "label", &[Type::BYTE_ARRAY, Type::INT32, Type::INT64][..]),
            (features, "features", &[Type::FLOAT, Type::DOUBLE][..]),
        ];
        for (column, name, allowed) in kinds.into_iter().chain(more) {
            let kind = schema.column(column).physical_type();
            if !allowed.contains(&kind) {
                return Err(Error::file(path, format!("has `{name}` as {kind}; it must be {allowed:?}")));
            }
        }
        Ok(Self { path: path.to_owned(), reader, id, label, features, error, width })
    }

    /// How its features were computed, as far as it says so.
    pub fn origin(&self) -> FeatureOrigin {
        let pairs = self.reader.metadata().file_metadata().key_value_metadata();
        let get = |key: &str| pairs?.iter().find(|pair| pair.key == key)?.value.clone();
        FeatureOrigin {
            weights_sha256: get(keys::WEIGHTS),
            preprocess: get(keys::PREPROCESS),
            precision: get(keys::PRECISION),
        }
    }

    /// Hands `each` the id, the label and whether there is an error of every row, in order. A row with an error may have no label.
    pub fn names(&self, mut each: impl FnMut(String, Option<String>, bool) -> Result<()>) -> Result<()> {
        for group in 0..self.reader.num_row_groups() {
            let ids = self.texts(group, self.id)?;
            let labels = self.texts(group, self.label)?;
            let errors = self.error.map(|error| self.texts(group, error)).transpose()?;
            let errors = errors.unwrap_or_else(|| vec![None; ids.len()]);
            if ids.len() != labels.len() || ids.len() != errors.len() {
                return Err(self.broken("columns of different lengths in a row group".into()));
            }
            for ((id, label), error) in ids.into_iter().zip(labels).zip(errors) {
                match (id, error.is_some()) {
                    (None, _) => return Err(self.broken("a row without `id`".into())),
                    (_, false) if label.is_none() => {
                        let problem = "has a row without `label`; every row needs one (infer writes the class folder of an \
                                       image as its label)";
                        return Err(Error::file(&self.path, problem));
                    }
                    (Some(id), failed) => each(id, label, failed)?,
                }
            }
        }
        Ok(())
    }

    /// The values of a column as text, numbers by their digits; none where there is none.
    fn texts(&self, group: usize, column: usize) -> Result<Vec<Option<String>>> {
        let mut all = Vec::new();
        let most = self.reader.metadata().file_metadata().schema_descr().column(column).max_def_level();
        let mut reader = self.column(group, column)?;
        loop {
            let (mut levels, mut texts) = (Vec::new(), Vec::new());
            let records = guarded(&self.path, || match &mut reader {
                ColumnReader::ByteArrayColumnReader(reader) => {
                    let mut values: Vec<ByteArray> = Vec::new();
                    let (records, ..) = reader.read_records(VALUES, Some(&mut levels), None, &mut values)?;
                    for value in &values {
                        let text = value.as_utf8()?;
                        if text.len() > MAX_TEXT {
                            return Err(ParquetError::General(format!("a text of {} bytes", text.len())));
                        }
                        texts.push(text.to_owned());
                    }
                    Ok(records)
                }
                ColumnReader::Int32ColumnReader(reader) => {
                    let mut values = Vec::new();
                    let (records, ..) = reader.read_records(VALUES, Some(&mut levels), None, &mut values)?;
                    texts.extend(values.iter().map(i32::to_string));
                    Ok(records)
                }
                ColumnReader::Int64ColumnReader(reader) => {
                    let mut values = Vec::new();
                    let (records, ..) = reader.read_records(VALUES, Some(&mut levels), None, &mut values)?;
                    texts.extend(values.iter().map(i64::to_string));
                    Ok(records)
                }
                _ => Ok(0),
            })?;
            if records == 0 {
                return Ok(all);
            }
            let mut texts = texts.into_iter();
            match most {
                0 => all.extend(texts.map(Some)),
                most => all.extend(levels.iter().map(|&level| if level == most { texts.next() } else { None })),
            }
        }
    }

    /// Hands `each` the features of every row, in order, and its number in the file; none of a row that has none.
    pub fn features(&self, mut each: impl FnMut(usize, &[f32]) -> Result<()>) -> Result<()> {
        let rows_at_once = (VALUES / self.width.max(1)).max(1);
        let mut row = 0;
        for group in 0..self.reader.num_row_groups() {
            let mut reader = self.column(group, self.features)?;
            loop {
                let (values, has_some) = guarded(&self.path, || self.rows(&mut reader, rows_at_once))?;
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

    /// The features of the next rows, at most `count`, and for each row whether it has some.
    fn rows(&self, reader: &mut ColumnReader, count: usize) -> Result<(Vec<f32>, Vec<bool>), ParquetError> {
        let (mut definition, mut repetition) = (Vec::new(), Vec::new());
        let (mut floats, mut doubles) = (Vec::new(), Vec::new());
        match reader {
            ColumnReader::FloatColumnReader(reader) => {
                reader.read_records(count, Some(&mut definition), Some(&mut repetition), &mut floats)?;
            }
            ColumnReader::DoubleColumnReader(reader) => {
                reader.read_records(count, Some(&mut definition), Some(&mut repetition), &mut doubles)?;
                floats.extend(doubles.iter().map(|&value: &f64| value as f32));
            }
            _ => {}
        }
        let most = self.reader.metadata().file_metadata().schema_descr().column(self.features).max_def_level();
        let (mut has_some, mut at) = (Vec::new(), 0);
        while at < repetition.len() {
            let length = 1 + repetition[at + 1..].iter().take_while(|&&level| level != 0).count();
            let values = definition[at..at + length].iter().filter(|&&level| level == most).count();
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

    fn column(&self, group: usize, column: usize) -> Result<ColumnReader> {
        guarded(&self.path, || self.reader.get_row_group(group)?.get_column_reader(column))
    }

    fn broken(&self, what: String) -> Error {
        Error::file(&self.path, format!("has {what}; write its features again"))
    }
}

/// Does what may fail on a broken file. A reader that panics on a hostile one must not take the run with it.
fn guarded<T>(path: &Path, act: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
    let result = catch_unwind(AssertUnwindSafe(act));
    let result = result.unwrap_or_else(|_| Err(ParquetError::General("it is corrupt".into())));
    result.map_err(|error| match error {
        ParquetError::NYI(what) => {
            Error::file(path, format!("can't be read ({what}); write it uncompressed or with snappy"))
        }
        error => {
            let what = error.to_string();
            Error::file(path, format!("is no Parquet file that can be read ({what}); write its features again"))
        }
    })
}
