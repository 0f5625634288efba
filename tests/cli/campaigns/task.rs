//! A task that is disturbed in every way, and must end in the same bits once it is left in peace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::cli::support::Sandbox;
use crate::cli::tiny;

/// A command line of the program on a network that takes a moment.
#[derive(Clone, Copy)]
pub struct Task {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    pub more: &'static [&'static str],
    /// The files that it writes, whose bits do not depend on what happened before.
    pub outputs: &'static [&'static str],
    /// The files whose bits vary, and how each ends if it is whole.
    pub varying: &'static [(&'static str, &'static str)],
    /// How a run is continued, where it has a folder `run`.
    pub resumed: Option<&'static str>,
    /// The program.
    pub program: fn(&Sandbox) -> Command,
    /// The server that it fetches from.
    pub mirror: Option<&'static str>,
}

/// A task that writes nothing.
pub const NOTHING: Task = Task {
    name: "",
    arguments: &[],
    more: &[],
    outputs: &[],
    varying: &[],
    resumed: None,
    program: Sandbox::command,
    mirror: None,
};

const MODEL: &[&str] = &["run/model.safetensors"];

const FINETUNE: &[&str] =
    &["finetune", "data", "--weights", "net.safetensors", "--val-split", "0.3", "--batch-size", "4", "-o", "run"];

/// The head of a network, by the default recipe with its sweep.
pub const HEAD: Task = Task {
    name: "finetune",
    arguments: FINETUNE,
    more: &["--epochs", "3"],
    outputs: MODEL,
    resumed: Some("finetune"),
    ..NOTHING
};

pub const UNFROZEN: Task =
    Task { name: "finetune --unfreeze all", more: &["--unfreeze", "all", "--epochs", "2"], ..HEAD };

pub const HALF: Task = Task {
    name: "finetune --unfreeze all --precision f16",
    more: &["--unfreeze", "all", "--epochs", "2", "--precision", "f16"],
    ..HEAD
};

pub const TRAIN: Task = Task {
    name: "train",
    arguments: &[
        "train",
        "data",
        "--arch",
        "resnet20",
        "--image-size",
        "8",
        "--val-split",
        "0.3",
        "--batch-size",
        "8",
        "-o",
        "run",
    ],
    more: &["--epochs", "3"],
    outputs: MODEL,
    resumed: Some("train"),
    ..NOTHING
};

pub const INFER: Task = Task {
    name: "infer --output",
    arguments: &[
        "infer",
        "data",
        "--weights",
        "net.safetensors",
        "--batch-size",
        "4",
        "--output",
        "p.jsonl",
        "--save-logits",
        "l.safetensors",
        "--save-features",
        "f.parquet",
    ],
    outputs: &["p.jsonl", "l.safetensors", "f.parquet"],
    ..NOTHING
};

pub const VERIFY: Task = Task {
    name: "verify --report",
    arguments: &[
        "verify",
        "--filter",
        "^relu count=1$",
        "--no-controls",
        "--jobs",
        "1",
        "--timeout",
        "20",
        "--report",
        "r.json",
        "--html",
        "r.html",
        "--markdown",
        "r.md",
    ],
    varying: &[("r.json", "}"), ("r.html", "</html>"), ("r.md", "")],
    ..NOTHING
};

pub const TUNE: Task = Task {
    name: "tune",
    arguments: &["tune", "--weights", "net.safetensors", "--image-size", "16", "--batch-size", "1", "--limit", "1"],
    ..NOTHING
};

pub const BENCH: Task = Task {
    name: "bench",
    arguments: &[
        "bench",
        "--weights",
        "net.safetensors",
        "--image-size",
        "16",
        "--batch-size",
        "1",
        "--iterations",
        "1",
    ],
    ..NOTHING
};

/// What a task that was left in peace wrote.
pub type Bits = BTreeMap<&'static str, Vec<u8>>;

