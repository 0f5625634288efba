//! Fine-tuning runs.

use std::path::PathBuf;
use std::sync::Arc;

use gpu_resnet::runs::RunSummary;
use gpu_resnet::train::Interrupt;
use gpu_resnet::{Error, FineTune, Result};
use pyo3::prelude::*;

use crate::options::{FineTuneOptions, Machine, read};
use crate::reporter::Told;
use crate::work;

/// Trains as `options` say and writes the run into `output`, or into the next free folder of runs/finetune. Gives the run's
/// summary as JSON.
#[pyfunction]
pub fn finetune(
    py: Python<'_>,
    options: &str,
    output: Option<PathBuf>,
    said: Py<PyAny>,
    epoch: Option<Py<PyAny>>,
) -> PyResult<String> {
    told(py, said, epoch, |reporter, stop| {
        let options: FineTuneOptions = read(options)?;
        options.run(reporter, stop)?.begin()?.run(output.as_deref())
    })
}

/// Goes on with the run in `folder`.
#[pyfunction]
pub fn resume(
    py: Python<'_>,
    folder: PathBuf,
    epochs: Option<u64>,
    machine: &str,
    said: Py<PyAny>,
    epoch: Option<Py<PyAny>>,
) -> PyResult<String> {
    told(py, said, epoch, |reporter, stop| {
        let machine: Machine = read(machine)?;
        let stopped = FineTune::resume(&folder)?.runtime(machine.runtime(reporter)?).interrupt(stop);
        match epochs {
            Some(epochs) => stopped.epochs(epochs).run(),
            None => stopped.run(),
        }
    })
}

/// Runs `train` with the callbacks as its reporter. What a callback raises ends the run and is raised.
pub fn told(
    py: Python<'_>,
    said: Py<PyAny>,
    epoch: Option<Py<PyAny>>,
    train: impl FnOnce(Arc<Told>, &Interrupt) -> Result<RunSummary> + Send,
) -> PyResult<String> {
    let stop = Interrupt::new();
    let reporter = Arc::new(Told::new(said, epoch, stop.clone()));
    let result = work::run(py, &stop, || {
        let summary = train(reporter.clone(), &stop)?;
        let text = serde_json::to_value(&summary).map(|mut value| {
            value["left_out"] = summary.left_out.into();
            value.to_string()
        });
        text.map_err(|error| Error::file(&summary.run, error))
    });
    match reporter.take() {
        Some(raised) => Err(raised),
        None => result,
    }
}
