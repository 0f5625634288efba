//! `train`, and `finetune` of more than a head.

use super::support::{Sandbox, json_lines, keys};

/// A network that trains in a moment.
fn options<'a>(data: &'a str, epochs: &'a str, output: &'a str) -> Vec<&'a str> {
    let network = ["--arch", "resnet20", "--image-size", "16", "--batch-size", "5", "--lr", "0.02"];
    let more = ["--augment", "cifar,jitter", "--ema", "0.9", "--clip-grad-norm", "5", "--warmup-epochs", "1"];
    [&["train", data, "--epochs", epochs, "--output", output], &network[..], &more[..]].concat()
}

fn model(here: &Sandbox, run: &str) -> Vec<u8> {
    std::fs::read(here.path(run).join("model.safetensors")).unwrap()
}

#[test]
fn train_evaluate_infer() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    let said = here.good(&[options(&data, "3", "run"), vec!["--log-gradients", "--json"]].concat());
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(said["train_loss"].as_f64().unwrap() > 0.0 && said["val_accuracy"].is_f64(), "{said}");
    for file in ["model.safetensors", "checkpoint.safetensors", "metrics.jsonl", "config.toml", "curves.svg"] {
        assert!(here.path("run").join(file).is_file(), "{file}");
    }
    let metrics = json_lines(&std::fs::read_to_string(here.path("run/metrics.jsonl")).unwrap());
    let expected =
        "block_gradients epoch grad_norm images_per_second lr step train_accuracy train_loss val_accuracy val_loss";
    assert!(metrics.iter().all(|line| keys(line) == expected));
    assert_eq!(metrics[2]["block_gradients"].as_array().unwrap().len(), 9);
    assert_eq!(metrics[2]["block_gradients"][0]["block"], "layer1.0");
    // The same seed gives the same bits, and logging changes none.
    here.good(&options(&data, "3", "again"));
    assert!(model(&here, "run") == model(&here, "again"), "two runs with the same seed differ");
    here.good(&[options(&data, "3", "less"), vec!["--recompute", "blocks"]].concat());
    assert!(model(&here, "run") == model(&here, "less"), "computing blocks again changed the result");
    here.good(&[options(&data, "3", "other"), vec!["--seed", "1"]].concat());
    assert!(model(&here, "run") != model(&here, "other"), "another seed changed nothing");

    let report: serde_json::Value =
        serde_json::from_str(&here.good(&["evaluate", &data, "--weights", "run", "--json"])).unwrap();
    assert_eq!(report["count"], 18);
    let line = here.good(&["infer", &format!("{data}/7"), "--weights", "run", "--json", "--top-k", "3"]);
    assert_eq!(line.lines().count(), 6);
    let about = here.good(&["weights", "inspect", "run/model.safetensors"]);
    assert!(about.contains("resnet20"), "{about}");
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    use std::process::{Command, Stdio};
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    here.good(&options(&data, "8", "whole"));
    // At the very start, between two epochs, and wherever it is after a while.
    for (run, epochs, signal) in [("a", 0, "KILL"), ("b", 2, "KILL"), ("c", 3, "INT"), ("d", 5, "KILL")] {
        let mut command = here.command();
        let command = command.args(options(&data, "8", run)).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let file = here.path(run).join(if epochs == 0 { "config.toml" } else { "metrics.jsonl" });
        while !file.exists() || std::fs::read_to_string(&file).unwrap_or_default().lines().count() < epochs {
            assert!(child.try_wait().unwrap().is_none(), "{run} ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        assert!(Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", child.id())).status().unwrap().success());
        let status = child.wait().unwrap();
        assert!(!status.success(), "{run} was not stopped");
        here.good(&["train", "--resume", run]);
        assert!(model(&here, "whole") == model(&here, run), "run {run} differs after it was resumed");
        let metrics = std::fs::read_to_string(here.path(run).join("metrics.jsonl")).unwrap();
        assert_eq!(metrics.lines().count(), 8, "{run}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    let train = |more: &[&'static str]| [vec!["train"], vec![data.as_str()], more.to_vec()].concat();
    here.bad(2, "resnet20", &train(&["--arch", "resnet21"]));
    here.bad(2, "has no shortcuts", &train(&["--arch", "plain20", "--shortcut", "zero-pad"]));
    here.bad(2, "can't decay by 2", &train(&["--arch", "resnet20", "--ema", "2"]));
    here.bad(
        2,
        "--warmup-epochs",
        &train(&["--arch", "resnet20", "--lr-schedule", "one-cycle", "--warmup-epochs", "1"]),
    );
    here.bad(2, "takes no --momentum", &train(&["--arch", "resnet20", "--optimizer", "adam", "--momentum", "0.5"]));
    here.bad(2, "add --unfreeze", &["finetune", &data, "--ema", "0.9"]);
    here.bad(2, "no layer9", &["finetune", &data, "--unfreeze", "layer9", "--image-size", "32"]);
    here.good(&[options(&data, "1", "run"), vec!["--quiet"]].concat());
    here.bad(1, "is a run of `gpu-resnet train`; continue it with", &["finetune", "--resume", "run"]);
    here.bad(1, "already holds a run", &options(&data, "1", "run"));
}

