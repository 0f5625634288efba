//! `gpu-resnet infer`: images in, predictions out, as they are computed.

mod answer;
mod class_folders;
mod left_out;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(not(feature = "parquet"))]
#[path = "infer/no_parquet.rs"]
mod parquet;
mod sink;

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::Context;
use super::console::{Pace, interrupt};
use super::grad_cam::Overlays;
use super::model::{LoadedNetwork, ModelArgs, Use, distinct, needs_head, read_labels, warn};
use super::output_name::{self, Written};
use crate::data::{FileList, Loader, expand_inputs, feature_keys, left_out_of};
use crate::error::{Error, Result};
use crate::files;
use crate::model::{InputKind, Output};
use crate::predict::{Finite, run_batches};
use crate::weights::Weights;
pub(super) use answer::csv_field;
use class_folders::ClassFolders;
use left_out::LeftOut;
use sink::Sink;

/// Classify images.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gpu-resnet infer photo.jpg\n  gpu-resnet infer photos/ '*.png' --weights runs/mine \
                        --json\n  gpu-resnet infer photos/ --grad-cam maps/\n  find . -name '*.jpg' | gpu-resnet infer - --output predictions.csv\n  gpu-resnet infer photos/ --threshold 0.8 --output predictions.parquet"
)]
pub struct InferArgs {
    /// Image files, folders, globs, or `-` for a list of files on standard input, a line or a NUL byte after each
    #[arg(required_unless_present = "tensor")]
    input: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Predictions of each image
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// Leave out predictions that are less likely than this
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f64>,
    /// Class names: one a line, or JSON (a list, or an object such as id2label); `none` for bare numbers
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, conflicts_with_all = ["csv", "format"])]
    json: bool,
    /// Print CSV
    #[arg(long, conflicts_with = "format")]
    csv: bool,
    /// Form of the predictions [default: by the name of --output, else text]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write the predictions to a file instead of stdout; .csv, .jsonl and .parquet choose the form
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take a raw NCHW f32 batch, under the key `input`, instead of images
    #[arg(long, value_name = "FILE.safetensors", conflicts_with = "input")]
    tensor: Option<PathBuf>,
    /// Write `logits` [N, classes] as safetensors, the inputs' names in the metadata; or as .parquet
    #[arg(long, value_name = "FILE")]
    save_logits: Option<PathBuf>,
    /// Write `features` [N, C], the input of the classifier, as safetensors; or as .parquet, with each image's class folder as its
    /// label, which `finetune --features` takes
    #[arg(long, value_name = "FILE")]
    save_features: Option<PathBuf>,
    /// Draw into a folder, for each image, where its most likely class was seen
    #[arg(long, value_name = "DIR", conflicts_with = "tensor")]
    grad_cam: Option<PathBuf>,
}

/// The form of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One object a line
    Json,
    /// A line for each prediction
    Csv,
    /// A row for each image, with lists of indices, labels and probabilities
    Parquet,
}

