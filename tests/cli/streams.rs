//! Where stdout and stderr lead nowhere: a closed stderr ends no work, a full stdout is an error.

#![cfg(unix)]

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use super::support::Sandbox;
use super::tiny::network;

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A disk without space; none where the system has no such device.
fn full() -> Option<Stdio> {
    OpenOptions::new().write(true).open("/dev/full").ok().map(Stdio::from)
}

fn status(command: &mut Command) -> Option<i32> {
    command.stdin(Stdio::null()).status().unwrap().code()
}

#[test]
fn a_run_goes_on_when_nobody_reads_it_any_more() {
    let here = Sandbox::new();
    let weights = network(&here, "net.safetensors", 2, |_, _| ());
    let data = here.digits("data", &["0", "1"]);
    let run = |output: &str| {
        let mut command = here.command();
        command.args(["finetune", &data, "--weights", &weights, "--recipe", "notes", "--json", "--output", output]);
        command
    };
    // As in `finetune data 2>&1 | head -1`.
    assert_eq!(status(run("both").stdout(closed()).stderr(closed())), Some(0));
    assert!(here.path("both/model.safetensors").exists(), "the run did not end");
    if let Some(full) = full() {
        assert_eq!(status(run("full").stdout(Stdio::null()).stderr(full)), Some(0));
        assert!(here.path("full/model.safetensors").exists(), "the run did not end");
    }
}

#[test]
fn errors_keep_their_status_when_nobody_hears_them() {
    let here = Sandbox::new();
    for (arguments, expected) in
        [(&["infer", "nothere.png"][..], 1), (&["infer"], 2), (&["weights", "inspect", "nosuch"], 2)]
    {
        assert_eq!(status(here.command().args(arguments).stderr(closed())), Some(expected), "{arguments:?}");
        if let Some(full) = full() {
            assert_eq!(status(here.command().args(arguments).stderr(full)), Some(expected), "{arguments:?}");
        }
    }
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let here = Sandbox::new();
    for arguments in [&["weights", "list"][..], &["weights", "list", "--json"], &["--help"], &["--version"], &["man"]] {
        assert_eq!(
            status(here.command().args(arguments).stdout(closed())),
            Some(0),
            "{arguments:?} with a closed stdout"
        );
        let Some(full) = full() else { continue };
        let output = here.command().args(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?} on a full disk: {said}");
        assert!(said.starts_with("error: stdout: could not be written: "), "{said}");
    }
}

#[test]
fn a_closed_stdout_leaves_the_status_of_the_work() {
    let here = Sandbox::new();
    let weights = network(&here, "net.safetensors", 2, |_, _| ());
    let data = here.digits("data", &["0", "1"]);
    here.write("data/1/broken.png", b"\x89PNG\r\n\x1a\nnot really");
    let image = std::fs::read_dir(here.path("data/0")).unwrap().next().unwrap().unwrap().path().display().to_string();
    let finetune = ["finetune", &data, "--recipe", "notes", "--json", "--output", "run", "--weights", &weights];
    for (arguments, expected) in [
        (&["infer", &image, "nothere", "--weights", &weights][..], 1),
        (&["infer", &image, "--weights", &weights], 0),
        (&["infer", &image, "--weights", &weights, "--save-logits", "l.safetensors"], 0),
        (&["evaluate", &data, "--weights", &weights], 1),
        (&["weights", "inspect", "data/1/broken.png"], 1),
        (&finetune, 1),
    ] {
        let output = here.command().args(arguments).stdout(closed()).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {said}");
        assert!(!said.contains("--resume") && !said.contains("stdout"), "{said}");
    }
    // What is written beside stdout is written to the end.
    assert_eq!(here.tensor("l.safetensors", "logits").0, [1, 2]);
}
