//! `gpu-resnet evaluate`: accuracy of a network on labelled images.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::Context;
use super::batches::run_batches;
use super::console::{interrupt, print, print_json};
use super::finite::Finite;
use super::model::{Loaded, ModelArgs, Use, needs_head, numbered, read_labels};
use super::output_name;
use super::probabilities::{cross_entropy, probabilities, top_k};
use super::sets::open_kept;
use crate::data::{Dataset, Loader, Outputs, count, match_outputs};
use crate::error::{Error, Result};
use crate::files;
use crate::weights::{imagenet_synsets, is_imagenet};

/// Measure a network's accuracy on labelled images.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet evaluate photos/val --weights runs/mine --json")]
pub struct EvaluateArgs {
    /// Labelled images; of a data set with a held-out part, that part
    data: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// The network's class names, in the order of its outputs, instead of its own: one a line, or a JSON list
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Measure on the images of these classes alone: a file with a name a line
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write the confusion matrix as CSV: a row for each true class, a column for each predicted one
    #[arg(long, value_name = "FILE.csv")]
    confusion: Option<PathBuf>,
    /// Draw the confusion matrix
    #[arg(long, value_name = "FILE.svg")]
    confusion_picture: Option<PathBuf>,
}

/// What `--json` prints; accuracies are fractions.
#[derive(Debug, Serialize)]
struct Report {
    count: usize,
    loss: f64,
    top1: f64,
    top5: f64,
    #[serde(serialize_with = "super::console::as_map")]
    per_class: Vec<(String, f64)>,
}

pub fn run(context: &Context, args: &EvaluateArgs) -> Result<()> {
    for (path, written) in [(&args.confusion, output_name::CSV), (&args.confusion_picture, output_name::SVG)] {
        path.iter().try_for_each(|path| output_name::check(path, written))?;
    }
    let model = args.model.load(context, Use::PREDICTIONS)?;
    needs_head(&model.weights, "train a head by `gpu-resnet finetune`")?;
    [&args.confusion, &args.confusion_picture]
        .into_iter()
        .flatten()
        .try_for_each(|path| files::check_writable(path))?;
    let classes = model.classes();
    let names = match &args.labels {
        Some(path) => Some(read_labels(path, model.architecture.classes)?),
        None => model.labels.clone(),
    };
    let data = open(context, args, classes, names.as_deref())?;
    let labels = names.unwrap_or_else(|| numbered(classes));
    let mut tally = Tally::new(classes);
    let failed = tally_all(context, args, &model, data, &mut tally)?;
    if tally.count == 0 {
        return Err(Error::file(&args.data, "none of its images could be read; nothing was measured"));
    }
    let report = tally.report(&labels);
    if args.json {
        print_json(&report)?
    } else {
        print(table(&report))?
    }
    if let Some(path) = &args.confusion {
        files::write(path, confusion_csv(&tally, &labels).as_bytes())?;
    }
    if let Some(path) = &args.confusion_picture {
        files::write(path, super::confusion::draw(&tally.confusion, &labels)?.as_bytes())?;
    }
    if failed > 0 {
        return Err(Error::Partial(format!("{} could not be read, and left out", count(failed, "image"))));
    }
    Ok(())
}

/// The held-out part of the data if it has one, its labels numbered as the network's outputs, which have `names`.
fn open(context: &Context, args: &EvaluateArgs, count: usize, names: Option<&[String]>) -> Result<Arc<dyn Dataset>> {
    let splits = open_kept(&args.data, args.classes.as_deref())?;
    let data = match splits.val {
        Some(val) => {
            context.console.note(format!("evaluating the held-out part: {} images", val.len()));
            val
        }
        None => splits.train,
    };
    data.remarks().iter().for_each(|remark| context.console.note(remark));
    let imagenet = count == 1000 && names.is_none_or(is_imagenet);
    let synsets = imagenet.then(imagenet_synsets);
    let (data, note) = match_outputs(data, &Outputs { count, names, synsets: synsets.as_deref() })?;
    note.iter().for_each(|note| context.console.note(note));
    Ok(data.into())
}