impl Format {
    /// The form that a file's name asks for.
    fn of_name(path: &Path) -> Result<Option<Self>> {
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
}

impl Format {
    fn written(self) -> Written {
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

/// What a network without a head is good for.
const FOR_FEATURES: &str = "--save-features alone writes its features, and `gpu-resnet finetune` trains a head";

impl InferArgs {
    /// Whether features are all that is certainly wanted, so that a network without a head will do.
    fn only_features(&self) -> bool {
        let named = self.json || self.csv || self.format.is_some() || self.output.is_some();
        let of_predictions = self.save_logits.is_some() || self.grad_cam.is_some() || self.labels.is_some();
        self.save_features.is_some() && !named && !of_predictions && self.threshold.is_none()
    }

    /// The form that was asked for, by an option or by the output's name.
    fn format(&self) -> Result<Format> {
        Ok(match (self.format, self.json, self.csv, &self.output) {
            (Some(format), ..) => format,
            (_, true, ..) => Format::Json,
            (_, _, true, _) => Format::Csv,
            (.., Some(path)) => Format::of_name(path)?.unwrap_or(Format::Text),
            (.., None) => Format::Text,
        })
    }

    /// Every file that is written.
    fn outputs(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.output, &self.save_logits, &self.save_features].into_iter().flatten()
    }
}

pub fn run(context: &Context, args: &InferArgs) -> Result<()> {
    check_names(args)?;
    let purpose = Use { images: args.tensor.is_none(), classes: !args.only_features() && args.labels.is_none() };
    let model = args.model.load(context, purpose)?;
    if !args.only_features() {
        needs_head(&model.weights, FOR_FEATURES)?;
    }
    let labels = match &args.labels {
        Some(path) if path.as_os_str() == "none" => None,
        Some(path) => Some(read_labels(path, model.architecture.classes)?),
        None => model.labels.clone(),
    };
    check_outputs(args)?;
    let mut sink = Sink::new(args, labels, &model, &origin(&model, context)?)?;
    let left_out = match &args.tensor {
        Some(path) => run_tensor(context, args, &model, path, &mut sink)?,
        None => run_images(context, args, &model, &mut sink)?,
    };
    let done = sink.count;
    if done > 0 {
        // Where nothing was predicted there is nothing to write.
        sink.finish()?;
    }
    left_out.verdict(done)
}

/// What tells how the features of a table were computed.
fn origin(model: &LoadedNetwork, context: &Context) -> Result<[(&'static str, String); 3]> {
    let preprocess = serde_json::to_string(&model.preprocess).map_err(|e| Error::file(model.weights.label(), e))?;
    Ok([
        (feature_keys::WEIGHTS, model.weights.sha256().to_owned()),
        (feature_keys::PREPROCESS, preprocess),
        (feature_keys::PRECISION, context.precision().name().to_owned()),
    ])
}

/// No output's name promises another format than it gets.
fn check_names(args: &InferArgs) -> Result<()> {
    if let Some(path) = &args.output {
        output_name::check(path, args.format()?.written())?;
    }
    for path in [&args.save_logits, &args.save_features].into_iter().flatten() {
        match Format::of_name(path)? {
            Some(Format::Parquet) => {}
            _ => output_name::check(path, output_name::SAFETENSORS)?,
        }
    }
    Ok(())
}

/// Every output can be written, and none is another one too.
fn check_outputs(args: &InferArgs) -> Result<()> {
    let outputs: Vec<&PathBuf> = args.outputs().collect();
    for (i, path) in outputs.iter().enumerate() {
        if outputs[..i].contains(path) {
            return Err(Error::Usage(format!("{} is named as two outputs; name another file", path.display())));
        }
        files::check_writable(path)?;
    }
    Ok(())
}

/// The image files that `inputs` name with their class folders, and how many of the inputs name none; each of those was reported.
fn find_images(context: &Context, inputs: &[PathBuf]) -> Result<(Vec<PathBuf>, ClassFolders, usize)> {
    let mut stdin = std::io::stdin().lock();
    let mut list = Some(&mut stdin as &mut dyn BufRead);
    let (mut files, mut folders, mut missing) = (Vec::new(), ClassFolders::default(), 0);
    for input in inputs {
        let list = if input.as_os_str() == "-" { list.take() } else { None };
        match expand_inputs(std::slice::from_ref(input), list) {
            Ok(found) => {
                files.extend(found);
                folders.push(input, files.len());
                let unread = left_out_of(input);
                unread.iter().for_each(|what| {
                    context.console.note(format!("{} left out of {}; convert them", what, input.display()));
                });
            }
            Err(error @ Error::File { .. }) if inputs.len() > 1 => {
                context.console.complain(error);
                missing += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if files.is_empty() {
        return Err(Error::Partial(format!("none of the {missing} inputs holds an image; nothing was written")));
    }
    Ok((files, folders, missing))
}

fn run_images(context: &Context, args: &InferArgs, model: &LoadedNetwork, sink: &mut Sink) -> Result<LeftOut> {
    let (files, folders, missing) = find_images(context, &args.input)?;
    for output in args.outputs() {
        files.iter().try_for_each(|file| distinct(file, output))?;
    }
    if let Some(folder) = &args.grad_cam {
        // A picture could take the name of an image that is yet to be read.
        files.iter().filter_map(|file| file.parent()).try_for_each(|parent| distinct(parent, folder))?;
    }
    let total = files.len();
    let source = Arc::new(FileList::new(files));
    let batch = args.model.batch_size.min(total.try_into().unwrap_or(u32::MAX));
    let loader = Loader::new(source.clone(), (0..total).collect(), batch as usize, model.preprocess.clone(), 2)?;
    let mut overlays = args.grad_cam.as_deref().map(|folder| Overlays::new(folder, model)).transpose()?;
    let runtime = context.runtime();
    let mut predictors = model.predictors(&runtime, batch)?;
    // Pictures are drawn on the first adapter.
    let network = predictors[0].network().clone();
    let bar = context.console.progress(total as u64, "images");
    let stop = interrupt();
    let started = Instant::now();
    let mut pace = Pace::new(context.console, total);
    let finite = Finite::new(&runtime, model);
    let mut unanswered = 0;
    let unreadable = run_batches(&runtime, loader, &mut predictors, &bar, &stop, |indices, output| {
        for (&i, (logits, features)) in indices.iter().zip(rows(model, &output)) {
            let path = source.path(i);
            let name = path.display().to_string();
            let drawn = check_rows(&finite, &name, logits, features).and_then(|()| match &mut overlays {
                Some(overlays) => overlays.see(&network, &source, i, &finite).map(Some),
                None => Ok(None),
            });
            match drawn {
                Ok(seen) => {
                    let picture = match (&mut overlays, seen) {
                        (Some(overlays), Some(seen)) => Some(overlays.draw(path, &seen)?),
                        _ => None,
                    };
                    let label = folders.label(i, path);
                    let name = (path.as_os_str(), label.as_deref());
                    bar.suspend(|| sink.take(name, logits, features, picture.as_deref()))?;
                }
                Err(error @ Error::File { .. }) => {
                    bar.suspend(|| context.console.complain(error));
                    unanswered += 1;
                }
                Err(error) => return Err(error),
            }
            stop.check()?;
        }
        pace.at(sink.count);
        Ok(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let (done, rate, failed) = (sink.count, sink.count as f64 / seconds, unreadable + unanswered);
    context.console.note(format!("{done} images in {seconds:.2} s ({rate:.1} images/s), {failed} failed"));
    Ok(LeftOut { missing, unreadable, unanswered })
}

/// The logits and the features of each image.
fn rows<'o>(model: &LoadedNetwork, output: &'o Output) -> impl Iterator<Item = (&'o [f32], &'o [f32])> {
    output.logits.chunks(model.architecture.classes).zip(output.features.chunks(model.architecture.features()))
}

fn check_rows(finite: &Finite, name: &str, logits: &[f32], features: &[f32]) -> Result<()> {
    finite.check(name, "logits", logits)?;
    finite.check(name, "features", features)
}

fn run_tensor(
    context: &Context,
    args: &InferArgs,
    model: &LoadedNetwork,
    path: &Path,
    sink: &mut Sink,
) -> Result<LeftOut> {
    for output in args.outputs() {
        distinct(path, output)?;
    }
    let file = Weights::open(path)?;
    let shape = file.shape("input").map(<[usize]>::to_vec);
    let Some(shape @ &[n, 3, h, w]) = shape.as_deref().and_then(|s| <&[usize; 4]>::try_from(s).ok()) else {
        let found = shape.map_or("no tensor `input`".to_owned(), |s| format!("`input` of shape {s:?}"));
        return Err(Error::file(path, format!("has {found}; [N, 3, H, W] is needed")));
    };
    if shape.contains(&0) {
        return Err(Error::file(path, format!("`input` of shape {shape:?} is empty")));
    }
    let input = file.tensor_f32("input")?;
    let runtime = context.runtime();
    let mut predictor =
        model.predictor_for(&runtime, InputKind::Tensor, [h, w], args.model.batch_size.min(n as u32))?;
    let step = predictor.batch() * 3 * h * w;
    let finite = Finite::new(&runtime, model);
    let mut left_out = LeftOut::default();
    for (index, part) in input.chunks(step).enumerate() {
        let output = predictor.run_tensor(part)?;
        warn(&runtime, &mut predictor);
        let first = index * (step / (3 * h * w));
        for (i, (logits, features)) in (first..).zip(rows(model, &output)) {
            let mut name = path.as_os_str().to_owned();
            name.push(format!("#{i}"));
            match check_rows(&finite, &name.to_string_lossy(), logits, features) {
                Ok(()) => sink.take((&name, None), logits, features, None)?,
                Err(error) => {
                    context.console.complain(error);
                    left_out.unanswered += 1;
                }
            }
        }
    }
    Ok(left_out)
}
