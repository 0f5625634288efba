//! The built program as a user runs it: what it prints, its exit status, and that bad input leaves nothing behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Sandbox(tempfile::TempDir);

impl Sandbox {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-resnet"));
        command.current_dir(self.0.path()).env("GPU_RESNET_CACHE", self.path("cache"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// A run that must succeed; its stdout.
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A run that must fail with `status`, one sentence that holds `words`, and no new file.
    fn bad(&self, status: i32, words: &str, arguments: &[&str]) {
        let before = listing(self.0.path());
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        let error: String = said.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(error.contains(words), "{arguments:?}: {words:?} is not in {said:?}");
        assert!(!said.contains("internal error") && !said.contains("backtrace"), "{said}");
        assert_eq!(before, listing(self.0.path()), "{arguments:?} left something behind");
    }

    /// Two images of each of `digits`, as class folders.
    fn digits(&self, name: &str, digits: &[&str]) -> String {
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

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits").join(name)
}

fn photo() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/photos/coffee.jpg").display().to_string()
}

/// Every file and folder but the cache, which may fill.
fn listing(folder: &Path) -> Vec<PathBuf> {
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

#[test]
fn infer_prints_predictions() {
    let here = Sandbox::new();
    let photo = photo();
    let line = here.good(&["infer", &photo, "--json", "--image-size", "64"]);
    let line: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(line["input"], photo.as_str());
    assert_eq!(line["predictions"].as_array().unwrap().len(), 2);
    let sum: f64 = line["predictions"].as_array().unwrap().iter().map(|p| p["probability"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    let csv = here.good(&["infer", &photo, "--csv", "--top-k", "1", "--image-size", "64"]);
    assert_eq!(csv.lines().count(), 2);
    assert!(csv.starts_with("input,rank,index,label,probability\n"));
    here.good(&["infer", &photo, "--image-size", "64", "--save-features", "f.safetensors", "--output", "p.txt"]);
    let features = std::fs::read(here.path("f.safetensors")).unwrap();
    let features = safetensors::SafeTensors::deserialize(&features).unwrap();
    assert_eq!(features.tensor("features").unwrap().shape(), [1, 1024]);
    assert!(std::fs::read_to_string(here.path("p.txt")).unwrap().contains("safe"));
}

#[test]
fn one_bad_file_among_many_is_skipped() {
    let here = Sandbox::new();
    let text = here.write("text.png", b"not a picture");
    let output = here.run(&["infer", &text.display().to_string(), &photo(), "--json", "--image-size", "64"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("text.png") && said.contains("1 of 2 images"), "{said}");
}

#[test]
fn finetune_evaluate_infer() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    let tune = |run: &str, epochs: &str, more: &[&str]| {
        let options = ["finetune", &data, "--output", run, "--image-size", "32", "--lr", "1e-3", "--epochs", epochs];
        here.good(&[&options, more].concat())
    };
    tune("run", "4", &[]);
    for file in ["model.safetensors", "checkpoint.safetensors", "metrics.jsonl", "config.toml", "curves.svg"] {
        assert!(here.path("run").join(file).is_file(), "{file}");
    }
    let metrics = std::fs::read_to_string(here.path("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 4);
    for line in metrics.lines() {
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let mut keys: Vec<_> = line.keys().map(String::as_str).collect();
        keys.sort_unstable();
        let expected = "epoch images_per_second lr step train_accuracy train_loss val_accuracy val_loss";
        assert_eq!(keys.join(" "), expected);
    }
    // The same again, its features from the cache, gives the same bits.
    let again =
        here.run(&["finetune", &data, "--output", "again", "--image-size", "32", "--lr", "1e-3", "--epochs", "4"]);
    assert!(String::from_utf8(again.stderr).unwrap().contains("are in the cache"));
    let model = |run: &str| std::fs::read(here.path(run).join("model.safetensors")).unwrap();
    assert!(model("run") == model("again"), "two runs with the same seed differ");
    here.bad(1, "already holds a run", &["finetune", &data, "--output", "run"]);

    let report: serde_json::Value =
        serde_json::from_str(&here.good(&["evaluate", &data, "--weights", "run", "--json"])).unwrap();
    assert_eq!(report["count"], 18);
    assert!(report["top1"].as_f64().unwrap() > 0.8 && report["per_class"].as_object().unwrap().len() == 3);
    let image = example("test/7");
    let image = std::fs::read_dir(image).unwrap().next().unwrap().unwrap().path();
    let line = here.good(&["infer", &image.display().to_string(), "--weights", "run", "--json", "--top-k", "3"]);
    assert!(line.contains("\"label\":\"7\""));
}

#[test]
fn bad_input_is_one_sentence() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    let one = here.digits("one", &["3"]);
    here.write("empty/.keep", b"");
    let photo = photo();
    let jpeg = std::fs::read(&photo).unwrap();
    here.write("cut.jpg", &jpeg[..jpeg.len() / 2]);
    here.write("text.png", b"not a picture");
    here.write("cut.safetensors", b"\x40\0\0\0\0\0\0\0{");
    here.bad(1, "nosuch.jpg", &["infer", "nosuch.jpg"]);
    here.bad(1, "cut.jpg", &["infer", "cut.jpg", "--output", "out.txt", "--save-logits", "logits.safetensors"]);
    here.bad(1, "text.png", &["infer", "text.png"]);
    here.bad(1, "cut.safetensors", &["infer", &photo, "--weights", "cut.safetensors"]);
    here.bad(2, "nosuchname", &["infer", &photo, "--weights", "nosuchname"]);
    here.bad(1, "empty", &["finetune", "empty", "--output", "run"]);
    here.bad(1, "one", &["finetune", &one, "--output", "run"]);
    here.bad(1, "nosuchfolder", &["finetune", "nosuchfolder", "--output", "run"]);
    here.bad(4, "no adapter matches", &["--adapter", "nosuchcard", "infer", &photo]);
    here.bad(2, "", &["infer"]);
    here.bad(2, "", &["finetune", &data, "--optimizer", "magic"]);
    here.bad(2, "", &["evaluate", &data]); // classes that the network does not know
}

#[test]
fn misshapen_weights_are_listed() {
    let here = Sandbox::new();
    let weights = gpu_resnet::weights::open(None).unwrap();
    let shape = [7usize];
    let zeros = vec![0f32; 7];
    let names: Vec<String> = weights.names().map(str::to_owned).collect();
    let mut tensors = Vec::new();
    for name in &names {
        if name == "layer1.0.bn1.bias" {
            tensors.push(gpu_resnet::weights::NamedTensor::new(name.as_str(), &shape, zeros.as_slice()));
        } else if name != "layer2.0.conv1.weight" {
            let tensor = weights.tensor_f32(name).unwrap();
            tensors.push(gpu_resnet::weights::NamedTensor::new(name.as_str(), weights.shape(name).unwrap(), tensor));
        }
    }
    let metadata = weights.all_metadata().clone();
    gpu_resnet::weights::save(here.path("odd.safetensors"), &tensors, &metadata).unwrap();
    here.bad(1, "layer1.0.bn1.bias", &["infer", &photo(), "--weights", "odd.safetensors"]);
    here.bad(1, "layer2.0.conv1.weight", &["infer", &photo(), "--weights", "odd.safetensors"]);
}

#[test]
fn no_driver_at_all() {
    let here = Sandbox::new();
    let output = here
        .command()
        .args(["--backend", "vulkan", "infer", &photo()])
        .envs([("VK_DRIVER_FILES", "/nosuch.json"), ("VK_ICD_FILENAMES", "/nosuch.json")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stderr).unwrap().contains("install a Vulkan driver"));
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    let options = ["finetune", &data, "--image-size", "32", "--lr", "1e-3", "--epochs", "400", "--output"];
    here.good(&[&options[..], &["whole"]].concat());
    let mut child = here.command().args(options).arg("cut").stderr(std::process::Stdio::null()).spawn().unwrap();
    let metrics = here.path("cut/metrics.jsonl");
    while std::fs::read_to_string(&metrics).unwrap_or_default().lines().count() < 20 {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the run ended by itself: {status}");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!here.path("cut/model.safetensors").exists(), "the run was not interrupted");
    here.good(&["finetune", "--resume", "cut"]);
    let model = |run: &str| std::fs::read(here.path(run).join("model.safetensors")).unwrap();
    assert!(model("whole") == model("cut"), "the resumed run differs");
}