fn tally_all(
    context: &Context,
    args: &EvaluateArgs,
    model: &Loaded,
    data: Arc<dyn Dataset>,
    tally: &mut Tally,
) -> Result<usize> {
    let total = data.len();
    let batch = args.model.batch_size.min(total.try_into().unwrap_or(u32::MAX)).max(1);
    let loader = Loader::new(data.clone(), (0..total).collect(), batch as usize, model.preprocess.clone(), 2)?;
    let mut predictors = model.predictors(context, batch)?;
    let bar = context.console.progress(total as u64, "evaluating");
    let finite = Finite::new(context, model);
    run_batches(context, loader, &mut predictors, &bar, &interrupt(), |indices, output| {
        for (&i, logits) in indices.iter().zip(output.logits.chunks(model.architecture.classes)) {
            finite.check(&data.name(i), "logits", logits)?;
            tally.add(logits, data.label(i));
        }
        Ok(())
    })
}

/// Counts over all images so far.
pub(super) struct Tally {
    classes: usize,
    pub count: usize,
    loss: f64,
    top5: usize,
    /// `[true class][predicted class]`.
    pub confusion: Vec<Vec<usize>>,
}

impl Tally {
    pub fn new(classes: usize) -> Self {
        Self { classes, count: 0, loss: 0.0, top5: 0, confusion: vec![vec![0; classes]; classes] }
    }

    /// Adds the finite logits of an image of class `target`.
    pub fn add(&mut self, logits: &[f32], target: usize) {
        let best = top_k(&probabilities(logits), 5);
        self.count += 1;
        self.loss += cross_entropy(logits, target);
        self.top5 += usize::from(best.contains(&target));
        self.confusion[target][best[0]] += 1;
    }

    fn report(&self, labels: &[String]) -> Report {
        let correct: usize = (0..self.classes).map(|k| self.confusion[k][k]).sum();
        let share = |part: usize, whole: usize| part as f64 / whole as f64;
        let mut uses = std::collections::HashMap::new();
        labels.iter().for_each(|label| *uses.entry(label).or_insert(0) += 1);
        let per_class = labels.iter().zip(&self.confusion).enumerate().filter_map(|(k, (label, row))| {
            let seen: usize = row.iter().sum();
            // Two outputs of one name are told apart by their numbers.
            let name = if uses[label] > 1 { format!("{label} ({k})") } else { label.clone() };
            // A class without images has no accuracy.
            (seen > 0).then(|| (name, share(row[k], seen)))
        });
        Report {
            count: self.count,
            loss: self.loss / self.count as f64,
            top1: share(correct, self.count),
            top5: share(self.top5, self.count),
            per_class: per_class.collect(),
        }
    }
}

fn table(report: &Report) -> String {
    let Report { count, loss, top1, top5, per_class } = report;
    let mut text = format!(
        "{count} images: top-1 {:.2} %, top-5 {:.2} %, mean cross-entropy {loss:.4}\n",
        top1 * 100.0,
        top5 * 100.0
    );
    for (label, accuracy) in per_class {
        text += &format!("{:7.2} %  {label}\n", accuracy * 100.0);
    }
    text
}

fn confusion_csv(tally: &Tally, labels: &[String]) -> String {
    let names: Vec<String> = labels.iter().map(|label| super::infer::csv_field(label)).collect();
    let mut text = format!("true\\predicted,{}\n", names.join(","));
    for (name, row) in names.iter().zip(&tally.confusion) {
        let counts: Vec<String> = row.iter().map(usize::to_string).collect();
        text += &format!("{name},{}\n", counts.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares() {
        let labels: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let mut tally = Tally::new(3);
        tally.add(&[5.0, 0.0, 0.0], 0);
        tally.add(&[5.0, 0.0, 0.0], 1);
        tally.add(&[0.0, 5.0, 0.0], 1);
        let report = tally.report(&labels);
        assert_eq!((report.count, report.top1, report.top5), (3, 2.0 / 3.0, 1.0));
        // In the order of the outputs, without the class that no image has.
        assert_eq!(report.per_class, [("a".to_owned(), 1.0), ("b".to_owned(), 0.5)]);
        assert!(serde_json::to_string(&report).unwrap().ends_with(r#""per_class":{"a":1.0,"b":0.5}}"#));
        let same: Vec<String> = ["a", "a", "c"].map(String::from).into();
        assert_eq!(tally.report(&same).per_class, [("a (0)".to_owned(), 1.0), ("a (1)".to_owned(), 0.5)]);
        let hit = -(5f64.exp() / (5f64.exp() + 2.0)).ln();
        let miss = -(1.0 / (5f64.exp() + 2.0)).ln();
        assert!((report.loss - (2.0 * hit + miss) / 3.0).abs() < 1e-9);
        assert_eq!(confusion_csv(&tally, &labels), "true\\predicted,a,b,c\na,1,0,0\nb,1,1,0\nc,0,0,0\n");
    }
}
