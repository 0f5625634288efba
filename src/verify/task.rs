//! What is asked of whoever runs cases, and the answers: a process of its own ([`super::child`]), or a worker of a page. Both are plain
//! data, so that they can be sent.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::check::Checker;
use super::controls;
use super::coverage;
use super::inspect::{self, Compilation, KernelName};
use super::report::{CaseResult, ControlResult, Fingerprint, Peaks};
use crate::bench;
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Capabilities, Gpu, Inspector, KernelSpec};

/// A task.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Describes the opened adapter.
    Describe,
    /// Takes its numeric fingerprint.
    Fingerprint,
    /// Measures its peaks.
    Peaks,
    /// Runs a negative control, by name.
    Control(String),
    /// Runs a case, by line.
    Case(String),
    /// Lists the shaders that were compiled so far.
    Shaders,
    /// Compiles a kernel and reports what the driver says; with a fault, the kernel with that fault ([`controls::break_kernel`]).
    Compile(KernelName, Option<String>),
}

/// The answer to a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Description(Box<(AdapterReport, Capabilities)>),
    Fingerprint(Fingerprint),
    Peaks(Peaks),
    /// `None` if the adapter can't run the kernel that the control breaks.
    Control(Option<ControlResult>),
    Case(Box<CaseResult>),
    Shaders(BTreeSet<String>),
    Compilation(Compilation),
    /// The task could not be done at all.
    Refused(String),
}

/// What stays between tasks.
#[derive(Default)]
pub struct Served {
    checker: Checker,
    inspector: OnceCell<Inspector>,
}

impl Served {
    /// Does `task` on `gpu`.
    ///
    /// # Errors
    /// A task that names nothing, and what the device reports outside of a case.
    pub async fn answer(&mut self, gpu: &Arc<Gpu>, task: Task) -> Result<Answer> {
        Ok(match task {
            Task::Describe => Answer::Description(Box::new((gpu.report().clone(), gpu.capabilities()))),
            Task::Fingerprint => Answer::Fingerprint(super::fingerprint::fingerprint(gpu).await?),
            Task::Peaks => Answer::Peaks(bench::peaks(gpu).await?),
            Task::Control(name) => Answer::Control(controls::run(gpu, &name).await?),
            Task::Shaders => Answer::Shaders(coverage::compiled(gpu)),
            Task::Case(line) => Answer::Case(Box::new(self.checker.check(gpu, &Case::parse(&line)?).await.result)),
            Task::Compile(kernel, fault) => Answer::Compilation(self.compile(gpu, &kernel.spec()?, fault)?),
        })
    }

    fn compile(&self, gpu: &Arc<Gpu>, spec: &KernelSpec, fault: Option<String>) -> Result<Compilation> {
        let inspector = match self.inspector.get() {
            Some(inspector) => inspector,
            None => {
                let opened = Inspector::open(gpu).map_err(Error::Gpu)?;
                self.inspector.get_or_init(|| opened)
            }
        };
        let Some(fault) = fault else { return Ok(inspect::compile(gpu, inspector, spec)) };
        let before = gpu.substituted(spec.shader_name());
        controls::break_kernel(gpu, &fault)?;
        let compiled = inspect::compile(gpu, inspector, spec);
        gpu.substitute(spec.shader_name(), before);
        Ok(compiled)
    }
}
