//! A network's accuracy on labelled images.

use std::sync::Arc;

use super::batches::run_batches;
use super::finite::Finite;
use super::loaded_network::LoadedNetwork;
use super::tally::Tally;
use crate::data::{Dataset, Loader, Outputs, Splits, match_outputs};
use crate::error::Result;
use crate::model::Predictor;
use crate::runtime::Runtime;
use crate::train::Interrupt;
use crate::weights::{imagenet_synsets, is_imagenet};

/// The held-out part of `splits` if there is one, otherwise all. Its labels are numbered like the `count` outputs of the network,
/// which have `names`. Reports what the user should know about the matching.
///
/// # Errors
/// Classes that the network does not distinguish.
pub fn labelled_images(
    runtime: &Runtime,
    splits: Splits,
    count: usize,
    names: Option<&[String]>,
) -> Result<Arc<dyn Dataset>> {
    let data = match splits.val {
        Some(val) => {
            runtime.note(format!("evaluating the held-out part: {} images", val.len()));
            val
        }
        None => splits.train,
    };
    data.remarks().iter().for_each(|remark| runtime.note(remark));
    let imagenet = count == 1000 && names.is_none_or(is_imagenet);
    let synsets = imagenet.then(imagenet_synsets);
    let (data, note) = match_outputs(data, &Outputs { count, names, synsets: synsets.as_deref() })?;
    note.iter().for_each(|note| runtime.note(note));
    Ok(data.into())
}

/// Runs `network` on all images of `data` in batches of `batch`, with `predictors`, one per adapter. Returns the tally and the number
/// of unreadable images, each of which was reported.
///
/// # Errors
/// Results that are not finite, what the GPU reports, and [`Error::Interrupted`] once `stop` is raised.
pub fn evaluate(
    runtime: &Runtime,
    network: &LoadedNetwork,
    predictors: &mut [Predictor],
    data: &Arc<dyn Dataset>,
    batch: usize,
    stop: &Interrupt,
) -> Result<(Tally, usize)> {
    let mut tally = Tally::new(network.classes());
    let order = (0..data.len()).collect();
    let loader = Loader::new(data.clone(), order, batch, network.preprocess.clone(), 2)?;
    let progress = runtime.progress(data.len() as u64, "evaluating");
    let finite = Finite::new(runtime, network);
    let failed = run_batches(runtime, loader, predictors, &*progress, stop, |indices, output| {
        for (&i, logits) in indices.iter().zip(output.logits.chunks(network.architecture.classes)) {
            finite.check(&data.name(i), "logits", logits)?;
            tally.add(logits, data.label(i));
        }
        Ok(())
    })?;
    Ok((tally, failed))
}
