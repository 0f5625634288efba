//! Training that several processes share: the one that leads the run, and the workers beside it. Python brings their messages over.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gpu_resnet::runs::{RemoteWorker, RunSummary, TrainRun};
use gpu_resnet::runtime::Runtime;
use gpu_resnet::train::data_parallel::{Part, RemoteWorkers, StepRequest};
use gpu_resnet::train::{Interrupt, RunConfig, Settings};
use gpu_resnet::{Error, FineTune, Result};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::options::{Machine, ParallelOptions, read};
use crate::reporter::Told;
use crate::training::told;
use crate::work;

/// Trains as `options` say and writes the run into `output`; if that holds the same run, goes on with it. `workers` brings requests to the
/// other processes: `count`, `begin(job, state)`, `start(epoch, step, loss_scale, parameters)`, `finish()`. Gives the run's summary as JSON.
#[pyfunction]
pub fn train(
    py: Python<'_>,
    options: &str,
    output: PathBuf,
    said: Py<PyAny>,
    epoch: Option<Py<PyAny>>,
    workers: Py<PyAny>,
) -> PyResult<String> {
    let count: usize = workers.getattr(py, "count")?.extract(py)?;
    told(py, said, epoch, |reporter, stop| {
        let asked: ParallelOptions = read(options)?;
        let mut runtime = asked.options.machine.runtime(reporter.clone())?;
        if count > 0 {
            runtime.remote = Some(Arc::new(Remote { object: workers, count, reporter }));
        }
        let goes_on = output.join("checkpoint.safetensors").exists();
        let job = Job { asked, runtime, stop, output: &output, goes_on };
        if job.asked.arch.is_some() { job.from_scratch() } else { job.upper_part() }
    })
}

/// A run that starts or goes on.
struct Job<'a> {
    asked: ParallelOptions,
    runtime: Runtime,
    stop: &'a Interrupt,
    output: &'a Path,
    goes_on: bool,
}

impl Job<'_> {
    fn from_scratch(self) -> Result<RunSummary> {
        let tensorboard = self.asked.options.tensorboard;
        let mut run = self.asked.train_run(self.runtime.precision)?;
        if self.goes_on {
            let wanted = std::mem::replace(&mut run, TrainRun::resume(self.output)?).config;
            check_same(&run.config, &wanted, self.output)?;
            run.config.training.epochs = wanted.training.epochs;
        }
        (run.runtime, run.interrupt, run.tensorboard) = (self.runtime, self.stop.clone(), tensorboard);
        run.run(Some(self.output))
    }

    fn upper_part(self) -> Result<RunSummary> {
        let tensorboard = self.asked.options.tensorboard;
        let wanted = self.asked.options.fine_tune(self.runtime.clone(), self.stop)?.begin()?;
        if wanted.config.network.is_none() {
            let problem = "a head alone is trained by finetune(features=…), on what gpu_resnet.ray.run(\"features\", …) \
                           computes; name a part to train by unfreeze=";
            return Err(Error::Usage(problem.into()));
        }
        if !self.goes_on {
            return wanted.run(Some(self.output));
        }
        let mut stopped = FineTune::resume(self.output)?.runtime(self.runtime).interrupt(self.stop);
        check_same(&stopped.config, &wanted.config, self.output)?;
        stopped.config.training.epochs = wanted.config.training.epochs;
        stopped.tensorboard = tensorboard;
        stopped.run()
    }
}

/// Refuses to go on with a run of other settings; the number of epochs may change.
fn check_same(found: &RunConfig, wanted: &RunConfig, folder: &Path) -> Result<()> {
    let settled = |config: &RunConfig| Settings { epochs: None, ..config.training.clone() };
    let part = if settled(found) != settled(wanted) {
        "batch size, optimiser, learning rate or seed"
    } else if found.network != wanted.network {
        "what is trained, and how"
    } else if found.command != wanted.command {
        "data, architecture or weights"
    } else {
        return Ok(());
    };
    let problem = format!("holds a run with other options ({part}); repeat its own, or name another output");
    Err(Error::file(folder, problem))
}