/// A folder with a network of two classes and twelve images.
pub fn sandbox() -> Sandbox {
    let here = Sandbox::new();
    here.digits("data", &["0", "1"]);
    tiny::network(&here, "net.safetensors", 2, |_, _| ());
    here
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl Task {
    pub fn command(&self, here: &Sandbox) -> Command {
        let mut command = (self.program)(here);
        command.args(self.arguments).args(self.more);
        if let Some(mirror) = self.mirror {
            command.env("GPU_RESNET_MIRROR", mirror);
        }
        command
    }

    /// What goes on with it: the same command, or the one that resumes where there is something to resume from.
    pub fn next(&self, here: &Sandbox) -> Command {
        let begun = here.path("run/config.toml").exists() && here.path("run/checkpoint.safetensors").exists();
        match self.resumed.filter(|_| begun) {
            Some(name) => {
                let mut command = here.command();
                command.args([name, "--resume", "run"]);
                command
            }
            None => self.command(here),
        }
    }

    /// Removes what it writes, and the caches.
    pub fn clear(&self, here: &Sandbox) {
        let varying = self.varying.iter().map(|(name, _)| *name);
        for name in ["run", "cache"].into_iter().chain(varying).chain(self.outputs.iter().copied()) {
            let path = here.path(name);
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }

    /// What it writes if nothing happens.
    pub fn undisturbed(&self, here: &Sandbox) -> Bits {
        self.clear(here);
        let output = self.command(here).output().unwrap();
        assert!(output.status.success(), "{}: {}", self.name, said(&output));
        self.bits(here)
    }

    fn bits(&self, here: &Sandbox) -> Bits {
        let read = |name: &&'static str| {
            let bytes = std::fs::read(here.path(name)).unwrap_or_else(|e| panic!("{}: {name}: {e}", self.name));
            (*name, bytes)
        };
        self.outputs.iter().map(read).collect()
    }

    /// Checks that it left nothing half-written: each of its files is whole or not there.
    pub fn check_whole(&self, here: &Sandbox, expected: &Bits, what: &str) {
        for (name, bytes) in expected {
            let Ok(found) = std::fs::read(here.path(name)) else { continue };
            // A run keeps the best network of the epochs that it came to.
            let is_of_fewer_epochs = self.resumed.is_some() && safetensors::SafeTensors::deserialize(&found).is_ok();
            assert!(found == *bytes || is_of_fewer_epochs, "{}: {what}: {name} has other bits", self.name);
        }
        for (name, end) in self.varying {
            let Ok(text) = std::fs::read_to_string(here.path(name)) else { continue };
            assert!(!text.is_empty() && text.trim_end().ends_with(end), "{}: {what}: half of {name}", self.name);
        }
    }

    /// Checks that all that it should write is there.
    pub fn check_done(&self, here: &Sandbox, expected: &Bits, what: &str) {
        assert!(self.bits(here) == *expected, "{}: {what}: it ended well, with other bits", self.name);
    }

    /// Continues it, or starts it again where nothing was begun, and checks that it ends as it should.
    pub fn check_goes_on(&self, here: &Sandbox, expected: &Bits, what: &str) {
        let output = self.next(here).output().unwrap();
        assert!(output.status.success(), "{}: after {what}: {}", self.name, said(&output));
        assert!(self.bits(here) == *expected, "{}: after {what}: other bits", self.name);
        for (name, _) in self.varying {
            assert!(here.path(name).exists(), "{}: after {what}: there is no {name}", self.name);
        }
        let left = parts(&here.path(""));
        assert!(left.is_empty(), "{}: after {what}: {left:?} are left", self.name);
    }
}

/// Files under temporary names in `folder` and below it. Those of a cache may wait for the next that writes there.
pub fn parts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(parts(&path));
        } else if path.extension().is_some_and(|end| end == "part") {
            found.push(path);
        }
    }
    found
}

/// Checks that `output` is an error of one sentence, with the status of a failed work or, in `verify`, of a mismatch.
pub fn check_error(task: &Task, output: &Output, what: &str) {
    let said = said(output);
    let without = |line: &&str| !line.ends_with("the run goes on without it");
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error:")).filter(without).collect();
    let expected = if task.name.starts_with("verify") { 3 } else { 1 };
    assert_eq!(output.status.code(), Some(expected), "{}: {what}: {said}", task.name);
    assert!(errors.len() == 1 && errors[0].len() < 600, "{}: {what}: {said}", task.name);
    for bad in ["internal error", "panicked", "backtrace", "Caused by", "poisoned"] {
        assert!(!said.contains(bad), "{}: {what}: {said}", task.name);
    }
}
