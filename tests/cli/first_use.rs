//! The first use of an adapter: what is measured and kept, and what runs keep for themselves. Software drivers measure nothing by themselves;
//! `GPU_RESNET_TUNE=first` has them.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use super::support::{Sandbox, photo};

fn first(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.command().env("GPU_RESNET_TUNE", "first").args(arguments).output().unwrap()
}

fn good(output: &Output) -> (String, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), said)
}

/// The files of choices under `folder`.
fn choices(sandbox: &Sandbox, folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sandbox.path(folder).join("tuning")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Has all choices name `algorithm`.
fn choose(path: &PathBuf, algorithm: &str) {
    let mut file = read(path);
    for (_, choice) in file["choices"].as_object_mut().unwrap() {
        choice["algorithm"] = algorithm.into();
    }
    std::fs::write(path, file.to_string()).unwrap();
}

#[test]
fn the_first_inference_keeps_choices_and_the_next_ones_take_them() {
    let sandbox = Sandbox::new();
    let photo = photo();
    let infer = ["infer", &photo, "--image-size", "16", "--json"];
    // Software drivers measure nothing unless they are told to, and nobody does who wants the defaults.
    let (plain, _) = good(&sandbox.run(&infer));
    good(&first(&sandbox, &[&infer[..], &["--no-tuning"]].concat()));
    assert!(choices(&sandbox, "cache").is_empty());
    let started = std::time::Instant::now();
    good(&first(&sandbox, &infer));
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    let [file] = &choices(&sandbox, "cache")[..] else { panic!("no file of choices") };
    let kept = read(file);
    let all = kept["choices"].as_object().unwrap();
    assert!(all.len() >= 10 && all.values().all(|choice| choice["first_use"] == true), "{kept}");
    assert!(all.keys().all(|key| key.starts_with("forward f32 ")), "{kept}");
    // A choice that is there is taken and not measured again.
    choose(file, "register");
    let changed = std::fs::read(file).unwrap();
    let (taken, said) = good(&first(&sandbox, &infer));
    assert!(!said.contains("first use"), "{said}");
    assert_eq!(std::fs::read(file).unwrap(), changed);
    let (untuned, _) = good(&first(&sandbox, &[&infer[..], &["--no-tuning"]].concat()));
    assert_eq!(untuned, plain);
    let by_register = sandbox.command().env("GPU_RESNET_CONV2D", "register").args(infer).output().unwrap();
    assert_eq!(taken, good(&by_register).0);
    // What `tune` chose wins: nothing is measured beside it.
    let mut tuned = kept.clone();
    let some = tuned["choices"].as_object_mut().unwrap();
    let one = some.keys().next().unwrap().clone();
    some.retain(|key, _| *key == one);
    some[&one].as_object_mut().unwrap().remove("first_use");
    std::fs::write(file, tuned.to_string()).unwrap();
    good(&first(&sandbox, &infer));
    assert_eq!(read(file), tuned);
}

#[test]
fn a_run_goes_on_with_its_own_choices() {
    let sandbox = Sandbox::new();
    let data = sandbox.digits("data", &["0", "1"]);
    let train = |run: &str, more: &[&str]| {
        let arguments = [
            "train",
            &data,
            "--arch",
            "resnet20",
            "--image-size",
            "8",
            "--batch-size",
            "4",
            "--val-split",
            "0",
            "--lr-schedule",
            "constant",
        ];
        good(&first(&sandbox, &[&arguments[..], &["--output", run], more].concat()))
    };
    train("whole", &["--epochs", "2"]);
    train("parts", &["--epochs", "1"]);
    let [file] = &choices(&sandbox, "cache")[..] else { panic!("no file of choices") };
    assert!(read(file)["choices"].as_object().unwrap().keys().any(|key| key.starts_with("by weight ")));
    let [own] = &choices(&sandbox, "parts")[..] else { panic!("the run keeps no choices") };
    assert_eq!(read(own)["choices"], read(file)["choices"]);
    // The adapter's choices change in the meantime, as `tune` would change them; the run's do not.
    choose(file, "register");
    let resume =
        |run: &str, more: &[&str]| first(&sandbox, &[&["train", "--resume", run, "--epochs", "2"], more].concat());
    good(&resume("parts", &[]));
    let weights = |run: &str| std::fs::read(sandbox.path(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("parts"), weights("whole"));
    // A run that has none of its own follows nobody else's; one that has some can't do without.
    let said = String::from_utf8(resume("parts", &["--no-tuning"]).stderr).unwrap();
    assert!(said.contains("is a run with tuned kernels") && said.contains("leave --no-tuning out"), "{said}");
    train("plain", &["--epochs", "1", "--no-tuning"]);
    let [own] = &choices(&sandbox, "plain")[..] else { panic!("the run keeps no choices") };
    assert_eq!(read(own)["choices"], serde_json::json!({}));
    let (_, said) = good(&resume("plain", &["-v"]));
    assert!(!said.contains("tuned choices"), "{said}");
    // Choices of another adapter or program can't be followed, which is said.
    let mut foreign = read(own);
    foreign["made_for"]["driver_info"] = "another".into();
    std::fs::write(own, foreign.to_string()).unwrap();
    let (_, said) = good(&first(&sandbox, &["train", "--resume", "plain", "--epochs", "3"]));
    assert!(said.contains("bits may differ"), "{said}");
}