/// The other processes, as Python reaches them.
struct Remote {
    object: Py<PyAny>,
    count: usize,
    reporter: Arc<Told>,
}

impl Remote {
    /// Calls Python. What it raises is raised at the end of the run, in place of `error`.
    fn call<T>(&self, error: impl FnOnce(String) -> Error, act: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T> {
        Python::attach(act).map_err(|raised| {
            let said = raised.to_string();
            self.reporter.keep_raised(raised);
            error(said)
        })
    }
}

impl RemoteWorkers for Remote {
    fn count(&self) -> usize {
        self.count
    }

    fn begin(&self, job: &str, state: &[f32]) -> Result<Vec<String>> {
        self.call(Error::Usage, |py| {
            self.object.call_method1(py, "begin", (job, PyArray1::from_slice(py, state)))?.extract(py)
        })
    }

    fn start(&self, request: &StepRequest) -> Result<()> {
        let StepRequest { epoch, step, loss_scale, parameters } = *request;
        self.call(Error::Gpu, |py| {
            let parameters = PyArray1::from_slice(py, parameters);
            self.object.call_method1(py, "start", (epoch, step, loss_scale, parameters)).map(drop)
        })
    }

    fn finish(&self) -> Result<Vec<Part>> {
        let told: Vec<(Vec<f32>, String)> = self.call(Error::Gpu, |py| {
            let parts = self.object.call_method0(py, "finish")?;
            let parts: Vec<(PyReadonlyArray1<'_, f32>, String)> = parts.extract(py)?;
            parts.into_iter().map(|(values, report)| Ok((values.as_slice()?.to_vec(), report))).collect()
        })?;
        let part = |(gradients, report): (Vec<f32>, String)| Ok(Part { gradients, report: read(&report)? });
        told.into_iter().map(part).collect()
    }
}

/// A worker of a run that another process leads.
#[pyclass(frozen, module = "gpu_resnet._native")]
pub struct Worker {
    inner: Mutex<RemoteWorker>,
    adapter: String,
}

#[pymethods]
impl Worker {
    /// Opens the worker number `index`, from 0, by what `begin` of the process that leads was given.
    #[new]
    fn new(
        py: Python<'_>,
        job: &str,
        state: PyReadonlyArray1<'_, f32>,
        index: usize,
        machine: &str,
        said: Py<PyAny>,
    ) -> PyResult<Self> {
        let stop = Interrupt::new();
        let reporter = Arc::new(Told::new(said, None, stop.clone()));
        let state = state.as_slice()?;
        let opened = work::run(py, &stop, || {
            let machine: Machine = read(machine)?;
            RemoteWorker::open(job, state, index, &machine.runtime(reporter.clone())?)
        });
        if let Some(raised) = reporter.take() {
            return Err(raised);
        }
        let inner = opened?;
        Ok(Self { adapter: inner.adapter().to_owned(), inner: Mutex::new(inner) })
    }

    /// What its adapter is called.
    #[getter]
    fn adapter(&self) -> &str {
        &self.adapter
    }

    /// Its part of a step: gradients, and a report as JSON.
    fn gradients<'py>(
        &self,
        py: Python<'py>,
        epoch: u64,
        step: usize,
        loss_scale: f32,
        parameters: PyReadonlyArray1<'py, f32>,
    ) -> PyResult<(Bound<'py, PyArray1<f32>>, String)> {
        let stop = Interrupt::new();
        let parameters = parameters.as_slice()?;
        let part = work::run(py, &stop, || {
            let mut worker = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            worker.gradients(&StepRequest { epoch, step, loss_scale, parameters })
        })?;
        let report = serde_json::to_string(&part.report).unwrap_or_default();
        Ok((part.gradients.into_pyarray(py), report))
    }
}
