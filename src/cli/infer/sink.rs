//! Where predictions, logits and features go, as they are computed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::answer::{Answer, CSV_HEADER};
use super::args::{Format, InferArgs};
use super::parquet::Table;
use crate::cli::console::{is_closed, print_bytes};
use crate::cli::model::{LoadedNetwork, numbered};
use crate::error::{Error, Result};
use crate::files::NewFile;
use crate::predict::predictions;
use crate::weights::{NamedTensor, RawTensor, write_safetensors};

/// Everything that a run writes.
pub struct Sink {
    predictions: Predictions,
    logits: Option<Vectors>,
    features: Option<Vectors>,
    labels: Vec<String>,
    top_k: usize,
    threshold: f64,
    /// Whether anything besides stdout is written, which continues after stdout was closed.
    has_files: bool,
    /// Images so far.
    pub count: usize,
}

impl Sink {
    pub fn new(
        args: &InferArgs,
        labels: Option<Vec<String>>,
        model: &LoadedNetwork,
        origin: &[(&str, String)],
    ) -> Result<Self> {
        let vectors = |path: &Option<PathBuf>, key, columns| {
            path.as_deref().map(|path| Vectors::new(path, key, columns, origin)).transpose()
        };
        Ok(Self {
            predictions: match model.weights.head().missing() {
                None => Predictions::new(args)?,
                Some(_) => Predictions::None,
            },
            logits: vectors(&args.save_logits, "logits", model.architecture.classes)?,
            features: vectors(&args.save_features, "features", model.architecture.features())?,
            labels: labels.unwrap_or_else(|| numbered(model.classes())),
            top_k: args.top_k as usize,
            threshold: args.threshold.unwrap_or(0.0),
            has_files: args.outputs().next().is_some() || args.grad_cam.is_some(),
            count: 0,
        })
    }

    /// Adds the results of the image called `name`, of the class folder `label` if it lies in one; `grad_cam` is its picture, if there
    /// is one.
    pub fn take(
        &mut self,
        (name, label): (&OsStr, Option<&str>),
        logits: &[f32],
        features: &[f32],
        grad_cam: Option<&Path>,
    ) -> Result<()> {
        let predictions = predictions(logits, &self.labels, self.top_k, self.threshold);
        match self.predictions.write(&Answer { input: name, predictions, grad_cam }) {
            Err(error) if self.has_files && is_closed(&error) => self.predictions = Predictions::None,
            written => written?,
        }
        for (vectors, values) in [(&mut self.logits, logits), (&mut self.features, features)] {
            if let Some(vectors) = vectors {
                vectors.take(&name.to_string_lossy(), label, values)?;
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Gives every file its name.
    pub fn finish(self) -> Result<()> {
        self.predictions.finish()?;
        [self.logits, self.features].into_iter().flatten().try_for_each(Vectors::finish)
    }
}

/// Where predictions go.
enum Predictions {
    /// Nowhere: the network has no head, or stdout was closed.
    None,
    Lines {
        format: Format,
        to: Option<NewFile>,
    },
    Table(Box<Table>),
}

impl Predictions {
    fn new(args: &InferArgs) -> Result<Self> {
        let format = args.format()?;
        let mut lines = match (format, &args.output) {
            (Format::Parquet, Some(path)) => return Ok(Self::Table(Box::new(Table::of_predictions(path)?))),
            (Format::Parquet, None) => {
                return Err(Error::Usage("Parquet can't be printed; name a file by --output".into()));
            }
            (format, path) => Self::Lines { format, to: path.as_deref().map(NewFile::create).transpose()? },
        };
        if format == Format::Csv {
            lines.line(CSV_HEADER.as_bytes())?;
        }
        Ok(lines)
    }

    fn write(&mut self, answer: &Answer) -> Result<()> {
        let text = match self {
            Self::None => return Ok(()),
            Self::Table(table) => return table.predictions(&answer.input.to_string_lossy(), &answer.predictions),
            Self::Lines { format: Format::Json, .. } => answer.json()?.into_bytes(),
            Self::Lines { format: Format::Csv, .. } => answer.csv(),
            Self::Lines { .. } => answer.text(),
        };
        self.line(&text)
    }

    fn line(&mut self, text: &[u8]) -> Result<()> {
        match self {
            Self::Lines { to: Some(file), .. } => file.write(text),
            Self::Lines { to: None, .. } => print_bytes(text),
            Self::Table(_) | Self::None => Ok(()),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Lines { to, .. } => to.map_or(Ok(()), NewFile::commit),
            Self::Table(table) => table.commit(),
        }
    }
}

/// A vector of each image.
enum Vectors {
    /// One tensor, whose size is in the file's header: it is kept in memory until the last image.
    Safetensors {
        path: PathBuf,
        key: &'static str,
        columns: usize,
        names: Vec<String>,
        data: Vec<f32>,
    },
    Table(Box<Table>),
}

impl Vectors {
    fn new(path: &Path, key: &'static str, columns: usize, origin: &[(&str, String)]) -> Result<Self> {
        Ok(match Format::of_name(path)? {
            Some(Format::Parquet) if key == "features" => Self::Table(Box::new(Table::of_features(path, origin)?)),
            Some(Format::Parquet) => Self::Table(Box::new(Table::of_vectors(path, key)?)),
            _ => Self::Safetensors { path: path.to_owned(), key, columns, names: Vec::new(), data: Vec::new() },
        })
    }

    fn take(&mut self, name: &str, label: Option<&str>, values: &[f32]) -> Result<()> {
        match self {
            Self::Table(table) => table.vector(name, label, values),
            Self::Safetensors { names, data, .. } => {
                names.push(name.to_owned());
                data.extend_from_slice(values);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Table(table) => table.commit(),
            Self::Safetensors { path, key, columns, names, data } => {
                let shape = [names.len(), columns];
                let names = serde_json::to_string(&names).map_err(|e| Error::file(&path, e))?;
                let tensor = NamedTensor::new(key, &shape, &data[..]);
                write_safetensors(path, &[RawTensor::from(&tensor)], &[("names".to_owned(), names)].into())
            }
        }
    }
}
