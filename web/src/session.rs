//! An opened adapter in a worker: what a child process of `gpu-resnet verify` is elsewhere.

use std::sync::Arc;

use gpu_resnet::gpu::{AdapterChoice, BrowserAdapter, DeviceOptions, Gpu};
use gpu_resnet::verify::case::{Case, Suite};
use gpu_resnet::verify::check::Checker;
use gpu_resnet::verify::controls::{controls, missed};
use gpu_resnet::verify::select::Selection;
use gpu_resnet::verify::task::{Answer, Served, Task};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::network::Network;
use crate::{json, thrown};

/// The worker's adapter, and what it keeps between tasks.
#[wasm_bindgen]
pub struct Session {
    gpu: Arc<Gpu>,
    served: Served,
    intact: bool,
}

/// What there is to verify.
#[derive(Serialize)]
struct Plan {
    cases: Vec<Planned>,
    controls: Vec<PlannedControl>,
}

#[derive(Serialize)]
struct Planned {
    line: String,
    op: &'static str,
}

#[derive(Serialize)]
struct PlannedControl {
    name: &'static str,
    breaks: &'static str,
    may_hide: bool,
}

#[wasm_bindgen]
impl Session {
    /// Opens the browser's adapter; `browser` is the JSON of a [`BrowserAdapter`]. With `intact` the negative controls leave their kernels
    /// as they are, so that none is caught: how the page's own test sees that this makes a run invalid.
    pub async fn open(browser: String, intact: bool) -> Result<Session, JsError> {
        let browser: BrowserAdapter = serde_json::from_str(&browser).map_err(thrown)?;
        let options = DeviceOptions { browser: Some(browser), ..Default::default() };
        let gpu = Gpu::open_with(&AdapterChoice::default(), &options).await.map_err(thrown)?;
        Ok(Self { gpu, served: Served::default(), intact })
    }

    /// Does a task, given and answered as JSON: those of the pipe between `gpu-resnet verify` and its child processes.
    pub async fn answer(&mut self, task: String) -> Result<String, JsError> {
        let task: Task = serde_json::from_str(&task).map_err(thrown)?;
        let answer = match task {
            Task::Control(name) if self.intact => self.without_fault(&name).await?,
            task => {
                self.served.answer(&self.gpu, task).await.unwrap_or_else(|error| Answer::Refused(error.to_string()))
            }
        };
        json(&answer)
    }

    /// The cases and controls of `suite` for this adapter that match the regular expression `filter`, as JSON.
    pub fn plan(&self, suite: &str, filter: Option<String>) -> Result<String, JsError> {
        let suites = [Suite::Quick, Suite::Kernels, Suite::Full];
        let suite = suites.into_iter().find(|known| known.name() == suite);
        let suite = suite.ok_or_else(|| thrown("the suite is quick, kernels or full"))?;
        let selection = Selection { suite, filter, variant: None };
        let cases = selection.cases().map_err(thrown)?;
        let cases = selection.cases_on(self.gpu.report(), &cases);
        let controls = selection.controls_on(self.gpu.report(), &cases).into_iter();
        let cases = cases.iter().map(|case| Planned { line: case.to_string(), op: case.operation.name }).collect();
        let controls = controls.map(|control| PlannedControl {
            name: &control.name,
            breaks: control.breaks,
            may_hide: control.may_hide(),
        });
        json(&Plan { cases, controls: controls.collect() })
    }

    /// Opens the weights file `bytes` on this adapter.
    pub async fn network(&self, bytes: Vec<u8>, name: String) -> Result<Network, JsError> {
        Network::open(&self.gpu, bytes, name).await
    }

    /// The control `name` with its kernel as it should be.
    async fn without_fault(&self, name: &str) -> Result<Answer, JsError> {
        let control = controls().iter().find(|control| control.name == name);
        let control = control.ok_or_else(|| thrown(format!("there is no control {name:?}")))?;
        let case = Case::parse(&control.case).map_err(thrown)?;
        let result = Checker::default().check(&self.gpu, &case).await.result;
        let message = format!("{case} ended as {} with the kernel left as it is", result.status.name());
        Ok(Answer::Control(Some(missed(control, message))))
    }
}
