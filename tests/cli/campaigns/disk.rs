//! Disks that are full, broken or read-only: each call that changes a file fails in turn. The task ends in one sentence that names a file,
//! or does without the file (a cache); nothing is half-written, and the task goes on once there is space.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::table::row;
use super::task::{self, Bits, Task, check_error, parts, said, sandbox};
use super::tries::Tries;
use super::writers;
use crate::cli::support::Sandbox;

const ENOSPC: &str = "28";
const EIO: &str = "5";
const EROFS: &str = "30";

/// The shim, compiled; none where there is no C compiler.
struct Shim {
    library: PathBuf,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Shim {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/campaigns/shim.c");
        let library = folder.path().join("shim.so");
        let compiled = Command::new("cc").args(["-O1", "-shared", "-fPIC", source, "-o"]).arg(&library).status();
        match compiled {
            Ok(status) if status.success() => Some(Self { library, log: folder.path().join("log"), _folder: folder }),
            _ => {
                println!("no C compiler (cc) is here, so disks that fail are not tried");
                None
            }
        }
    }

    /// `command`, whose `nth` call that changes a file in `here` fails with `error`, and all later ones if it `stays`.
    fn preload(&self, here: &Sandbox, command: &mut Command, nth: usize, error: &str, stays: bool) {
        let _ = std::fs::remove_file(&self.log);
        command.env("LD_PRELOAD", &self.library).env("FAULT_UNDER", here.path("")).env("FAULT_LOG", &self.log);
        command.env("FAULT_AT", nth.to_string()).env("FAULT_ERRNO", error);
        if stays {
            command.env("FAULT_STAYS", "1");
        }
    }

    /// Whether the fault struck; whether the task was refused then.
    fn strike(
        &self,
        here: &Sandbox,
        task: &Task,
        expected: &Bits,
        nth: usize,
        error: &str,
        stays: bool,
    ) -> Option<bool> {
        task.clear(here);
        let mut command = task.command(here);
        self.preload(here, &mut command, nth, error, stays);
        let output = command.output().unwrap();
        let what = format!("error {error} in call {nth}{}", if stays { " and later" } else { "" });
        if !self.log.exists() {
            assert!(output.status.success(), "{}: {what}: {}", task.name, said(&output));
            return None;
        }
        task.check_whole(here, expected, &what);
        let refused = !output.status.success();
        if refused {
            let told = said(&output);
            check_error(&Task { name: "a disk", ..*task }, &output, &format!("{}: {what}", task.name));
            let error = told.lines().rfind(|line| line.starts_with("error:")).unwrap();
            assert!(error.contains("could not be") || error.contains("os error"), "{}: {what}: {told}", task.name);
            assert!(!error.contains(".part"), "{}: {what}: {told}", task.name);
        } else {
            task.check_done(here, expected, &what);
            task.clear(here);
        }
        // A full disk may keep even a temporary file from being removed; no more than one for each file.
        assert!(parts(&here.path("")).len() <= 3, "{}: {what}: {:?}", task.name, parts(&here.path("")));
        task.check_goes_on(here, expected, &what);
        Some(refused)
    }
}

#[test]
fn a_full_disk_is_one_sentence() {
    let Some(shim) = Shim::new() else { return };
    let here = sandbox();
    let expected = task::INFER.undisturbed(&here);
    // Nothing can be created at all, as in a folder that is read-only; and the disk fills up later, at last in the Parquet file.
    for (nth, error) in [(1, EROFS), (8, ENOSPC), (14, ENOSPC)] {
        assert_eq!(shim.strike(&here, &task::INFER, &expected, nth, error, true), Some(true), "{error}");
    }
}

