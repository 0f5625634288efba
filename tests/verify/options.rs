use std::path::PathBuf;

use gpu_resnet::verify::report::Status;

use crate::{command, ended, verify};

/// A file of expectations in a folder of its own.
fn expectations(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("expectations.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

const KNOWN: &str = "[[expect]]\ncase = \"^hook kind=(fail|pass)$\"\nreason = \"made up\"\nlink = \"none\"\n";

#[test]
fn an_expected_failure_does_not_fail_the_run() {
    let (_folder, path) = expectations(KNOWN);
    let path = path.display().to_string();
    let base = ["--filter", "relu count=9", "--no-controls", "--also", "hook kind=fail"];
    assert_eq!(verify(&base).0.status.code(), Some(3));
    let (output, report) = verify(&[&base[..], &["--expectations", &path]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(ended(&report, "hook kind=fail").0, Status::Fail);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("fail as expected  hook kind=fail: made up"), "{shown}");
    // Another end than the expected one is no expected one.
    let crash = KNOWN.replace("(fail|pass)", "crash");
    let (_folder, path) = expectations(&crash);
    let path = path.display().to_string();
    let arguments = ["--filter", "hook kind=crash", "--no-controls", "--expectations", &path];
    assert_eq!(verify(&arguments).0.status.code(), Some(3));
}

#[test]
fn an_unexpected_pass_is_reported() {
    let (_folder, path) = expectations(KNOWN);
    let path = path.display().to_string();
    let base = ["--filter", "hook kind=pass", "--no-controls", "--expectations", &path];
    let (output, _) = verify(&base);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected to fail"));
    let (output, _) = verify(&[&base[..], &["--allow-unexpected-pass"]].concat());
    assert_eq!(output.status.code(), Some(0));
}

/// Negative controls of the same kernel come first, and put back what they found.
#[test]
fn a_fault_outlasts_the_negative_controls() {
    let fault = "relu: max(x, vec4f()) => max(x, vec4f(1.0))";
    let (output, report) = verify(&["--filter", "relu count=9", "--fault", fault]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(ended(&report, "relu count=9").0, Status::Fail);
    assert!(report.adapters[0].controls.iter().any(|control| control.caught), "no control was run");
}

#[test]
fn a_wrong_file_of_expectations_is_refused() {
    let (_folder, path) = expectations("[[expect]]\ncase = \"(\"\n");
    let output = command(&["--filter", "relu count=9", "--expectations"]).arg(path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn features_can_be_left_unused() {
    let line = "conv2d n=1 c=5 h=8 w=8 k=5 kernel=3 variant=subgroup";
    let (output, report) = verify(&["--filter", line, "--no-controls", "--disable", "subgroups,f16,timestamps,int64"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let (status, message) = ended(&report, line);
    assert_eq!(status, Status::Unsupported);
    assert!(message.contains("subgroup"), "{message}");
    let features = report.adapters[0].adapter.features;
    assert!(!features.subgroups && !features.f16 && !features.timestamps && !features.int64);
}

#[test]
fn variants_and_bounds_checks_can_be_forced() {
    let filter = "^conv2d(_backward)? n=1 c=[1-3] h=9 w=13 ";
    let arguments = ["--filter", filter, "--variant", "gemm", "--no-controls", "--bounds-checks"];
    for checks in ["on", "off"] {
        let (output, report) = verify(&[&arguments[..], &[checks]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(report.adapters[0].cases.iter().all(|case| case.variant == "gemm" && case.status == Status::Pass));
    }
}

#[test]
fn the_list_is_printed() {
    let output = command(&["--list", "--filter", "^relu "]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && lines.lines().any(|line| line == "relu count=9"), "{lines}");
    assert!(lines.lines().all(|line| line.starts_with("relu ")));
}

/// What there is no time for is counted, and a run without a case is no success.
#[test]
fn a_limit_leaves_cases_out_and_counts_them() {
    let (output, report) = verify(&["--filter", "^relu ", "--no-controls", "--limit", "0.001"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("no case ran within --limit"), "{said}");
    let left_out = report.adapters[0].left_out;
    assert!(report.adapters[0].cases.is_empty() && left_out > 3, "{left_out}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("there was no time for {left_out} cases")));
    let (output, report) = verify(&["--filter", "^relu ", "--no-controls", "--limit", "600"]);
    assert!(output.status.success() && report.adapters[0].left_out == 0);
    assert_eq!(report.adapters[0].cases.len(), left_out);
}
