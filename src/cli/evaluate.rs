//! `gpu-resnet evaluate`: accuracy of a network on labelled images.

use std::path::PathBuf;
use std::sync::Arc;

use super::Context;
use super::console::{interrupt, print, print_json};
use super::model::{ModelArgs, Use, needs_head, numbered, read_labels};
use super::output_name;
use crate::data::{Dataset, Loader, Outputs, count, match_outputs};
use crate::error::{Error, Result};
use crate::files;
use crate::predict::{Accuracy, Finite, LoadedNetwork, Tally, draw_confusion, run_batches};
use crate::runs::open_kept;
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
    model: &LoadedNetwork,
    data: Arc<dyn Dataset>,
    tally: &mut Tally,
) -> Result<usize> {
    let total = data.len();
    let batch = args.model.batch_size.min(total.try_into().unwrap_or(u32::MAX)).max(1);
    let loader = Loader::new(data.clone(), (0..total).collect(), batch as usize, model.preprocess.clone(), 2)?;
    let runtime = context.runtime();
    let mut predictors = model.predictors(&runtime, batch)?;
    let bar = context.console.progress(total as u64, "evaluating");
    let finite = Finite::new(&runtime, model);
    run_batches(&runtime, loader, &mut predictors, &bar, &interrupt(), |indices, output| {
        for (&i, logits) in indices.iter().zip(output.logits.chunks(model.architecture.classes)) {
            finite.check(&data.name(i), "logits", logits)?;
            tally.add(logits, data.label(i));
        }
        Ok(())
    })
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
