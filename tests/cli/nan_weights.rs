//! Weights that are no numbers, values that f16 can't hold, and both at once: each is told apart, in every command that loads a network.

use super::support::{Sandbox, example};
use super::tiny::network;
use gpu_resnet::Classifier;

/// One value of one tensor that is no number.
fn damaged(here: &Sandbox, name: &str, tensor: &str, value: f32) -> String {
    network(here, name, 2, |found, values| {
        if found == tensor {
            values[0] = value;
        }
        // Beyond f16, too.
        if found == "bn1.weight" {
            values.fill(1e6);
        }
    })
}

fn with<'a>(weights: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--weights", weights]].concat()
}

fn sentence(path: &str, tensor: &str) -> String {
    format!("{path}: {tensor} has 1 non-finite values of ")
}

#[test]
fn a_value_that_is_no_number_names_its_tensor_whatever_loads_it() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    let weights = damaged(&here, "net.safetensors", "conv1.weight", f32::NAN);
    let words = sentence(&weights, "conv1.weight");
    for arguments in [
        with(&weights, &["infer", &data, "--output", "p.csv"]),
        // f16 would overflow as well; the weights come first, since no precision helps.
        with(&weights, &["--precision", "f16", "evaluate", &data]),
        with(&weights, &["finetune", &data, "--output", "run"]),
        with(&weights, &["finetune", &data, "--unfreeze", "all", "--epochs", "1", "--output", "run"]),
        with(&weights, &["bench", "--image-size", "16", "--batch-size", "1", "--iterations", "1"]),
        vec!["weights", "convert", &weights, "out.safetensors"],
    ] {
        here.bad(1, &words, &arguments);
    }
}

#[test]
fn the_library_names_the_tensor_too() {
    let here = Sandbox::new();
    for (tensor, value) in [("fc.bias", f32::INFINITY), ("layer1.0.bn1.running_mean", f32::NEG_INFINITY)] {
        let weights = damaged(&here, "net.safetensors", tensor, value);
        let said = match Classifier::open(Some(&weights)) {
            Ok(mut classifier) => {
                let image = std::fs::read_dir(example("train/0")).unwrap().next().unwrap().unwrap().path();
                classifier.classify_file(image).map(|_| ()).unwrap_err().to_string()
            }
            Err(error) => error.to_string(),
        };
        assert!(said.contains(&sentence(&weights, tensor)), "{said}");
    }
}

#[test]
fn training_that_overflows_f16_is_sent_to_f32() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    // Running statistics do not undo the scale.
    let weights = network(&here, "net.safetensors", 2, |name, values| {
        if name == "bn1.weight" {
            values.fill(1e6);
        }
    });
    let run = ["finetune", &data, "--unfreeze", "all", "--bn", "eval", "--epochs", "1", "--batch-size", "8"];
    let run = [&run[..], &["--weights", &weights, "--output", "run", "--precision"]].concat();
    let output = here.run(&[&run[..], &["f16"]].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    if output.status.code() == Some(4) {
        assert!(told.contains("has no f16; use --precision f32"), "{told}");
        return;
    }
    assert!(output.status.code() == Some(1) && told.contains("use --precision f32"), "{told}");
    assert!(!told.contains("non-finite values") && !here.path("run/model.safetensors").exists(), "{told}");
}
