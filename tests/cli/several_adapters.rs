//! Training on several adapters: `--adapter 0,0` is a driver's device twice.

use super::support::{Sandbox, json_lines, listing};
use super::tiny;

const TRAIN: [&str; 14] = [
    "--arch",
    "resnet20",
    "--image-size",
    "8",
    "--val-split",
    "0",
    "--batch-size",
    "4",
    "--lr-schedule",
    "constant",
    "--adapter",
    "0,0",
    "--lr",
    "0.05",
];

#[test]
fn a_network_is_trained_on_two_adapters_and_goes_on_after_a_kill() {
    let here = Sandbox::new();
    here.digits("data", &["0", "1"]);
    let summary = here.good(&[&["train", "data", "-o", "whole", "--json", "--epochs", "2"], &TRAIN[..]].concat());
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let adapters = summary["adapters"].as_array().unwrap();
    assert_eq!(adapters.iter().map(|a| a["images"].as_u64().unwrap()).collect::<Vec<_>>(), [16, 8]);
    assert!(adapters[0]["name"] == adapters[1]["name"] && adapters[1]["waiting"].as_f64().unwrap() >= 0.0);
    let config = std::fs::read_to_string(here.path("whole/config.toml")).unwrap();
    assert!(config.contains("adapters = ["), "{config}");
    let metrics = json_lines(&std::fs::read_to_string(here.path("whole/metrics.jsonl")).unwrap());
    assert_eq!((metrics[1]["step"].as_u64(), metrics[1]["adapters"].as_array().map(Vec::len)), (Some(4), Some(2)));
    let report = std::fs::read_to_string(here.path("whole/report.html")).unwrap();
    assert!(report.contains("Waiting for slower ones"), "the report does not show the adapters");

    // Killed in a later epoch, it goes on to the same bits.
    let mut killed = here.command();
    killed.args(["train", "data", "-o", "killed"]).args(TRAIN).args(["--epochs", "200"]);
    let mut killed = killed.stderr(std::process::Stdio::null()).spawn().unwrap();
    let metrics = here.path("killed/metrics.jsonl");
    while !std::fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() >= 2) {
        assert!(killed.try_wait().unwrap().is_none(), "the run ended early");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let done = std::fs::read_to_string(&metrics).unwrap().lines().count() as u64 + 1;
    let epochs = done.to_string();
    // The killed process left its lock and perhaps a file that it was writing, which whoever comes next removes.
    std::fs::remove_file(here.path("killed/.lock")).unwrap();
    here.write("killed/.gpu-resnet-0123456789abcdef.part", b"a checkpoint's beginn");
    here.bad(
        2,
        "killed is a run on 2 adapters, not on 1 adapter, and a step has a batch for each; name as many by --adapter, as in \
         --adapter 0,1",
        &["train", "--resume", "killed", "--epochs", &epochs],
    );
    here.good(&["train", "--resume", "killed", "--epochs", &epochs, "--adapter", "0,0"]);
    assert!(listing(&here.path("killed")).iter().all(|path| path.extension().is_none_or(|end| end != "part")));
    here.good(&[&["train", "data", "-o", "straight", "--epochs", &epochs], &TRAIN[..]].concat());
    let model = |run: &str| std::fs::read(here.path(run).join("model.safetensors")).unwrap();
    assert!(model("killed") == model("straight"), "the run differs after it was killed");
}

#[test]
fn the_upper_part_and_a_head_are_trained_on_two_adapters() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    tiny::network(&here, "net.safetensors", 2, |_, _| ());
    let common =
        ["--weights", "net.safetensors", "--val-split", "0.34", "--epochs", "2", "--lr", "0.01", "--batch-size", "2"];
    let tune = |run: &str, more: &[&str]| {
        here.good(&[&["finetune", &data, "-o", run, "--no-tuning"], &common[..], more].concat());
        std::fs::read(here.path(run).join("model.safetensors")).unwrap()
    };
    let upper = ["--unfreeze", "all", "--ema", "0.9", "--clip-grad-norm", "1"];
    let two = tune("two", &[&upper[..], &["--adapter", "0", "--adapter", "0"]].concat());
    let one = tune("one", &upper);
    assert!(two != one, "two adapters made the steps of one");
    let config = std::fs::read_to_string(here.path("two/config.toml")).unwrap();
    assert!(config.contains("adapters = [") && config.contains("unfreeze = \"all\""), "{config}");
    // A head's features are computed by both, and it is trained on the first: the same bits.
    assert!(tune("head-two", &["--adapter", "0,0"]) == tune("head-one", &[]));
}
