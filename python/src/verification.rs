//! What the machine has, and whether it computes right.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gpu_resnet::gpu::{AdapterChoice, BackendName, DeviceOptions, Gpu, block_on};
use gpu_resnet::runtime::Runtime;
use gpu_resnet::train::Interrupt;
use gpu_resnet::verify::cases::Suite;
use gpu_resnet::verify::child::{self, Setup};
use gpu_resnet::verify::expectations::Expectations;
use gpu_resnet::verify::report::{CaseResult, Report};
use gpu_resnet::verify::run::{Observer, Runner};
use gpu_resnet::verify::select::Selection;
use gpu_resnet::{Error, Result};
use pyo3::prelude::*;

use crate::options::{Machine, read};
use crate::reporter::Told;
use crate::work;

/// Every adapter of the machine, as JSON.
#[pyfunction]
pub fn devices(py: Python<'_>, backend: Option<&str>) -> PyResult<String> {
    work::run(py, &Interrupt::new(), || {
        let backend = backend.map(backend_named).transpose()?;
        let devices = gpu_resnet::runtime::devices(backend, None)?;
        serde_json::to_string(&devices).map_err(|error| Error::file("devices", error))
    })
}

fn backend_named(name: &str) -> Result<BackendName> {
    let known = serde_json::from_value(serde_json::Value::from(name));
    known.map_err(|_| Error::Usage(format!("backend {name:?} is not known; use vulkan, metal, dx12 or gl")))
}

/// What `verify` is asked.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    machine: Machine,
    suite: String,
    filter: Option<String>,
    timeout: f64,
    jobs: Option<usize>,
    limit: Option<f64>,
    controls: bool,
}

/// Verifies one adapter and gives the report as JSON. Cases run in processes of their own, which `program` starts with
/// `loading` before their arguments.
#[pyfunction]
pub fn verify(
    py: Python<'_>,
    asked: &str,
    program: PathBuf,
    loading: Vec<String>,
    said: Py<PyAny>,
) -> PyResult<String> {
    let stop = Interrupt::new();
    let reporter = Arc::new(Told::new(said, None, stop.clone()));
    let result = work::run(py, &stop, || {
        let asked: Asked = read(asked)?;
        let runtime = asked.machine.runtime(reporter.clone())?;
        let loading = loading.into_iter().map(Into::into).collect();
        let setup = Setup { program, loading, arguments: Vec::new(), environment: Vec::new() };
        run(&asked, &runtime, setup, &stop)
    });
    match reporter.take() {
        Some(raised) => Err(raised),
        None => result,
    }
}

fn run(asked: &Asked, runtime: &Runtime, mut setup: Setup, stop: &Interrupt) -> Result<String> {
    let suites = [Suite::Quick, Suite::Kernels, Suite::Full];
    let suite = suites.into_iter().find(|suite| suite.name() == asked.suite);
    let suite = suite.ok_or_else(|| {
        Error::Usage(format!("suite {:?} is not known; use {}", asked.suite, suites.map(Suite::name).join(", ")))
    })?;
    let selection = Selection { suite, filter: asked.filter.clone(), variant: None };
    let cases = selection.cases()?;
    let adapter = runtime.gpu_untuned()?.report().clone();
    setup.arguments = vec!["--adapter".into(), adapter.index.to_string()];
    if let Some(backend) = runtime.adapters.first().and_then(|choice| choice.backend) {
        let name = serde_json::to_value(backend).ok().and_then(|name| name.as_str().map(str::to_owned));
        setup.arguments.extend(["--backend".to_owned(), name.unwrap_or_default()]);
    }
    let chosen = selection.cases_on(&adapter, &cases);
    let controls = if asked.controls { selection.controls_on(&adapter, &chosen) } else { Vec::new() };
    let seconds =
        |s: f64| Duration::try_from_secs_f64(s).map_err(|_| Error::Usage(format!("{s} is no time in seconds")));
    let runner = Runner {
        setup,
        timeout: seconds(asked.timeout)?,
        peaks: asked.filter.is_none(),
        jobs: asked.jobs.map(|jobs| jobs.max(1)),
        limit: asked.limit.map(seconds).transpose()?,
        every_kernel: selection.is_every_kernel(),
    };
    let mut report = Report::new(suite.name(), asked.filter.as_deref());
    let expectations = Expectations::load(None)?;
    report.adapters.push(runner.run(&chosen, &controls, &expectations, &mut Silent(stop.clone()))?);
    report.valid = report.adapters.iter().flat_map(|run| &run.controls).all(|control| control.is_good());
    report.redacted().to_json()
}

/// Stops the run when it is asked to.
struct Silent(Interrupt);

impl Observer for Silent {
    fn case(&mut self, _result: &CaseResult) {}

    fn stop(&self) -> bool {
        self.0.is_raised()
    }
}

/// Answers the tasks of a verification on stdin, with the adapter open, until stdin ends.
#[pyfunction]
pub fn serve(py: Python<'_>, adapter: &str, backend: Option<&str>) -> PyResult<()> {
    work::run(py, &Interrupt::new(), || {
        let backend = backend.map(backend_named).transpose()?;
        let choice = AdapterChoice { adapter: Some(adapter.to_owned()), backend };
        child::serve(&block_on(Gpu::open_with(&choice, &DeviceOptions::default()))?)
    })
}
