//! What is wrong with the input is said in one sentence, with the right exit status, and nothing is left behind.

use super::support::{Sandbox, photo};

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
fn outputs_that_cannot_be_written_are_known_at_once() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    let photo = photo();
    here.write("file", b"");
    for option in ["--output", "--save-logits", "--save-features"] {
        here.bad(
            1,
            "nosuch/out: could not be written: there is no folder nosuch",
            &["infer", &photo, option, "nosuch/out"],
        );
        here.bad(1, "data: is a folder", &["infer", &photo, option, "data"]);
    }
    here.bad(2, "named as two outputs", &["infer", &photo, "--output", "p", "--save-logits", "p"]);
    here.write("image", &std::fs::read(&photo).unwrap());
    here.bad(2, "image is both input and output", &["infer", "data", "image", "--output", "./image"]);
    here.bad(1, "nosuch/c.csv", &["evaluate", &data, "--confusion", "nosuch/c.csv"]);
    here.bad(1, "nosuch/g.png", &["data", "grid", &data, "-o", "nosuch/g.png"]);
    here.bad(2, "end its name in .png", &["data", "grid", &data, "-o", "g.jpg"]);
    here.bad(1, "file: is a file", &["finetune", &data, "--output", "file"]);
    let output = here.run(&["finetune", &data, "--output", "file/run"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("file/run: can't be made"), "{said}");
    assert!(!said.contains("training features"), "found out only after the work was done: {said}");
}

#[test]
fn numbers_that_make_no_sense_are_wrong_usage() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    for (option, value, words) in [
        ("--lr", "-1", "learning rate of -1"),
        ("--lr", "nan", "learning rate of NaN"),
        ("--label-smoothing", "2", "label_smoothing is 2"),
        ("--val-split", "1", "--val-split 1"),
        ("--epochs", "0", "0 is not in"),
        ("--batch-size", "0", "0 is not in"),
        ("--image-size", "7", "7 is not in"),
    ] {
        here.bad(2, words, &["finetune", &data, option, value, "--output", "run"]);
    }
}

#[test]
fn damaged_runs_are_refused() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    here.good(&["finetune", &data, "--recipe", "notes", "--image-size", "32", "--output", "run"]);
    let checkpoint = std::fs::read(here.path("run/checkpoint.safetensors")).unwrap();
    here.write("run/checkpoint.safetensors", &checkpoint[..checkpoint.len() / 2]);
    here.bad(1, "checkpoint.safetensors: is not a checkpoint", &["finetune", "--resume", "run"]);
    here.write("run/checkpoint.safetensors", &checkpoint);
    let model = std::fs::read(here.path("run/model.safetensors")).unwrap();
    here.write("run/model.safetensors", &model[..model.len() - 1]);
    here.bad(1, "model.safetensors: is damaged", &["infer", &photo(), "--weights", "run"]);
    here.write("run/config.toml", b"training = 3");
    here.bad(1, "config.toml: is not the settings of a run", &["finetune", "--resume", "run"]);
    here.bad(1, "nosuch: is not a run yet; the first time, leave --resume out", &["finetune", "--resume", "nosuch"]);
    here.bad(1, "data: is a folder without model.safetensors", &["infer", &photo(), "--weights", "data"]);
}

#[test]
fn a_cache_that_cannot_be_used_is_no_failure() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    let blocked = here.write("file", b"");
    let mut command = here.command();
    let command = command.env("GPU_RESNET_CACHE", blocked);
    let output =
        command.args(["finetune", &data, "--recipe", "notes", "--image-size", "32", "-o", "run"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("the features could not be kept"), "{said}");
}
