//! The options of `infer`, and the forms of predictions.

use std::path::{Path, PathBuf};

use crate::cli::model::ModelArgs;
use crate::cli::output_name::{self, Written};
use crate::error::{Error, Result};

/// Classify images.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gpu-resnet infer photo.jpg\n  gpu-resnet infer photos/ '*.png' --weights runs/mine \
                        --json\n  gpu-resnet infer photos/ --grad-cam maps/\n  find . -name '*.jpg' | gpu-resnet infer - --output predictions.csv\n  gpu-resnet infer photos/ --threshold 0.8 --output predictions.parquet"
)]
pub struct InferArgs {
    /// Image files, folders, globs, or `-` for a list of files on stdin, one per line or separated by NUL bytes
    #[arg(required_unless_present = "tensor")]
    pub(super) input: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Predictions per image
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) top_k: u32,
    /// Leave out predictions with a lower probability than this
    #[arg(long, value_name = "P", value_parser = probability)]
    pub(super) threshold: Option<f64>,
    /// Class names: one per line, or JSON (a list, or an object such as id2label); `none` for bare numbers
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long, conflicts_with_all = ["csv", "format"])]
    pub(super) json: bool,
    /// Print CSV
    #[arg(long, conflicts_with = "format")]
    pub(super) csv: bool,
    /// Format of the predictions [default: by the name of --output, else text]
    #[arg(long, value_enum)]
    pub(super) format: Option<Format>,
    /// Write the predictions to a file instead of stdout; .csv, .jsonl and .parquet select the format
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Take a raw NCHW f32 batch, under the key `input`, instead of images
    #[arg(long, value_name = "FILE.safetensors", conflicts_with = "input")]
    pub(super) tensor: Option<PathBuf>,
    /// Write `logits` [N, classes] as safetensors, with the inputs' names in the metadata; or as .parquet
    #[arg(long, value_name = "FILE")]
    pub(super) save_logits: Option<PathBuf>,
    /// Write `features` [N, C], the input of the classifier, as safetensors; or as .parquet, with each image's class folder as its label,
    /// which `finetune --features` reads
    #[arg(long, value_name = "FILE")]
    pub(super) save_features: Option<PathBuf>,
    /// Draw, for each image, where its most likely class was seen (Grad-CAM), into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "tensor")]
    pub(super) grad_cam: Option<PathBuf>,
}

/// The format of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One object per line
    Json,
    /// One line per prediction
    Csv,
    /// One row per image, with lists of indices, labels and probabilities
    Parquet,
}

impl Format {
    /// The format that a file name selects.
    pub(super) fn of_name(path: &Path) -> Result<Option<Self>> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        Ok(match &*extension {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "json" | "jsonl" | "ndjson" => Some(Self::Json),
            "arrow" | "feather" => {
                let problem = format!("{}: Arrow's own files are not written; name it .parquet", path.display());
                return Err(Error::Usage(problem));
            }
            _ => None,
        })
    }

    pub(super) fn written(self) -> Written {
        match self {
            Self::Text => output_name::TEXT,
            Self::Json => output_name::JSON_LINES,
            Self::Csv => output_name::CSV,
            Self::Parquet => output_name::PARQUET,
        }
    }
}

/// A number from 0 to 1.
fn probability(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|p| (0.0..=1.0).contains(p));
    number.ok_or_else(|| "a probability is a number from 0 to 1".to_owned())
}

/// What a network without a head can be used for.
pub(super) const FOR_FEATURES: &str =
    "--save-features alone writes its features, and `gpu-resnet finetune` trains a head";

impl InferArgs {
    /// Whether only features are requested, so that a network without a head suffices.
    pub(super) fn only_features(&self) -> bool {
        let named = self.json || self.csv || self.format.is_some() || self.output.is_some();
        let of_predictions = self.save_logits.is_some() || self.grad_cam.is_some() || self.labels.is_some();
        self.save_features.is_some() && !named && !of_predictions && self.threshold.is_none()
    }

    /// The format that an option or the output's name selects.
    pub(super) fn format(&self) -> Result<Format> {
        Ok(match (self.format, self.json, self.csv, &self.output) {
            (Some(format), ..) => format,
            (_, true, ..) => Format::Json,
            (_, _, true, _) => Format::Csv,
            (.., Some(path)) => Format::of_name(path)?.unwrap_or(Format::Text),
            (.., None) => Format::Text,
        })
    }

    /// Every file that is written.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.output, &self.save_logits, &self.save_features].into_iter().flatten()
    }
}
