//! The adapters that a run is trained on, where several share it.

use std::sync::Arc;

use super::summary::AdapterUse;
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Gpu};
use crate::runtime::Runtime;
use crate::train::data_parallel::{AdapterTime, LocalWorkers, Place, RemoteWorkers, Workers};
use crate::train::{EpochResult, NetworkFit, RunConfig, RunDir};

/// What an adapter is called in config.toml and in reports.
pub(super) fn name(report: &AdapterReport) -> String {
    format!("{} ({})", report.name.trim(), report.driver_info.trim())
}

/// How many adapters `runtime` has for a run.
pub(super) fn count(runtime: &Runtime) -> usize {
    runtime.adapters.len() + runtime.remote.as_ref().map_or(0, |remote| RemoteWorkers::count(&**remote))
}

/// Refuses to continue `run` on another number of adapters than it has: its steps would be of other images.
pub(super) fn check_count(runtime: &Runtime, config: &RunConfig, run: &RunDir) -> Result<()> {
    let (begun, now) = (config.adapters.len().max(1), count(runtime));
    if begun == now || !run.has_checkpoint() {
        return Ok(());
    }
    let plural = |n: usize| if n == 1 { "1 adapter".to_owned() } else { format!("{n} adapters") };
    let list = if begun == 1 { "0".into() } else { (0..begun).map(|i| i.to_string()).collect::<Vec<_>>().join(",") };
    Err(Error::Usage(format!(
        "{} is a run on {}, not on {}, and a step has a batch for each; name as many by --adapter, as in --adapter {list}",
        run.path().display(),
        plural(begun),
        plural(now)
    )))
}

/// Notes in `config` on what the run is trained, if on several adapters. They may have changed since the run began; bits are those of the
/// adapters that compute.
pub(super) fn settle(runtime: &Runtime, config: &mut RunConfig, names: Vec<String>, goes_on: bool) {
    if names.len() < 2 {
        return;
    }
    if goes_on && config.adapters != names {
        runtime.note(format!(
            "the run began on {}, and continues on {}: results may differ in their last bits",
            config.adapters.join(", "),
            names.join(", ")
        ));
    }
    config.adapters = names;
}

/// Tells how many images a step has.
pub(super) fn note_batch(runtime: &Runtime, config: &RunConfig) {
    let (each, count) = (config.training.batch_size, config.adapters.len());
    runtime.note(format!("{each} images on each of {count} adapters make a step of {}", each * count));
}

/// The workers on all adapters but the first of a run.
pub(super) fn workers(
    runtime: &Runtime,
    fit: &NetworkFit,
    config: &RunConfig,
    others: &[Arc<Gpu>],
) -> Result<Box<dyn Workers>> {
    if let Some(remote) = &runtime.remote {
        return Ok(Box::new(remote.clone()));
    }
    let place = |index| Place { index, count: others.len() + 1 };
    let worker = |(i, gpu): (usize, &Arc<Gpu>)| Ok((name(gpu.report()), fit.worker(gpu, config, place(i + 1))?));
    Ok(Box::new(LocalWorkers::new(others.iter().enumerate().map(worker).collect::<Result<_>>()?)))
}

/// How each adapter of the run spent `epochs`.
pub(super) fn uses(config: &RunConfig, epochs: &[EpochResult]) -> Vec<AdapterUse> {
    let sum = |i: usize| {
        let mut all = AdapterTime::default();
        for time in epochs.iter().filter_map(|epoch| epoch.adapters.get(i)) {
            all.images += time.images;
            all.busy += time.busy;
            all.waiting += time.waiting;
        }
        all
    };
    config.adapters.iter().enumerate().map(|(i, name)| AdapterUse { name: name.clone(), time: sum(i) }).collect()
}

/// Tells how long each adapter has waited for the others.
pub(super) fn note_uses(runtime: &Runtime, uses: &[AdapterUse]) {
    for AdapterUse { name, time: AdapterTime { images, busy, waiting } } in uses {
        runtime.note(format!("{name}: {images} images in {busy:.1} s, waited {waiting:.1} s for slower adapters"));
    }
}
