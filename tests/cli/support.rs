//! What the tests share: running the program in a folder of its own, and saying what may be left there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own, for a test to run the program in.
pub struct Sandbox(tempfile::TempDir);

impl Sandbox {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-resnet"));
        command.current_dir(self.0.path()).env("GPU_RESNET_CACHE", self.path("cache"));
        // On hardware too: what is measured at the first use differs from run to run.
        command.env("GPU_RESNET_TUNE", "on");
        heed_signals(&mut command);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// The tensor `name` of a safetensors file: its shape and its f32 values.
    pub fn tensor(&self, file: &str, name: &str) -> (Vec<usize>, Vec<f32>) {
        let weights = gpu_resnet::weights::Weights::open(self.path(file)).unwrap();
        (weights.shape(name).unwrap().to_vec(), weights.tensor_f32(name).unwrap().to_vec())
    }

    /// A run that must succeed; its stdout.
    pub fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A run that must fail with `status`, one sentence that holds `words`, and no new file. What a killed run left half
    /// written it may sweep away.
    pub fn bad(&self, status: i32, words: &str, arguments: &[&str]) {
        let before = listing(self.0.path());
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        let error: String = said.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(error.contains(words), "{arguments:?}: {words:?} is not in {said:?}");
        assert!(!said.contains("internal error") && !said.contains("backtrace"), "{said}");
        let after = listing(self.0.path());
        let is_part = |path: &PathBuf| path.extension().is_some_and(|end| end == "part");
        let kept: Vec<_> = before.into_iter().filter(|path| after.contains(path) || !is_part(path)).collect();
        assert_eq!(kept, after, "{arguments:?} left or removed something");
    }

    /// Six images of each of `digits`, as class folders.
    pub fn digits(&self, name: &str, digits: &[&str]) -> String {
        for digit in digits {
            let from = example(&format!("train/{digit}"));
            let mut files: Vec<_> = std::fs::read_dir(from).unwrap().map(|f| f.unwrap().path()).collect();
            files.sort();
            for file in files.iter().take(6) {
                let bytes = std::fs::read(file).unwrap();
                self.write(&format!("{name}/{digit}/{}", file.file_name().unwrap().to_string_lossy()), &bytes);
            }
        }
        self.path(name).display().to_string()
    }
}

/// The tests may run where SIGINT is ignored, as a shell's background jobs do; the program under test must not inherit that.
#[allow(unsafe_code)]
fn heed_signals(command: &mut Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        let reset = || {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
                // SAFETY: `signal` is safe between fork and exec.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
            Ok(())
        };
        // SAFETY: `reset` calls nothing but `signal`.
        unsafe { command.pre_exec(reset) };
    }
    #[cfg(not(unix))]
    let _ = command;
}

pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits").join(name)
}

pub fn photo() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/photos/coffee.jpg").display().to_string()
}

/// Every file and folder but the cache, which may fill.
pub fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name == "cache") {
            continue;
        }
        if path.is_dir() {
            out.extend(listing(&path));
        }
        out.push(path);
    }
    out.sort();
    out
}

/// Every line of `text` as a JSON value.
pub fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The sorted keys of a JSON object, joined by spaces.
pub fn keys(value: &serde_json::Value) -> String {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys.join(" ")
}
