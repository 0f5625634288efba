//! From the answers of the workers to the report of `gpu-resnet verify`.

use std::collections::BTreeMap;

use gpu_resnet::gpu::{AdapterReport, Capabilities};
use gpu_resnet::verify::case::Case;
use gpu_resnet::verify::check::unmeasured;
use gpu_resnet::verify::controls::{controls, missed};
use gpu_resnet::verify::expectations::Expectations;
use gpu_resnet::verify::report::{AdapterRun, CaseResult, ControlResult, Fingerprint, Report, Status, markdown};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::{json, thrown};

/// What the page has collected.
#[derive(Deserialize)]
struct Collected {
    suite: String,
    filter: Option<String>,
    /// Name, version and system of the browser.
    browser: String,
    adapter: AdapterReport,
    capabilities: Capabilities,
    fingerprint: Option<Fingerprint>,
    controls: Vec<ControlResult>,
    cases: Vec<CaseResult>,
    left_out: usize,
    seconds: f64,
}

/// The report in its forms.
#[derive(Serialize)]
struct Forms {
    verdict: String,
    sentence: String,
    json: String,
    markdown: String,
}

/// The report of what was collected (JSON): its verdict, and its texts as JSON and Markdown.
#[wasm_bindgen]
pub fn report(collected: &str) -> Result<String, JsError> {
    let Collected {
        suite,
        filter,
        browser,
        adapter,
        capabilities,
        fingerprint,
        controls,
        mut cases,
        left_out,
        seconds,
    } = serde_json::from_str(collected).map_err(thrown)?;
    let expectations = Expectations::load(None).map_err(thrown)?;
    for case in cases.iter_mut().filter(|case| case.status != Status::Unsupported) {
        case.expectation = expectations.of(&adapter, &case.id);
    }
    let mut report = Report::new(&suite, filter.as_deref());
    report.platform = format!("{browser} (wasm32)");
    // wgpu hands WGSL to the browser, so naga is not between.
    report.libraries = BTreeMap::from_iter(report.libraries.into_iter().filter(|(name, _)| name != "naga"));
    report.libraries.insert("browser".into(), browser);
    report.valid = controls.iter().all(ControlResult::is_good);
    let (peaks, shaders_not_run) = (None, None);
    let run =
        AdapterRun { adapter, capabilities, fingerprint, peaks, controls, cases, left_out, shaders_not_run, seconds };
    report.adapters.push(run);
    let report = report.redacted();
    let (verdict, sentence) = report.words();
    let verdict = verdict.to_owned();
    let markdown = markdown::markdown(&report);
    json(&Forms { verdict, sentence, json: report.to_json().map_err(thrown)?, markdown })
}

/// The result, as JSON, of the case `line` whose worker gave no answer: `status` as in a report, and why.
#[wasm_bindgen]
pub fn unanswered_case(line: &str, status: &str, message: &str) -> Result<String, JsError> {
    let case = Case::parse(line).map_err(thrown)?;
    let status = Status::ALL.into_iter().find(|known| known.name() == status);
    let status = status.ok_or_else(|| thrown("there is no such status"))?;
    json(&unmeasured(&case, status, message))
}

/// The result, as JSON, of the control `name` whose worker gave no answer.
#[wasm_bindgen]
pub fn unanswered_control(name: &str, message: &str) -> Result<String, JsError> {
    let control = controls().iter().find(|control| control.name == name);
    let control = control.ok_or_else(|| thrown(format!("there is no control {name:?}")))?;
    json(&missed(control, message.to_owned()))
}
