//! Verification itself: its list, its negative controls, and the built program with cases that end badly on purpose.

#[cfg(unix)]
#[path = "verify/children.rs"]
mod children;
#[path = "verify/ends.rs"]
mod ends;
#[path = "verify/list.rs"]
mod list;
#[path = "verify/options.rs"]
mod options;
#[path = "verify/settings.rs"]
mod settings;
#[path = "verify/vendors.rs"]
mod vendors;

use std::process::{Command, Output};

use gpu_resnet::verify::report::{Report, Status};

/// `verify` with `arguments`, and its report.
fn verify(arguments: &[&str]) -> (Output, Report) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let output = command(arguments).arg("--report").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report = Report::read(&path).unwrap_or_else(|error| panic!("{arguments:?}: {error}; {said}"));
    (output, report)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-resnet"));
    command.arg("verify").args(arguments);
    command
}

/// Status and message of the case `line`.
fn ended<'a>(report: &'a Report, line: &str) -> (Status, &'a str) {
    let mut cases = report.adapters.iter().flat_map(|run| &run.cases);
    let case = cases.find(|case| case.id == line).unwrap_or_else(|| panic!("{line} did not run"));
    (case.status, &case.message)
}
