//! `gpu-resnet infer`: images in, predictions out, as they are computed.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::Context;
use super::batches::run_batches;
use super::console::{interrupt, print};
use super::grad_cam::Overlays;
use super::model::{Loaded, ModelArgs, distinct, numbered, read_labels, softmax, top_k, warn};
use crate::data::{FileList, Loader, expand_inputs};
use crate::error::{Error, Result};
use crate::files::{self, NewFile};
use crate::model::{InputKind, Output};
use crate::weights::{NamedTensor, RawTensor, Weights, write_safetensors};

/// Classify images.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gpu-resnet infer photo.jpg\n  gpu-resnet infer photos/ '*.png' --weights runs/mine \
                        --json\n  gpu-resnet infer photos/ --grad-cam maps/\n  find . -name '*.jpg' | gpu-resnet infer - --csv --output predictions.csv"
)]
pub struct InferArgs {
    /// Image files, folders, globs, or `-` for a list of files on standard input
    #[arg(required_unless_present = "tensor")]
    input: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Predictions of each image
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// Class names: one a line, or a JSON list
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV
    #[arg(long)]
    csv: bool,
    /// Write the predictions to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take a raw NCHW f32 batch, under the key `input`, instead of images
    #[arg(long, value_name = "FILE.safetensors", conflicts_with = "input")]
    tensor: Option<PathBuf>,
    /// Write `logits` [N, classes] as safetensors, the inputs' names in the metadata
    #[arg(long, value_name = "FILE")]
    save_logits: Option<PathBuf>,
    /// Write `features` [N, C], the input of the classifier, as safetensors
    #[arg(long, value_name = "FILE")]
    save_features: Option<PathBuf>,
    /// Draw into a folder, for each image, where its most likely class was seen
    #[arg(long, value_name = "DIR", conflicts_with = "tensor")]
    grad_cam: Option<PathBuf>,
}

impl InferArgs {
    /// Every file that is written.
    fn outputs(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.output, &self.save_logits, &self.save_features].into_iter().flatten()
    }
}