#[test]
fn an_unreadable_image_is_left_out() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    here.write("data/7/broken.png", b"\x89PNG\r\n\x1a\nnot really");
    let output = here.run(&[options(&data, "1", "run"), vec!["--val-split", "0"]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("broken.png") && said.contains("1 image could not be read"), "{said}");
    assert!(here.path("run/model.safetensors").is_file());
}

#[test]
fn finetune_an_upper_part() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    let tune = |run: &str, more: &[&str]| {
        let options = ["finetune", &data, "--output", run, "--image-size", "32", "--epochs", "2", "--batch-size", "8"];
        here.good(&[&options, more].concat())
    };
    tune("eval", &["--unfreeze", "layer4"]);
    tune("train", &["--unfreeze", "layer4", "--bn", "train", "--augment", "flip"]);
    tune("notes", &["--recipe", "notes", "--bn", "train"]);
    tune("head", &["--augment", "crop"]);
    let pretrained = gpu_resnet::weights::open(None).unwrap();
    for (run, stage4, statistics) in
        [("eval", true, false), ("train", true, true), ("notes", false, true), ("head", false, false)]
    {
        let changed = |name: &str| {
            let (_, found) = here.tensor(&format!("{run}/model.safetensors"), name);
            found[..] != pretrained.tensor_f32(name).unwrap()[..]
        };
        assert!(
            !changed("conv1.weight") && !changed("layer3.5.conv3.weight") && !changed("layer3.0.bn1.bias"),
            "{run}"
        );
        assert_eq!(changed("layer4.0.conv1.weight"), stage4, "{run}");
        assert_eq!(changed("bn1.running_mean"), statistics, "{run}");
        assert_eq!(here.tensor(&format!("{run}/model.safetensors"), "fc.weight").0, [3, 1024], "{run}");
    }
    let config: toml::Table =
        toml::from_str(&std::fs::read_to_string(here.path("notes/config.toml")).unwrap()).unwrap();
    assert_eq!(config["network"]["bn"].as_str(), Some("train"));
    assert_eq!(config["training"]["lr"].as_float(), Some(1e-4));
    here.good(&["finetune", "--resume", "eval", "--epochs", "3"]);
    here.good(&["infer", &format!("{data}/0"), "--weights", "eval"]);
}

#[test]
fn a_network_of_our_own_knows_the_digits() {
    let here = Sandbox::new();
    let held_out = super::support::example("test").display().to_string();
    let report = here.good(&["evaluate", &held_out, "--weights", "resnet20-digits", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["count"], 360);
    assert!(report["top1"].as_f64().unwrap() > 0.99, "{report}");
}
