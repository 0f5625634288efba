//! Results that are not finite numbers are errors, never answers.

use super::support::{Sandbox, json_lines};
use super::tiny::{input, network};

/// A classifier whose sums overflow.
fn overflow(name: &str, values: &mut [f32]) {
    if name == "fc.weight" {
        values.fill(3e38);
    }
}

fn unchanged(_: &str, _: &mut [f32]) {}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn weights_that_are_too_large_are_named_and_nothing_is_answered() {
    let here = Sandbox::new();
    let weights = network(&here, "large.safetensors", 2, overflow);
    let data = here.digits("data", &["0", "1"]);
    let words = "its logits are not finite numbers: the weights of";
    let files = ["--output", "p.parquet", "--save-logits", "l.safetensors", "--save-features", "f.parquet"];
    let infer =
        [&["infer", &data, "--weights", &weights, "--threshold", "0.5", "--grad-cam", "maps"], &files[..]].concat();
    here.bad(1, "12 of 12 images gave no answer; nothing was written", &infer);
    let output = here.run(&["infer", &data, "--weights", &weights, "--json"]);
    let told = said(&output);
    assert!(output.stdout.is_empty() && told.matches(words).count() == 12, "{told}");
    assert!(told.contains("0000.png") && told.contains("(fc.weight holds 3e38)"), "{told}");
    // Not an accuracy that counts class 0 as the answer.
    let evaluate = ["evaluate", &data, "--weights", &weights, "--confusion", "c.csv"];
    here.bad(1, words, &evaluate);
    assert!(here.run(&evaluate).stdout.is_empty());
}

#[test]
fn one_bad_image_among_many_is_left_out_of_every_file() {
    let here = Sandbox::new();
    let weights = network(&here, "net.safetensors", 2, unchanged);
    let image = 3 * 16 * 16;
    let mut images = vec![0.5f32; 3 * image];
    images[image..2 * image].fill(3e38);
    input(&here, "x.safetensors", &images);
    let infer =
        ["infer", "--tensor", "x.safetensors", "--weights", &weights, "--json", "--save-logits", "l.safetensors"];
    let output = here.run(&infer);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("error: x.safetensors#1: its logits are not finite numbers: f32 ends at 3.4e38"), "{told}");
    assert!(told.contains("error: 1 of 3 images gave no answer; the others are done"), "{told}");
    let lines = json_lines(&String::from_utf8(output.stdout).unwrap());
    let names: Vec<&str> = lines.iter().map(|line| line["input"].as_str().unwrap()).collect();
    assert_eq!(names, ["x.safetensors#0", "x.safetensors#2"]);
    let (shape, logits) = here.tensor("l.safetensors", "logits");
    assert!(shape == [2, 2] && logits[..2] == logits[2..] && logits.iter().all(|x| x.is_finite()), "{logits:?}");
}

#[test]
fn what_f16_cannot_hold_is_sent_to_f32() {
    let here = Sandbox::new();
    let scale = |name: &str, values: &mut [f32]| {
        if name.starts_with("bn1") && !name.contains("running") {
            values.iter_mut().for_each(|value| *value = 1e6);
        }
    };
    let weights = network(&here, "net.safetensors", 2, scale);
    let data = here.digits("data", &["0", "1"]);
    here.good(&["infer", &data, "--weights", &weights]);
    let words = "f16 ends at 65504, and";
    for command in [&["infer", &data, "--json"][..], &["evaluate", &data], &["finetune", &data, "--output", "run"]] {
        let output = here.run(&[&["--precision", "f16"], command, &["--weights", &weights]].concat());
        let told = said(&output);
        if output.status.code() == Some(4) {
            assert!(told.contains("has no f16; use --precision f32"), "{told}");
            return;
        }
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{command:?}: {told}");
        assert!(told.contains(words) && told.contains("exceeds it; use --precision f32"), "{told}");
    }
    // Features that are not finite are kept nowhere.
    assert!(!here.path("run").exists() && !here.path("cache/features").exists());
}

#[test]
fn a_run_without_a_finite_validation_loss_fails() {
    let here = Sandbox::new();
    // Training normalises by each batch's own statistics, validation by the running ones, which overflow when they are folded.
    let running = |name: &str, values: &mut [f32]| match name {
        "bn1.running_mean" => values.fill(-3e38),
        "bn1.running_var" => values.fill(1e-12),
        _ => {}
    };
    let weights = network(&here, "net.safetensors", 2, running);
    let data = here.digits("data", &["0", "1"]);
    let run = ["finetune", &data, "--weights", &weights, "--unfreeze", "all", "--bn", "train", "--epochs", "2"];
    let output = here.run(&[&run[..], &["--batch-size", "8", "--val-split", "0.3", "--output", "run"]].concat());
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("error: training: the validation loss was not finite after any of 2 epochs"), "{told}");
    assert!(told.contains("epoch   1: loss ") && told.contains(", validation loss not finite\n"), "{told}");
    let metrics = std::fs::read_to_string(here.path("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.matches("\"val_loss\":null,\"val_accuracy\":null").count(), 2, "{metrics}");
    assert!(!here.path("run/model.safetensors").exists(), "a network was kept");
}

#[test]
fn gradients_are_written_as_they_come_out() {
    let here = Sandbox::new();
    let weights = network(&here, "large.safetensors", 2, overflow);
    let values = vec![100f32; 2 * 3 * 16 * 16];
    let shape = [2, 3, 16, 16];
    let input = gpu_resnet::weights::NamedTensor::new("input", &shape, values.as_slice());
    let target = gpu_resnet::weights::RawTensor {
        name: "target".into(),
        dtype: gpu_resnet::weights::Dtype::I64,
        shape: vec![2].into(),
        bytes: vec![0; 16].into(),
    };
    let tensors = [gpu_resnet::weights::RawTensor::from(&input), target];
    gpu_resnet::weights::write_safetensors(here.path("x.safetensors"), &tensors, &Default::default()).unwrap();
    let output =
        here.run(&["gradients", "--weights", &weights, "--input", "x.safetensors", "--output", "g.safetensors"]);
    let told = said(&output);
    assert!(output.status.success() && told.contains("the loss or a logit is not a finite number"), "{told}");
    let bytes = std::fs::read(here.path("g.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let loss = file.tensor("loss").unwrap();
    let loss = f32::from_le_bytes(loss.data().try_into().unwrap());
    assert!(!loss.is_finite(), "{loss}");
}