pub fn run(context: &Context, args: &InferArgs) -> Result<()> {
    let model = args.model.load()?;
    let labels = match &args.labels {
        Some(path) => Some(read_labels(path, model.architecture.classes)?),
        None => model.labels.clone(),
    };
    check_outputs(args)?;
    let mut sink = Sink::new(args, labels, model.architecture.classes)?;
    let failed = match &args.tensor {
        Some(path) => run_tensor(context, args, &model, path, &mut sink).map(|()| 0)?,
        None => run_images(context, args, &model, &mut sink)?,
    };
    let all = sink.count + failed;
    if sink.count == 0 {
        // Nothing was predicted, so there is nothing to write.
        return Err(Error::Partial(format!("none of the {all} images could be read; nothing was written")));
    }
    sink.finish(args, &model)?;
    if failed > 0 {
        return Err(Error::Partial(format!("{failed} of {all} images could not be read; the others are done")));
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

fn run_images(context: &Context, args: &InferArgs, model: &Loaded, sink: &mut Sink) -> Result<usize> {
    let mut stdin = std::io::stdin().lock();
    let files = expand_inputs(&args.input, Some(&mut stdin as &mut dyn BufRead))?;
    for output in args.outputs() {
        files.iter().try_for_each(|file| distinct(file, output))?;
    }
    let total = files.len();
    let source = Arc::new(FileList::new(files));
    let batch = args.model.batch_size.min(total.try_into().unwrap_or(u32::MAX));
    let loader = Loader::new(source.clone(), (0..total).collect(), batch as usize, model.preprocess.clone(), 2)?;
    let mut overlays = args.grad_cam.as_deref().map(|folder| Overlays::new(folder, model)).transpose()?;
    let mut predictors = model.predictors(context, batch)?;
    // Pictures are drawn on the first adapter.
    let network = predictors[0].network().clone();
    let bar = context.console.progress(total as u64, "images");
    let stop = interrupt();
    let started = Instant::now();
    let failed = run_batches(context, loader, &mut predictors, &bar, &stop, |indices, output| {
        let names = indices.iter().map(|&i| source.path(i).display().to_string()).collect();
        let mut drawn = Vec::new();
        if let Some(overlays) = &mut overlays {
            for &i in indices {
                drawn.push(overlays.draw(&network, &source, i)?);
                stop.check()?;
            }
        }
        bar.suspend(|| sink.take(names, &drawn, output))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let (done, rate) = (sink.count, sink.count as f64 / seconds);
    context.console.note(format!("{done} images in {seconds:.2} s ({rate:.1} images/s), {failed} failed"));
    Ok(failed)
}

fn run_tensor(context: &Context, args: &InferArgs, model: &Loaded, path: &Path, sink: &mut Sink) -> Result<()> {
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
    let mut predictor = model.predictor_for(context, InputKind::Tensor, [h, w], args.model.batch_size.min(n as u32))?;
    let step = predictor.batch() * 3 * h * w;
    for (index, part) in input.chunks(step).enumerate() {
        let output = predictor.run_tensor(part)?;
        warn(context, &mut predictor);
        let first = index * (step / (3 * h * w));
        let names = (first..first + part.len() / (3 * h * w)).map(|i| format!("{}#{i}", path.display())).collect();
        sink.take(names, &[], output)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    input: &'a str,
    predictions: Vec<Prediction<'a>>,
    /// The picture that `--grad-cam` drew.
    #[serde(skip_serializing_if = "Option::is_none")]
    grad_cam: Option<&'a Path>,
}

#[derive(Serialize)]
struct Prediction<'a> {
    index: usize,
    label: &'a str,
    probability: f64,
}

enum Format {
    Text,
    Json,
    Csv,
}

enum Out {
    Stdout,
    File(NewFile),
}

/// Where predictions go as they are computed, and what is saved at the end.
struct Sink {
    out: Out,
    format: Format,
    labels: Vec<String>,
    top_k: usize,
    count: usize,
    keep_logits: bool,
    keep_features: bool,
    names: Vec<String>,
    logits: Vec<f32>,
    features: Vec<f32>,
}

impl Sink {
    fn new(args: &InferArgs, labels: Option<Vec<String>>, classes: usize) -> Result<Self> {
        let format = match (args.json, args.csv) {
            (true, _) => Format::Json,
            (_, true) => Format::Csv,
            _ => Format::Text,
        };
        let out = match &args.output {
            None => Out::Stdout,
            Some(path) => Out::File(NewFile::create(path)?),
        };
        let mut sink = Self {
            out,
            format,
            labels: labels.unwrap_or_else(|| numbered(classes)),
            top_k: args.top_k as usize,
            count: 0,
            keep_logits: args.save_logits.is_some(),
            keep_features: args.save_features.is_some(),
            names: Vec::new(),
            logits: Vec::new(),
            features: Vec::new(),
        };
        if let Format::Csv = sink.format {
            sink.write("input,rank,index,label,probability\n")?;
        }
        Ok(sink)
    }

    /// What came out for the images called `names`; `drawn` are their pictures, if there are any.
    fn take(&mut self, names: Vec<String>, drawn: &[PathBuf], output: Output) -> Result<()> {
        let classes = self.labels.len();
        for (i, (name, logits)) in names.iter().zip(output.logits.chunks(classes)).enumerate() {
            let text = self.line(name, drawn.get(i).map(PathBuf::as_path), logits)?;
            self.write(&text)?;
        }
        self.count += names.len();
        if self.keep_logits || self.keep_features {
            self.names.extend(names);
        }
        if self.keep_logits {
            self.logits.extend(output.logits);
        }
        if self.keep_features {
            self.features.extend(output.features);
        }
        Ok(())
    }

    fn line(&self, input: &str, grad_cam: Option<&Path>, logits: &[f32]) -> Result<String> {
        let probabilities = softmax(logits);
        let predictions: Vec<Prediction> = top_k(&probabilities, self.top_k)
            .into_iter()
            .map(|index| Prediction { index, label: &self.labels[index], probability: probabilities[index] })
            .collect();
        Ok(match self.format {
            Format::Json => {
                let line = serde_json::to_string(&Line { input, predictions, grad_cam });
                line.map_err(|e| Error::file("stdout", e))? + "\n"
            }
            Format::Csv => predictions
                .iter()
                .enumerate()
                .map(|(rank, p)| {
                    let (input, label) = (csv_field(input), csv_field(p.label));
                    format!("{input},{},{},{label},{}\n", rank + 1, p.index, p.probability)
                })
                .collect(),
            Format::Text => {
                let list: String =
                    predictions.iter().map(|p| format!("  {:6.2} %  {}\n", p.probability * 100.0, p.label)).collect();
                format!("{input}\n{list}")
            }
        })
    }

    fn write(&mut self, text: &str) -> Result<()> {
        match &mut self.out {
            Out::Stdout => print(text),
            Out::File(file) => file.write(text.as_bytes()),
        }
    }

    fn finish(self, args: &InferArgs, model: &Loaded) -> Result<()> {
        if let Out::File(file) = self.out {
            file.commit()?;
        }
        if let Some(path) = &args.save_logits {
            save_rows(path, "logits", &self.names, &self.logits, model.architecture.classes)?;
        }
        if let Some(path) = &args.save_features {
            save_rows(path, "features", &self.names, &self.features, model.architecture.features())?;
        }
        Ok(())
    }
}

/// A field of a CSV line (RFC 4180).
pub(super) fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn save_rows(path: &Path, key: &str, names: &[String], data: &[f32], columns: usize) -> Result<()> {
    let shape = [names.len(), columns];
    let names = serde_json::to_string(names).map_err(|e| Error::file(path, e))?;
    let tensor = NamedTensor::new(key, &shape, data);
    write_safetensors(path, &[RawTensor::from(&tensor)], &[("names".to_owned(), names)].into())
}
