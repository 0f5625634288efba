//! `gpu-resnet infer`: images in, predictions out, as they are computed.

mod answer;
mod args;
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
use super::model::{LoadedNetwork, Use, distinct, needs_head, read_labels, warn};
use super::output_name;
use crate::data::{FileList, Loader, expand_inputs, feature_keys};
use crate::error::{Error, Result};
use crate::files;
use crate::gpu::block_on;
use crate::model::{InputKind, Output};
use crate::predict::{Finite, run_batches};
use crate::weights::Weights;
pub(super) use answer::csv_field;
pub use args::InferArgs;
use args::{FOR_FEATURES, Format};
use class_folders::ClassFolders;
use left_out::LeftOut;
use sink::Sink;

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
        // Without a prediction there is nothing to write.
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

/// Refuses an output whose name promises another format than it gets.
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

/// Checks that every output can be written, and that no two are the same file.
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

/// The image files that `inputs` name with their class folders, and how many inputs name none. Each of the latter was reported.
fn find_images(context: &Context, inputs: &[PathBuf]) -> Result<(Vec<PathBuf>, ClassFolders, usize)> {
    let mut stdin = std::io::stdin().lock();
    let mut list = Some(&mut stdin as &mut dyn BufRead);
    let (mut files, mut folders, mut missing) = (Vec::new(), ClassFolders::default(), 0);
    for input in inputs {
        let list = if input.as_os_str() == "-" { list.take() } else { None };
        match expand_inputs(std::slice::from_ref(input), list) {
            Ok(found) => {
                files.extend(found.files);
                folders.push(input, files.len());
                for (folder, unread) in found.left_out {
                    context.console.note(format!("{unread} left out of {}; convert them", folder.display()));
                }
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
        let output = block_on(predictor.run_tensor(part))?;
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
