//! Tables of results as Parquet: one row per image, lists of values in the columns, written one row group at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use crate::error::{Error, Result};
use crate::files::NewFile;
use crate::predict::Prediction;

/// Values per row group: the amount that is kept in memory, and that a reader takes at once.
const GROUP: usize = 1 << 20;

/// A Parquet file that is being written.
pub struct Table {
    path: PathBuf,
    writer: SerializedFileWriter<NewFile>,
    columns: Vec<Column>,
}

enum Column {
    Input(Vec<ByteArray>),
    Labels(Labels),
    Integers(Lists<i32>),
    Texts(Lists<ByteArray>),
    Doubles(Lists<f64>),
    Floats(Lists<f32>),
}

/// Lists as Parquet stores them: all values in one row, each with a flag that it starts a list (repetition 0). An empty list is
/// an entry without a value (definition 0).
struct Lists<T> {
    values: Vec<T>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

/// Texts that may be missing: an entry without a value has definition 0.
#[derive(Default)]
struct Labels {
    values: Vec<ByteArray>,
    definition: Vec<i16>,
}

impl Labels {
    fn push(&mut self, label: Option<&str>) {
        self.definition.push(i16::from(label.is_some()));
        self.values.extend(label.map(ByteArray::from));
    }
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { values: Vec::new(), definition: Vec::new(), repetition: Vec::new() }
    }
}

impl<T> Lists<T> {
    fn push(&mut self, list: impl IntoIterator<Item = T>) {
        let before = self.values.len();
        self.values.extend(list);
        let count = self.values.len() - before;
        self.definition.extend(std::iter::repeat_n(i16::from(count > 0), count.max(1)));
        self.repetition.push(0);
        self.repetition.extend(std::iter::repeat_n(1, count.saturating_sub(1)));
    }

    fn write<D: DataType<T = T>>(&self, to: &mut SerializedColumnWriter) -> Result<(), ParquetError> {
        to.typed::<D>().write_batch(&self.values, Some(&self.definition), Some(&self.repetition)).map(drop)
    }
}

impl Table {
    /// For predictions: `input`, and the lists `index`, `label` and `probability`, most likely first.
    pub fn of_predictions(path: &Path) -> Result<Self> {
        let columns = vec![
            Column::Input(Vec::new()),
            Column::Integers(Lists::default()),
            Column::Texts(Lists::default()),
            Column::Doubles(Lists::default()),
        ];
        let lists =
            [("index", "int32 element"), ("label", "binary element (STRING)"), ("probability", "double element")];
        let schema = format!("required binary input (STRING); {}", schema_of(&lists));
        Self::create(path, &schema, columns, &[])
    }

    /// For vectors: `input` and the list `name`.
    pub fn of_vectors(path: &Path, name: &str) -> Result<Self> {
        let columns = vec![Column::Input(Vec::new()), Column::Floats(Lists::default())];
        let schema = format!("required binary input (STRING); {}", schema_of(&[(name, "float element")]));
        Self::create(path, &schema, columns, &[])
    }

    /// For features: `id`, `label` and the list `features`, as `finetune --features` reads them; `origin` goes into the file's
    /// metadata.
    pub fn of_features(path: &Path, origin: &[(&str, String)]) -> Result<Self> {
        let columns =
            vec![Column::Input(Vec::new()), Column::Labels(Labels::default()), Column::Floats(Lists::default())];
        let list = schema_of(&[("features", "float element")]);
        let schema = format!("required binary id (STRING); optional binary label (STRING); {list}");
        Self::create(path, &schema, columns, origin)
    }

    fn create(path: &Path, fields: &str, columns: Vec<Column>, metadata: &[(&str, String)]) -> Result<Self> {
        let pairs = metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs)).build();
        let create = |file| {
            let schema = Arc::new(parse_message_type(&format!("message images {{ {fields} }}"))?);
            SerializedFileWriter::new(file, schema, Arc::new(properties))
        };
        let writer = create(NewFile::create(path)?).map_err(|e| failed(path, e))?;
        Ok(Self { path: path.to_owned(), writer, columns })
    }

    /// Appends the predictions for an image.
    pub fn predictions(&mut self, input: &str, predictions: &[Prediction]) -> Result<()> {
        for column in &mut self.columns {
            match column {
                Column::Input(names) => names.push(input.into()),
                Column::Integers(lists) => lists.push(predictions.iter().map(|p| p.index as i32)),
                Column::Texts(lists) => lists.push(predictions.iter().map(|p| p.label.as_str().into())),
                Column::Doubles(lists) => lists.push(predictions.iter().map(|p| p.probability)),
                Column::Labels(_) | Column::Floats(_) => {}
            }
        }
        self.flush_if_due()
    }

    /// Appends the vector of an image, with its label where the table has labels.
    pub fn vector(&mut self, input: &str, label: Option<&str>, vector: &[f32]) -> Result<()> {
        for column in &mut self.columns {
            match column {
                Column::Input(names) => names.push(input.into()),
                Column::Labels(labels) => labels.push(label),
                Column::Floats(lists) => lists.push(vector.iter().copied()),
                _ => {}
            }
        }
        self.flush_if_due()
    }

    fn flush_if_due(&mut self) -> Result<()> {
        let values = |column: &Column| match column {
            Column::Input(names) => names.len(),
            Column::Labels(labels) => labels.definition.len(),
            Column::Integers(lists) => lists.values.len(),
            Column::Texts(lists) => lists.values.len(),
            Column::Doubles(lists) => lists.values.len(),
            Column::Floats(lists) => lists.values.len(),
        };
        if self.columns.iter().map(values).sum::<usize>() >= GROUP { self.flush() } else { Ok(()) }
    }

    /// Writes the buffered rows as a row group.
    fn flush(&mut self) -> Result<()> {
        let Self { path, writer, columns } = self;
        let mut write = || {
            let mut group = writer.next_row_group()?;
            for column in columns.iter_mut() {
                let Some(mut to) = group.next_column()? else { break };
                match column {
                    Column::Input(names) => {
                        to.typed::<ByteArrayType>().write_batch(names, None, None)?;
                        names.clear();
                    }
                    Column::Labels(labels) => {
                        let Labels { values, definition } = std::mem::take(labels);
                        to.typed::<ByteArrayType>().write_batch(&values, Some(&definition), None)?;
                    }
                    Column::Integers(lists) => std::mem::take(lists).write::<Int32Type>(&mut to)?,
                    Column::Texts(lists) => std::mem::take(lists).write::<ByteArrayType>(&mut to)?,
                    Column::Doubles(lists) => std::mem::take(lists).write::<DoubleType>(&mut to)?,
                    Column::Floats(lists) => std::mem::take(lists).write::<FloatType>(&mut to)?,
                }
                to.close()?;
            }
            group.close().map(drop)
        };
        write().map_err(|e: ParquetError| failed(path, e))
    }

    /// Writes the rest and gives the file its name.
    pub fn commit(mut self) -> Result<()> {
        self.flush()?;
        let Self { path, writer, .. } = self;
        writer.into_inner().map_err(|e| failed(&path, e))?.commit()
    }
}

/// Lists as a schema has them, by their names and elements.
fn schema_of(lists: &[(&str, &str)]) -> String {
    let list = |(name, element): &(&str, &str)| {
        format!("required group {name} (LIST) {{ repeated group list {{ required {element}; }} }}")
    };
    lists.iter().map(list).collect()
}

fn failed(path: &Path, error: ParquetError) -> Error {
    Error::file(path, format!("could not be written as Parquet: {error}; check the folder and its space"))
}
