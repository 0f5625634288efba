//! The loop that `infer`, `evaluate` and `finetune` share: batches of images through a network, in order.

use indicatif::ProgressBar;

use super::Context;
use super::model::warn;
use crate::data::Loader;
use crate::error::Result;
use crate::model::{Output, Predictor};
use crate::train::Interrupt;

/// Runs `predictor` on every batch of `loader` and hands `each` the images' numbers and what came out. Images that could
/// not be read are reported, left out and counted; the count is the result. Stops with an error once `stop` is raised.
pub fn run_batches(
    context: &Context,
    loader: Loader,
    predictor: &mut Predictor,
    bar: &ProgressBar,
    stop: &Interrupt,
    mut each: impl FnMut(&[usize], Output) -> Result<()>,
) -> Result<usize> {
    let mut failed = 0;
    for batch in loader {
        for (_, error) in &batch.failures {
            bar.suspend(|| context.console.complain(error));
        }
        failed += batch.failures.len();
        let output = predictor.run_pixels(&batch.pixels)?;
        warn(context, predictor);
        each(&batch.indices, output)?;
        bar.inc((batch.indices.len() + batch.failures.len()) as u64);
        stop.check()?;
    }
    bar.finish_and_clear();
    Ok(failed)
}
