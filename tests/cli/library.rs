//! The library gives what the program gives: the same predictions, the same run.

use std::path::Path;

use gpu_resnet::train::Unfreeze;
use gpu_resnet::{Classifier, FineTune};

use super::support::{Sandbox, example, json_lines, listing};
use super::tiny;

#[test]
fn a_classifier_says_what_infer_says() {
    let here = Sandbox::new();
    let network = tiny::network(&here, "net.safetensors", 3, |_, _| {});
    let images: Vec<_> = std::fs::read_dir(example("test/7")).unwrap().take(3).map(|f| f.unwrap().path()).collect();
    let mut arguments: Vec<String> = images.iter().map(|path| path.display().to_string()).collect();
    arguments.extend(["--weights", &network, "--json", "--top-k", "2", "--batch-size", "1"].map(String::from));
    let arguments: Vec<&str> = std::iter::once("infer").chain(arguments.iter().map(String::as_str)).collect();
    let lines = json_lines(&here.good(&arguments));
    let mut classifier = Classifier::builder().weights(&network).batch_size(1).open().unwrap();
    assert_eq!(lines.len(), 3);
    for (path, line) in images.iter().zip(&lines) {
        let said = serde_json::to_value(classifier.classify_file(path).unwrap().top(2)).unwrap();
        assert_eq!(said, line["predictions"]);
    }
}

#[test]
fn a_classifier_measures_what_evaluate_measures() {
    let here = Sandbox::new();
    let (data, network) = (example("test").display().to_string(), "resnet20-digits");
    let printed = here.good(&["evaluate", &data, "--weights", network, "--json"]);
    let accuracy = Classifier::open(Some(network)).unwrap().evaluate(&data).unwrap();
    assert_eq!((accuracy.count, accuracy.per_class.len()), (360, 10));
    assert!(accuracy.top1 > 0.95);
    assert_eq!(serde_json::to_string_pretty(&accuracy).unwrap(), printed.trim_end());
}

/// The files of a run with their bytes. The folder's name and the speed of each epoch, which differ, are left out.
fn contents(run: &Path) -> Vec<(String, Vec<u8>)> {
    let name = run.file_name().unwrap().to_string_lossy().into_owned();
    let strip = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        match path.extension().is_some_and(|end| end == "jsonl") {
            false => bytes,
            true => {
                let lines = json_lines(&String::from_utf8(bytes).unwrap()).into_iter().map(|mut line| {
                    line.as_object_mut().unwrap().remove("images_per_second");
                    line.to_string()
                });
                lines.collect::<Vec<_>>().join("\n").into_bytes()
            }
        }
    };
    // The page shows the folder and the speed.
    let is_compared = |path: &&std::path::PathBuf| {
        !path.ends_with("report.html") && !path.ends_with(".lock") && !run.join(path).is_dir()
    };
    let files = listing(run);
    assert!(files.iter().any(|path| path.ends_with("report.html")), "{name} has no report");
    let bytes = files
        .iter()
        .filter(is_compared)
        .map(|path| (path.strip_prefix(run).unwrap().display().to_string(), strip(path)));
    bytes.collect()
}

#[test]
fn fine_tuning_makes_the_folder_of_the_command() {
    let here = Sandbox::new();
    let (data, weights) = (here.digits("data", &["0", "7"]), tiny::network(&here, "net.safetensors", 3, |_, _| {}));
    for (name, more, part) in [("head", &[][..], Unfreeze::Head), ("all", &["--unfreeze", "all"], Unfreeze::All)] {
        let (by_command, by_library) = (here.path(&format!("{name}-command")), here.path(&format!("{name}-library")));
        let output = by_command.display().to_string();
        let options = ["finetune", &data, "--weights", &weights, "--epochs", "2", "--lr", "1e-3", "--output", &output];
        here.good(&[&options, more].concat());
        let job = FineTune::new(&data).weights(&weights).epochs(2).lr(1e-3).unfreeze(part);
        job.run(&by_library).unwrap();
        let (command, library) = (contents(&by_command), contents(&by_library));
        let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&command), names(&library));
        assert!(command.len() >= 4);
        for ((file, a), (_, b)) in command.iter().zip(&library) {
            assert!(a == b, "{name}: {file} differs");
        }
    }
}
