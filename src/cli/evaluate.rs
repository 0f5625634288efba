//! `gpu-resnet evaluate`: accuracy of a network on labelled images.

use std::path::PathBuf;

use super::Context;
use super::console::{interrupt, print, print_json};
use super::model::{ModelArgs, Use, needs_head, numbered, read_labels};
use super::output_name;
use crate::data::count;
use crate::error::{Error, Result};
use crate::files;
use crate::predict::{Accuracy, Tally, draw_confusion, evaluate, labelled_images};
use crate::runs::open_kept;

/// Measure a network's accuracy on labelled images.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet evaluate photos/val --weights runs/mine --json")]
pub struct EvaluateArgs {
    /// Labelled images; the held-out part of a data set that has one
    data: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Class names in the order of the network's outputs, instead of its own: one per line, or JSON
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Measure only on images of these classes: a file with one name per line
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write the confusion matrix as CSV: one row per true class, one column per predicted class
    #[arg(long, value_name = "FILE.csv")]
    confusion: Option<PathBuf>,
    /// Draw the confusion matrix as SVG as SVG
    #[arg(long, value_name = "FILE.svg")]
    confusion_picture: Option<PathBuf>,
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
    let runtime = context.runtime();
    let splits = open_kept(&args.data, args.classes.as_deref())?;
    let data = labelled_images(&runtime, splits, classes, names.as_deref())?;
    let labels = names.unwrap_or_else(|| numbered(classes));
    let batch = args.model.batch_size.min(data.len().try_into().unwrap_or(u32::MAX)).max(1);
    let mut predictors = model.predictors(&runtime, batch)?;
    let (tally, failed) = evaluate(&runtime, &model, &mut predictors, &data, batch as usize, &interrupt())?;
    if tally.count == 0 {
        return Err(Error::file(&args.data, "none of its images could be read; nothing was measured"));
    }
    let report = tally.accuracy(&labels);
    if args.json {
        print_json(&report)?
    } else {
        print(table(&report))?
    }
    if let Some(path) = &args.confusion {
        files::write(path, confusion_csv(&tally, &labels).as_bytes())?;
    }
    if let Some(path) = &args.confusion_picture {
        files::write(path, draw_confusion(&tally.confusion, &labels)?.as_bytes())?;
    }
    if failed > 0 {
        return Err(Error::Partial(format!("{} could not be read and were left out", count(failed, "image"))));
    }
    Ok(())
}

fn table(report: &Accuracy) -> String {
    let Accuracy { count, loss, top1, top5, per_class } = report;
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
    fn the_matrix_as_csv() {
        let labels: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let mut tally = Tally::new(3);
        tally.add(&[5.0, 0.0, 0.0], 0);
        tally.add(&[5.0, 0.0, 0.0], 1);
        tally.add(&[0.0, 5.0, 0.0], 1);
        assert_eq!(confusion_csv(&tally, &labels), "true\\predicted,a,b,c\na,1,0,0\nb,1,1,0\nc,0,0,0\n");
    }
}
