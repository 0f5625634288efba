//! Compilers that take a list of kernels, since they start slowly: Tint, Chrome's WGSL compiler, which then takes a millisecond for each, and
//! `scripts/dxc.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::process::Stopped;
use super::outcome::Outcome;
use super::tools::{Limits, MOST_HANGS, Tool, why};

/// How Tint says that a kernel needs more workgroup memory than WebGPU promises; pages can ask for more.
const LARGE: &str = "The total use of workgroup storage";

/// A kernel to compile: its text in the tool's language, and where its outcome goes.
pub(super) struct Job<'a> {
    pub text: String,
    pub entry: String,
    pub constants: &'a BTreeMap<String, u32>,
    pub outcome: &'a mut Outcome,
}

/// A kernel as the scripts take it.
#[derive(Serialize)]
struct Task<'a> {
    file: PathBuf,
    entry: &'a str,
    constants: &'a BTreeMap<String, u32>,
}

/// A line of their results.
#[derive(Deserialize)]
struct Line {
    message: Option<String>,
}

/// Has `tool` compile all `jobs`. After a kernel on which it crashes or hangs it is started again for the rest.
pub(super) fn compile(tool: &Tool, limits: Limits, mut jobs: &mut [Job]) {
    while !jobs.is_empty() {
        let mut outcomes = Vec::new();
        if tool.is_given_up() {
            let message = format!("not run: it had to be stopped on {MOST_HANGS} kernels before this one");
            outcomes.resize(jobs.len(), Outcome::Timeout { by: tool.name.into(), message });
        } else {
            let stopped;
            (outcomes, stopped) = run(tool, limits, jobs);
            if let Some(stopped) = stopped {
                outcomes.push(stopped);
                tool.was_stopped();
            }
        }
        let done = outcomes.len();
        jobs.iter_mut().zip(outcomes).for_each(|(job, outcome)| *job.outcome = outcome);
        jobs = &mut jobs[done..];
    }
}

/// Outcomes of the kernels up to the first on which the tool crashed or hung, and what became of that one.
fn run(tool: &Tool, limits: Limits, jobs: &[Job]) -> (Vec<Outcome>, Option<Outcome>) {
    let by = || tool.name.to_owned();
    let refused = |error: std::io::Error| Outcome::Failed { by: by(), message: format!("could not be run: {error}") };
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => return (Vec::new(), Some(refused(error))),
    };
    let results = folder.path().join("results.jsonl");
    let ended = write_tasks(folder.path(), jobs)
        .map_err(Stopped::NotStarted)
        .and_then(|list| tool.output(tool.list_command().arg(list).arg(&results), limits));
    let said = std::fs::read_to_string(&results).unwrap_or_default();
    let outcome = |line: Line| match line.message {
        None => Outcome::Compiled { tool: by() },
        Some(message) if message.starts_with(LARGE) => {
            Outcome::Skipped { reason: message.lines().next().unwrap_or_default().to_owned() }
        }
        Some(message) => Outcome::Failed { by: by(), message },
    };
    let outcomes: Vec<Outcome> =
        said.lines().map_while(|line| serde_json::from_str(line).ok()).take(jobs.len()).map(outcome).collect();
    if outcomes.len() == jobs.len() {
        return (outcomes, None);
    }
    let last = match ended {
        Err(Stopped::NotStarted(error)) => refused(error),
        Err(stopped) => Outcome::Timeout { by: by(), message: format!("it {}", why(&stopped, limits)) },
        Ok(output) => {
            let said = output.stderr.trim();
            let message = if said.is_empty() { output.status.to_string() } else { said.to_owned() };
            Outcome::Failed { by: by(), message }
        }
    };
    (outcomes, Some(last))
}

/// Writes each kernel's text and the list of them, whose path it returns.
fn write_tasks(folder: &Path, jobs: &[Job]) -> std::io::Result<PathBuf> {
    let mut tasks = Vec::new();
    for (number, Job { text, entry, constants, .. }) in jobs.iter().enumerate() {
        let file = folder.join(number.to_string());
        std::fs::write(&file, text)?;
        tasks.push(Task { file, entry, constants });
    }
    let list = folder.join("kernels.json");
    std::fs::write(&list, serde_json::to_vec(&tasks)?)?;
    Ok(list)
}
