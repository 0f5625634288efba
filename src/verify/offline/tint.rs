//! Tint, Chrome's WGSL compiler, on many kernels at once: it starts slowly and then takes a millisecond each.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::super::process::Stopped;
use super::KernelResult;
use super::outcome::Outcome;
use super::tools::{Limits, MOST_HANGS, Tool, why};
use super::translate::Target;
use crate::gpu::shaders;

/// How Tint says that a kernel needs more workgroup memory than WebGPU promises; pages can ask for more.
const LARGE: &str = "The total use of workgroup storage";

/// A kernel as `scripts/tint.mjs` takes it.
#[derive(Serialize)]
struct Task<'a> {
    file: String,
    entry: &'a str,
    constants: &'a BTreeMap<String, u32>,
}

/// A line of its results.
#[derive(Deserialize)]
struct Line {
    message: Option<String>,
}

/// Has `tool` compile every kernel of `kernels`, each beside its WGSL, that was only translated so far.
pub(super) fn compile(tool: &Tool, limits: Limits, kernels: &mut [(&str, &mut KernelResult)]) {
    let open = |result: &KernelResult| result.targets.get(Target::Wgsl.name()) == Some(&Outcome::Translated);
    let mut waiting: Vec<_> = kernels.iter_mut().filter(|(_, result)| open(result)).collect();
    let (mut first, mut stops) = (0, 0);
    while first < waiting.len() {
        let rest: Vec<_> = waiting[first..].iter().map(|(source, result)| (*source, &**result)).collect();
        let (mut outcomes, stopped) = run(tool, limits, &rest);
        if let Some(stopped) = stopped {
            outcomes.push(stopped);
            stops += 1;
        }
        if stops == MOST_HANGS {
            let message = format!("not run: it had to be stopped on {MOST_HANGS} kernels before this one");
            outcomes.resize(rest.len(), Outcome::Timeout { by: tool.name.into(), message });
        }
        for ((_, result), outcome) in waiting[first..].iter_mut().zip(outcomes) {
            result.targets.insert(Target::Wgsl.name(), outcome);
            first += 1;
        }
    }
}

/// Outcomes of the kernels up to the first on which the tool crashed or hung, and what became of that one.
fn run(tool: &Tool, limits: Limits, kernels: &[(&str, &KernelResult)]) -> (Vec<Outcome>, Option<Outcome>) {
    let by = || tool.name.to_owned();
    let refused = |error: std::io::Error| Outcome::Failed { by: by(), message: format!("could not be run: {error}") };
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => return (Vec::new(), Some(refused(error))),
    };
    let results = folder.path().join("results.jsonl");
    let ended = write_tasks(folder.path(), kernels)
        .map_err(Stopped::NotStarted)
        .and_then(|list| tool.output(Command::new(tool.program()).arg(list).arg(&results), limits));
    let said = std::fs::read_to_string(&results).unwrap_or_default();
    let outcome = |line: Line| match line.message {
        None => Outcome::Compiled { tool: by() },
        Some(message) if message.starts_with(LARGE) => {
            Outcome::Skipped { reason: message.lines().next().unwrap_or_default().to_owned() }
        }
        Some(message) => Outcome::Failed { by: by(), message },
    };
    let outcomes: Vec<Outcome> =
        said.lines().map_while(|line| serde_json::from_str(line).ok()).take(kernels.len()).map(outcome).collect();
    if outcomes.len() == kernels.len() {
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
fn write_tasks(folder: &Path, kernels: &[(&str, &KernelResult)]) -> std::io::Result<std::path::PathBuf> {
    let mut tasks = Vec::new();
    for (number, (source, result)) in kernels.iter().enumerate() {
        let file = folder.join(format!("{number}.wgsl"));
        std::fs::write(&file, shaders::for_browsers(source))?;
        tasks.push(Task { file: file.display().to_string(), entry: &result.entry, constants: &result.constants });
    }
    let list = folder.join("kernels.json");
    std::fs::write(&list, serde_json::to_vec(&tasks)?)?;
    Ok(list)
}
