//! RUN folders: whose they are, what a run that fails or is stopped leaves, and what may stand beside --resume.

use std::path::Path;
use std::process::{Child, Stdio};

use gpu_resnet::train::RunDir;

use super::support::{Sandbox, listing};

/// A network that trains in a moment.
const TINY: [&str; 6] = ["--arch", "resnet20", "--image-size", "8", "--val-split", "0"];

fn train<'a>(data: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", data], &TINY[..], more].concat()
}

fn head<'a>(data: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let options = ["finetune", data, "--image-size", "32", "--lr", "1e-3", "--epochs", "2", "--val-split", "0"];
    [&options[..], more].concat()
}

fn model(here: &Sandbox, run: &str) -> Vec<u8> {
    std::fs::read(here.path(run).join("model.safetensors")).unwrap()
}

fn spawn(here: &Sandbox, arguments: &[&str]) -> Child {
    here.command().args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn folders(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn runs_that_start_at_once_have_a_folder_each() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    let arguments = train(&data, &["--epochs", "2"]);
    let children: Vec<Child> = (0..3).map(|_| spawn(&here, &arguments)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let runs = folders(&here.path("runs"));
    assert_eq!(runs, ["train", "train-2", "train-3"]);
    for run in runs {
        assert!(model(&here, &format!("runs/{run}")) == model(&here, "runs/train"), "{run}");
        assert!(!here.path(&format!("runs/{run}/.lock")).exists());
    }
    // While one process has it, none other goes on with it or starts there.
    let run = RunDir::open(here.path("runs/train")).unwrap();
    let taken = "runs/train: is in use by another training process";
    here.bad(1, taken, &["train", "--resume", "runs/train", "--epochs", "3"]);
    here.bad(1, "runs/train: ", &train(&data, &["--epochs", "2", "--output", "runs/train"]));
    drop(run);
    here.good(&["train", "--resume", "runs/train", "--epochs", "3"]);
}

#[cfg(unix)]
#[test]
fn a_run_that_is_stopped_while_features_are_computed_goes_on() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    let options = ["finetune", &data, "--image-size", "64", "--batch-size", "1", "--recipe", "notes"];
    // Each with a cache of its own: what one has computed, no other has.
    let command = |run: &str, arguments: &[&str]| {
        let mut command = here.command();
        command.args(arguments).env("GPU_RESNET_CACHE", here.path("cache").join(run));
        command
    };
    here.good(&[&options[..], &["--output", "whole"]].concat());
    for (signal, run, quoted) in [("TERM", "my run", "'my run'"), ("KILL", "killed", "killed")] {
        let mut start = command(run, &[&options[..], &["--output", run]].concat());
        let child = start.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        while !here.path(run).join("config.toml").exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let kill = format!("kill -{signal} {}", child.id());
        assert!(std::process::Command::new("sh").arg("-c").arg(kill).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!here.path(run).join("checkpoint.safetensors").exists(), "{signal} came too late: {said}");
        if signal != "KILL" {
            assert_eq!(output.status.code(), Some(130), "{said}");
            assert!(said.contains(&format!("continue with `gpu-resnet finetune --resume {quoted}`")), "{said}");
        }
        let output = command(run, &["finetune", "--resume", run]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        // What was computed before the signal is not computed again; a kill leaves no time to keep it.
        assert_eq!(said.contains("training features are in the cache"), signal != "KILL", "{said}");
        assert!(model(&here, run) == model(&here, "whole"), "the run that got {signal} differs after it was resumed");
    }
}

#[test]
fn a_run_that_fails_on_its_input_leaves_no_folder() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0"]);
    here.write("data/1/broken.png", b"\x89PNG\r\n\x1a\nnot really");
    let words = "images of only 1 of its 2 classes could be read";
    here.bad(1, words, &head(&data, &[]));
    here.bad(1, words, &train(&data, &["--output", "new/folder"]));
    here.write("mine/notes.txt", b"");
    here.bad(1, words, &head(&data, &["--output", "mine"]));
}

#[test]
fn unreadable_images_are_left_out_from_the_start() {
    let here = Sandbox::new();
    let (clean, data) = (here.digits("clean", &["0", "1"]), here.digits("data", &["0", "1"]));
    let broken = ["data/0/0.png", "data/1/broken.png"].map(|name| here.write(name, b"\x89PNG\r\n\x1a\nnot really"));
    // Alone in their batches, and for a head.
    let cases = [("train", train(&data, &["--epochs", "1", "--batch-size", "1"])), ("finetune", head(&data, &[]))];
    for (number, (command, options)) in cases.into_iter().enumerate() {
        let (run, whole) = (format!("run{number}"), format!("whole{number}"));
        let partial = |arguments: &[&str], named: bool| {
            let output = here.run(arguments);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
            assert!(said.contains("error: 2 images could not be read and were left out"), "{arguments:?}: {said}");
            let lines = said.lines().filter(|line| line.contains("broken.png:")).count();
            assert_eq!(lines, usize::from(named), "{arguments:?}: {said}");
        };
        partial(&[&options[..], &["--output", &run]].concat(), true);
        // The run is that of the images that can be read, and stays it when the others are repaired.
        let good =
            std::fs::read(std::fs::read_dir(here.path("clean/0")).unwrap().next().unwrap().unwrap().path()).unwrap();
        broken.iter().for_each(|path| std::fs::write(path, &good).unwrap());
        partial(&[command, "--resume", &run, "--epochs", "3"], false);
        partial(&[command, "--resume", &run], false);
        broken.iter().for_each(|path| std::fs::write(path, b"\x89PNG\r\n\x1a\nnot really").unwrap());
        let options: Vec<&str> =
            options.iter().map(|&option| if option == data { clean.as_str() } else { option }).collect();
        here.good(&[&options[..], &["--output", &whole]].concat());
        here.good(&[command, "--resume", &whole, "--epochs", "3"]);
        assert!(model(&here, &run) == model(&here, &whole), "{options:?}");
    }
    // A head needs the features of all images that it began with.
    let mut images = std::fs::read_dir(here.path("data/1")).unwrap().map(|entry| entry.unwrap().path());
    let lost = images.find(|path| !path.ends_with("broken.png")).unwrap();
    std::fs::write(&lost, b"\x89PNG\r\n\x1a\nlost").unwrap();
    here.bad(1, "could be read when the run began", &["finetune", "--resume", "run1", "--epochs", "4"]);
    for adapters in ["0", "0,0"] {
        let output =
            here.run(&["evaluate", &data, "--weights", "run0", "--batch-size", "1", "--adapter", adapters, "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), report["count"].as_u64()), (Some(1), Some(11)), "{adapters}");
    }
}

#[test]
fn a_repeated_command_line_goes_on() {
    let here = Sandbox::new();
    let data = here.digits("photos", &["0", "1"]);
    here.write("classes.txt", b"1\n0\n");
    let own = ["--augment", "flip,crop=2", "--seed", "7", "--lr", "0.01", "--momentum", "0.8", "--no-bias-decay"];
    let more =
        ["--lr-schedule", "step", "--lr-milestones", "1,2", "--classes", "classes.txt", "--shortcut", "zero-pad"];
    let options = [&own[..], &more[..], &["--batch-size", "8", "--epochs", "2", "-o", "runs/x"]].concat();
    let options = train("photos/", &options);
    here.bad(1, "runs/x: is not a run yet", &[&options[..], &["--resume", "runs/x"]].concat());
    here.good(&options);
    // From another folder too, and with other words for the same.
    here.good(&[&options[..], &["--resume", "runs/x"]].concat());
    here.good(&["train", &data, "--resume", "runs/x", "-o", "runs/../runs/x/", "--epochs", "3", "--arch", "resnet20"]);
    let (run, other) = (here.path("runs/x").display().to_string(), here.digits("other", &["0", "1"]));
    for (words, more) in [
        ("is a run of --lr 0.01, not of --lr 0.1", &["--lr", "0.1"][..]),
        ("is a run of --batch-size 8, not of --batch-size 9", &["--batch-size", "9"]),
        ("is a run of --seed 7, not of --seed 0", &["--seed", "0"]),
        ("is a run of --arch", &["--arch", "resnet32"]),
        ("is a run of --shortcut zero-pad, not of --shortcut projection", &["--shortcut", "projection"]),
        ("is a run of --image-size 8, not of --image-size 16", &["--image-size", "16"]),
        ("is a run of --augment", &["--augment", "flip"]),
        ("is a run of --lr-milestones 1,2, not of --lr-milestones 1", &["--lr-milestones", "1"]),
        ("is a run without --ema 0.9", &["--ema", "0.9"]),
        ("is a run without --balance", &["--balance"]),
        ("is a run without --val", &["--val", &data]),
        ("is a run of the data", &[&other]),
        ("the folder of the run; leave --output out", &["--output", "runs/y"]),
    ] {
        here.bad(2, words, &[&["train", "--resume", &run], more].concat());
    }
    here.bad(
        1,
        "is a run of `gpu-resnet train`; continue it with `gpu-resnet train --resume runs/x`",
        &["finetune", "--resume", "runs/x", "--lr", "0.01"],
    );
}

#[test]
fn a_head_takes_its_own_options_again() {
    let here = Sandbox::new();
    let data = here.digits("photos", &["0", "1"]);
    let options = head(&data, &["--bn", "eval", "--augment", "none", "--unfreeze", "head", "--output", "x"]);
    here.good(&options);
    // The same weights, wherever they lie.
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/resnet50-thin.safetensors");
    std::fs::copy(weights, here.path("copy.safetensors")).unwrap();
    here.good(&[&options[..], &["--resume", "x", "--weights", "copy.safetensors"]].concat());
    for (status, words, more) in [
        (2, "x is a run of --bn eval, not of --bn train", &["--bn", "train"][..]),
        (2, "x is a run of --unfreeze head, not of --unfreeze layer4", &["--unfreeze", "layer4"]),
        (2, "x is a run of --precision f32, not of --precision f16", &["--precision", "f16"]),
        (2, "x is a run of --recipe auto, not of --recipe notes", &["--recipe", "notes"]),
        (2, "x is a run of --optimizer adam, not of --optimizer sgd", &["--optimizer", "sgd"]),
        (2, "x is a run of --image-size 32, not of --image-size 64", &["--image-size", "64"]),
        (1, "is not the file that the run began with", &["--weights", "resnet20-digits"]),
    ] {
        here.bad(status, words, &[&["finetune", "--resume", "x"], more].concat());
    }
}

#[test]
fn a_data_set_may_hold_its_own_runs() {
    let here = Sandbox::new();
    let data = here.digits("photos", &["0", "1"]);
    let tune = |more: &[&str]| {
        let arguments = train(".", &[&["--epochs", "1"], more].concat());
        let output = here.command().current_dir(&data).args(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    tune(&[]);
    tune(&[]);
    tune(&["--output", "mine"]);
    tune(&[]);
    assert_eq!(folders(&here.path("photos")), ["0", "1", "mine", "runs"]);
    assert_eq!(folders(&here.path("photos/runs")), ["train", "train-2", "train-3"]);
    for run in ["runs/train-2", "runs/train-3", "mine"] {
        assert!(model(&here, &format!("photos/{run}")) == model(&here, "photos/runs/train"), "{run}");
    }
    assert!(!listing(&here.path("photos")).iter().any(|path| path.ends_with(".lock")));
}
