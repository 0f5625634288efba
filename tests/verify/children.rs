//! Children that are not the program: they hang, flood their output, or leave others behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gpu_resnet::Error;
use gpu_resnet::verify::child::Setup;
use gpu_resnet::verify::expectations::Expectations;
use gpu_resnet::verify::report::CaseResult;
use gpu_resnet::verify::run::{Observer, Runner};

/// Stops at once if it is told to.
struct Quiet {
    stop: bool,
}

impl Observer for Quiet {
    fn case(&mut self, _result: &CaseResult) {}

    fn stop(&self) -> bool {
        self.stop
    }
}

/// Writes a program, by a process of its own: a file that this one had open for writing could not be run.
pub fn program(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("program");
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod +x \"$2\"";
    let written = Command::new("sh").args(["-c", write, "sh", script]).arg(&path).status().unwrap();
    assert!(written.success());
    path
}

/// How a run ends whose children run `script`, and how long that takes.
fn run(folder: &Path, script: &str) -> (Error, Duration) {
    let setup = Setup { program: program(folder, script), loading: vec![], arguments: vec![], environment: vec![] };
    let timeout = Duration::from_secs(2);
    let runner = Runner { setup, timeout, peaks: false, jobs: Some(2), every_kernel: false, limit: None };
    let started = Instant::now();
    let result = runner.run(&[], &[], &Expectations::default(), &mut Quiet { stop: false });
    (result.expect_err("no adapter answered"), started.elapsed())
}

#[test]
fn a_child_that_says_nothing_is_ended_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let (error, took) = run(folder.path(), &format!("sleep 600 & echo $! > {}; wait", pid.display()));
    assert!(matches!(&error, Error::NoAdapter(message) if message.contains("in time")), "{error}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    // So is what it started.
    let pid = std::fs::read_to_string(pid).unwrap();
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    for _ in 0..100 {
        if !alive() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{pid} is still there");
}

#[test]
fn a_child_that_floods_its_output_is_no_answer() {
    for script in ["yes", "cat /dev/zero", "yes >&2", "cat /dev/zero >&2"] {
        let folder = tempfile::tempdir().unwrap();
        let (error, took) = run(folder.path(), script);
        assert!(matches!(error, Error::NoAdapter(_)), "{script}: {error}");
        assert!(error.to_string().len() < 3000, "{script}: {} bytes", error.to_string().len());
        assert!(took < Duration::from_secs(30), "{script}: {took:?}");
    }
}

#[test]
fn a_child_that_ends_tells_how() {
    let folder = tempfile::tempdir().unwrap();
    let (error, _) = run(folder.path(), "echo no such adapter >&2; exit 4");
    let message = error.to_string();
    assert!(message.contains("no such adapter") && message.contains("4"), "{message}");
}
