//! The loop that `infer`, `evaluate` and `finetune` share: batches of images through a network, in order.

use std::time::Duration;

use web_time::Instant;

use crate::data::Loader;
use crate::error::Result;
use crate::inference::{Done, Usage, infer_batches};
use crate::model::{Output, Predictor};
use crate::runtime::{Progress, Runtime};
use crate::train::Interrupt;

/// Runs `predictors`, one per adapter, on every batch of `loader`. Passes the images' numbers and outputs to `each`, in order.
/// Unreadable images are reported, left out and counted; the count is the result. Returns an error once `stop` is raised.
pub fn run_batches(
    runtime: &Runtime,
    loader: Loader,
    predictors: &mut [Predictor],
    bar: &dyn Progress,
    stop: &Interrupt,
    mut each: impl FnMut(&[usize], Output) -> Result<()>,
) -> Result<usize> {
    let started = Instant::now();
    let mut failed = 0;
    let (usage, decoding) = infer_batches(loader, predictors, |Done { indices, failures, output, warning }| {
        for (_, error) in &failures {
            bar.pause(&mut || runtime.complain(error));
        }
        failed += failures.len();
        if let Some(warning) = warning {
            bar.pause(&mut || runtime.note(&warning));
        }
        each(&indices, output)?;
        bar.advance((indices.len() + failures.len()) as u64);
        stop.check()
    })?;
    bar.finish();
    for (predictor, usage) in predictors.iter().zip(&usage) {
        let gpu = predictor.network().gpu();
        let report = gpu.report();
        runtime.detail(profile(&format!("adapter {}", report.index), usage, gpu.compiling()));
    }
    runtime.detail(format!(
        "decoding took {:.2} s on {} cores in {:.2} s",
        decoding.as_secs_f64(),
        std::thread::available_parallelism().map_or(1, |n| n.get()),
        started.elapsed().as_secs_f64()
    ));
    Ok(failed)
}

/// How an adapter spent its time, as one line.
fn profile(who: &str, usage: &Usage, compiling: Duration) -> String {
    let Usage { images, first, waiting_for_images, device } = usage;
    format!(
        "{who}: {images} images, the first after {:.2} s (kernels compiled in {:.2} s); {:.2} s were spent with the device and \
         {:.2} s waiting for decoded images",
        first.as_secs_f64(),
        compiling.as_secs_f64(),
        device.as_secs_f64(),
        waiting_for_images.as_secs_f64(),
    )
}
