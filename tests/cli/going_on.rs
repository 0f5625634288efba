//! What a run goes on with: its own classes and images, signals that are ignored, names that are not UTF-8, leftovers.

use std::path::{Path, PathBuf};

use super::support::Sandbox;
use super::tiny;

const TRAIN: [&str; 10] =
    ["--arch", "resnet20", "--image-size", "8", "--val-split", "0", "--epochs", "1", "--batch-size", "8"];
const HEAD: [&str; 6] = ["--weights", "net.safetensors", "--recipe", "notes", "--val-split", "0"];

fn swap(here: &Sandbox, a: &str, b: &str) {
    let rename = |from: &str, to: &str| std::fs::rename(here.path(from), here.path(to)).unwrap();
    rename(a, "swap");
    rename(b, a);
    rename("swap", b);
}

fn model(here: &Sandbox, run: &str) -> Vec<u8> {
    std::fs::read(here.path(run).join("model.safetensors")).unwrap()
}

fn first_image(folder: PathBuf) -> PathBuf {
    let mut images: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    images.sort();
    images.swap_remove(0)
}

/// Checks that a run of `command` goes on with its own classes and images only.
fn goes_on_with_its_own(here: &Sandbox, command: &str, options: &[&str]) {
    here.good(&[&[command, "data", "-o", "run"], options].concat());
    let good = model(here, "run");
    let go_on = [command, "--resume", "run", "--epochs", "2"];
    let rename = |from: &str, to: &str| std::fs::rename(here.path(from), here.path(to)).unwrap();
    rename("data/1", "data/7");
    here.bad(1, "run: began with other classes (`1` then, `7` now)", &go_on);
    // A run from before names were kept has them in its network.
    let config = std::fs::read_to_string(here.path("run/config.toml")).unwrap();
    let old: String = config
        .lines()
        .filter(|line| !line.starts_with("classes =") && !line.starts_with("images ="))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(old.len() < config.len(), "{config}");
    here.write("run/config.toml", old.as_bytes());
    here.bad(1, "run: began with other classes (`1` then, `7` now)", &go_on);
    here.write("run/config.toml", config.as_bytes());
    rename("data/7", "data/1");
    swap(here, "data/0", "data/1");
    here.bad(1, "run: began with other images", &go_on);
    swap(here, "data/0", "data/1");
    assert!(model(here, "run") == good, "a run that was refused changed its network");
    here.good(&go_on);
}

#[test]
fn a_head_goes_on_with_its_own_classes_and_images() {
    let here = Sandbox::new();
    here.digits("data", &["0", "1"]);
    tiny::network(&here, "net.safetensors", 2, |_, _| ());
    goes_on_with_its_own(&here, "finetune", &HEAD);
    // Another image under the same name.
    let image = first_image(here.path("data/1"));
    std::fs::copy(first_image(here.path("data/0")), image).unwrap();
    here.bad(1, "run: began with other images", &["finetune", "--resume", "run", "--epochs", "9"]);
    here.bad(
        1,
        "run: is a run of `gpu-resnet finetune`; continue it with `gpu-resnet finetune --resume run`",
        &["train", "--resume", "run"],
    );
}

#[test]
fn a_network_goes_on_with_its_own_classes_and_images() {
    let here = Sandbox::new();
    here.digits("data", &["0", "1"]);
    goes_on_with_its_own(&here, "train", &TRAIN);
    // What a killed process left half-written goes; what another process writes stays.
    let left = here.write("run/.gpu-resnet-a1b2c3.part", b"half");
    let written = here.write("run/.gpu-resnet-d4e5f6.part", b"half");
    let file = std::fs::File::open(&written).unwrap();
    file.lock().unwrap();
    here.good(&["train", "--resume", "run", "--epochs", "2"]);
    assert!(!left.exists() && written.exists());
}

#[test]
fn numbers_are_said_as_they_were_given() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    tiny::network(&here, "net.safetensors", 2, |_, _| ());
    let mean = ["--mean", "0.485,0.456,0.406"];
    here.good(&[&["finetune", &data, "-o", "run"], &HEAD[..], &mean].concat());
    let words = "run is a run of --mean 0.485,0.456,0.406, not of --mean 0.1,0.2,0.3";
    here.bad(2, words, &["finetune", "--resume", "run", "--mean", "0.1,0.2,0.3"]);
}