#[test]
fn commands_without_a_device_say_that_they_cant_write() {
    let Some(shim) = Shim::new() else { return };
    let here = sandbox();
    for (task, later) in [(writers::CONVERT, 2), (writers::GRID, 2), (writers::fetch_weights(), 5)] {
        let expected = task.undisturbed(&here);
        for (nth, error) in [(1, EROFS), (later, ENOSPC)] {
            assert_eq!(shim.strike(&here, &task, &expected, nth, error, true), Some(true), "{}", task.name);
        }
    }
}

/// Every call of `tasks`, or every second or third if there are many; the faults of each, and how many were refused.
fn campaign(shim: &Shim, tasks: &[Task]) {
    let here = sandbox();
    writers::prepare(&here);
    let (mut all, mut bad, mut tries, mut counts) = (0, 0, Tries::default(), Vec::new());
    for task in tasks {
        let (expected, before) = (task.undisturbed(&here), all);
        for (error, stays) in [(ENOSPC, false), (ENOSPC, true), (EIO, false)] {
            let mut struck =
                |nth| tries.attempt(|| shim.strike(&here, task, &expected, nth, error, stays)).unwrap_or(Some(false));
            // Short commands at every call.
            let step = if task.resumed.is_none() {
                1
            } else if stays {
                2
            } else {
                3
            };
            let ends: Vec<bool> = (1..200).step_by(step).map_while(&mut struck).collect();
            let refused = ends.iter().filter(|refused| **refused).count();
            let lasting = if stays { "stays" } else { "" };
            println!("{:40} errno {error:2} {lasting:6} {:3} faults, {refused} refused", task.name, ends.len());
            (all, bad) = (all + ends.len(), bad + refused);
        }
        counts.push(format!("`{}` {}", task.name, all - before));
        task.clear(&here);
    }
    let ends = format!("{bad} refused in a sentence, {} did without a cache", all - bad);
    row("disks: ENOSPC once, ENOSPC from then on, EIO", format!("{all}: {}. {ends}", counts.join(", ")));
    tries.end();
}

#[test]
#[ignore = "a campaign of minutes: cargo test --release --test cli disk:: -- --ignored --nocapture"]
fn every_call_of_a_run_that_changes_a_file_may_fail() {
    let Some(shim) = Shim::new() else { return };
    campaign(&shim, &[task::INFER, task::HEAD, task::UNFROZEN, task::TRAIN, writers::TENSORBOARD]);
}

#[test]
#[ignore = "a campaign of minutes: cargo test --release --test cli disk:: -- --ignored --nocapture"]
fn every_call_of_the_other_commands_that_changes_a_file_may_fail() {
    let Some(shim) = Shim::new() else { return };
    let fetches = [writers::fetch_weights(), writers::fetch_data()];
    let commands = [
        task::VERIFY,
        task::TUNE,
        writers::ROOFLINE,
        writers::EVALUATE,
        writers::MAPS,
        writers::CONVERT,
        writers::GRID,
        writers::GRADIENTS,
        writers::OP,
        writers::RESULTS,
    ];
    campaign(&shim, &[&commands[..], &fetches[..]].concat());
}

#[test]
fn two_processes_share_a_folder_and_a_cache() {
    let here = sandbox();
    let expected = task::HEAD.undisturbed(&here);
    task::HEAD.clear(&here);
    let start = |task: &Task| task.command(&here).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let both = [start(&task::HEAD), start(&task::HEAD)].map(|child| child.wait_with_output().unwrap());
    let good = both.iter().filter(|output| output.status.success()).count();
    let told = format!("{}{}", said(&both[0]), said(&both[1]));
    assert_eq!(good, 1, "{told}");
    assert!(told.contains("is in use by another training process") || told.contains("already holds a run"), "{told}");
    task::HEAD.check_whole(&here, &expected, "two runs");
    // Two that write the same file: one of them is what is there in the end.
    let expected = task::INFER.undisturbed(&here);
    task::INFER.clear(&here);
    for child in [start(&task::INFER), start(&task::INFER)] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    task::INFER.check_whole(&here, &expected, "two at a time");
    assert!(parts(&here.path("")).is_empty());
}
