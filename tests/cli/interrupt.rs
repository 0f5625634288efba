//! Runs that are stopped: by Ctrl-C, by a kill, at any moment.

#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::support::{Sandbox, example, listing};

/// Epochs of a run that is long enough to be stopped in the middle.
const EPOCHS: &str = "400";

fn options<'a>(data: &'a str, epochs: &'a str, output: &'a str) -> [&'a str; 10] {
    ["finetune", data, "--image-size", "32", "--lr", "1e-3", "--epochs", epochs, "--output", output]
}

/// Starts a run and returns once some epochs are on disk.
fn start(here: &Sandbox, data: &str, output: &str) -> Child {
    let mut command = here.command();
    let command = command.args(options(data, EPOCHS, output)).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let metrics = here.path(output).join("metrics.jsonl");
    while std::fs::read_to_string(&metrics).unwrap_or_default().lines().count() < 20 {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the run ended by itself: {status}");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child
}

fn ctrl_c(child: &Child) {
    assert!(Command::new("sh").arg("-c").arg(format!("kill -INT {}", child.id())).status().unwrap().success());
}

fn model(here: &Sandbox, run: &str) -> Vec<u8> {
    std::fs::read(here.path(run).join("model.safetensors")).unwrap()
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bits() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    here.good(&options(&data, EPOCHS, "whole"));

    let mut killed = start(&here, &data, "killed");
    killed.kill().unwrap();
    killed.wait().unwrap();

    let stopped = start(&here, &data, "stopped");
    ctrl_c(&stopped);
    let output = stopped.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("gpu-resnet finetune --resume stopped"), "{said}");

    for run in ["killed", "stopped"] {
        assert!(!here.path(run).join("model.safetensors").exists(), "{run} was not interrupted");
        // From another folder: the run knows where its data is.
        let folder = here.path("data");
        let output = here.command().current_dir(folder).args(["finetune", "--resume"]).arg(here.path(run)).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(model(&here, "whole") == model(&here, run), "the run that was {run} differs after it was resumed");
        let metrics = std::fs::read_to_string(here.path(run).join("metrics.jsonl")).unwrap();
        assert_eq!(metrics.lines().count().to_string(), EPOCHS);
    }
}

#[test]
fn a_finished_run_can_go_further() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    here.good(&options(&data, "30", "whole"));
    here.good(&options(&data, "10", "longer"));
    assert!(model(&here, "whole") != model(&here, "longer"));
    here.good(&["finetune", "--resume", "longer", "--epochs", "30"]);
    assert!(model(&here, "whole") == model(&here, "longer"), "10 epochs and 20 more are not 30");
}

#[test]
fn infer_that_is_stopped_leaves_no_file() {
    let here = Sandbox::new();
    let data = example("test").display().to_string();
    let mut command = here.command();
    let command =
        command.args(["infer", &data, "--image-size", "64", "--batch-size", "1", "--save-logits", "l.safetensors"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    ctrl_c(&child);
    lines.for_each(drop);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert!(listing(&here.path("")).is_empty());
}