#[test]
fn runs_deep_in_the_data_are_no_classes() {
    let here = Sandbox::new();
    let data = here.digits("photos", &["0", "1"]);
    tiny::network(&here, "photos/net.safetensors", 2, |_, _| ());
    for _ in 0..2 {
        let arguments = [&["finetune", ".", "-o", "deep/er/mine"], &HEAD[..]].concat();
        let output = here.command().current_dir(&data).args(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::rename(here.path("photos/deep/er/mine"), here.path("photos/deep/er/first")).unwrap_or_default();
    }
    std::fs::write(here.path("photos/deep/er/first/curves.svg"), "").unwrap();
    let output = here.run(&["infer", &data, "--weights", "photos/net.safetensors"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !said.contains("svg"), "{said}");
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::io::{BufRead, BufReader};
    use std::os::unix::ffi::OsStrExt;
    use std::process::{Child, Command, Output, Stdio};

    use super::*;

    fn signal(child: &Child, name: &str) {
        let kill = format!("kill -{name} {}", child.id());
        assert!(Command::new("sh").arg("-c").arg(kill).status().unwrap().success());
    }

    /// Runs `command` and sends it `name` once it has counted its images; with what it was then told.
    fn with_signal(command: &mut Command, name: &str) -> (Output, String) {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut said: String = lines.by_ref().take_while(|line| !line.contains("to train on")).collect();
        signal(&child, name);
        lines.for_each(|line| said += &format!("{line}\n"));
        (child.wait_with_output().unwrap(), said)
    }

    #[test]
    fn signals_that_are_ignored_stay_ignored() {
        let here = Sandbox::new();
        here.digits("data", &["0", "1"]);
        tiny::network(&here, "net.safetensors", 2, |_, _| ());
        let program = env!("CARGO_BIN_EXE_gpu-resnet");
        for (name, status) in [("HUP", 0), ("INT", 0), ("TERM", 130)] {
            // As `nohup` and a shell's background jobs begin.
            let script = format!("trap '' HUP INT; exec \"{program}\" \"$@\"");
            let mut command = Command::new("sh");
            command.args(["-c", &script, "sh", "finetune", "data", "-o", name]).args(HEAD);
            command.current_dir(here.path("")).env("GPU_RESNET_CACHE", here.path("cache"));
            let (output, said) = with_signal(&mut command, name);
            assert_eq!(output.status.code(), Some(status), "{name}: {said}");
        }
        // A hang-up that is not ignored is an orderly stop, of a resumed run too.
        let mut command = here.command();
        command.args(["finetune", "--resume", "HUP", "--epochs", "9"]);
        let (output, said) = with_signal(&mut command, "HUP");
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert_eq!(said.matches("continue with `gpu-resnet finetune --resume HUP`").count(), 1, "{said}");
    }

    #[test]
    fn names_need_not_be_utf8() {
        let here = Sandbox::new();
        here.digits("data", &["0", "1"]);
        let bytes = |name: &'static [u8]| OsStr::from_bytes(name);
        let weights = here.path("net.safetensors");
        tiny::network(&here, "net.safetensors", 2, |_, _| ());
        let odd = weights.with_file_name(bytes(b"m\xe9.safetensors"));
        if std::fs::copy(&weights, &odd).is_err() {
            return; // The file system has no such names.
        }
        let run = |arguments: &[&OsStr]| {
            let output = here.command().args(arguments).output().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (train, data, output) = (OsStr::new("train"), OsStr::new("data"), bytes(b"-or\xfcn"));
        let split = [OsStr::new("--json"), OsStr::new("--val-split"), OsStr::new("0.5")];
        let options: Vec<&OsStr> = TRAIN.iter().filter(|o| !["--val-split", "0"].contains(o)).map(OsStr::new).collect();
        let (status, said) = run(&[&[train, data, output], &options[..], &split].concat());
        assert_eq!(status, Some(0), "{said}");
        let (infer, image) = (OsStr::new("infer"), first_image(here.path("data/0")));
        let (status, said) = run(&[infer, image.as_os_str(), OsStr::new("--weights"), bytes(b"r\xfcn")]);
        assert_eq!(status, Some(0), "{said}");
        let words = ["weights", "inspect", "--json"].map(OsStr::new);
        assert_eq!(run(&[&words[..], &[odd.as_os_str()]].concat()).0, Some(0));
        let converted = [OsStr::new("weights"), OsStr::new("convert"), odd.as_os_str(), bytes(b"c\xe9.safetensors")];
        assert_eq!(run(&converted).0, Some(0));
        let finetune = ["finetune", "data", "-o", "head", "--weights"].map(OsStr::new);
        let (status, said) = run(&[&finetune[..], &[odd.as_os_str()]].concat());
        assert!(status == Some(1) && said.contains("has a path that is not UTF-8"), "{said}");
        assert!(!Path::new(&here.path("head")).exists());
    }
}
