//! `--precision f16` where networks are trained, listed and measured.

use super::support::{Sandbox, json_lines};
use super::tiny;

/// What an adapter without f16 says.
const NONE: &str = "has no f16; use --precision f32";

/// The arguments of a run in f16 over `network`, which is small.
fn options<'a>(data: &'a str, network: &'a str, epochs: &'a str, output: &'a str) -> Vec<&'a str> {
    let start = ["--precision", "f16", "finetune", data, "--weights", network, "--epochs", epochs, "--output", output];
    let more =
        ["--unfreeze", "layer2", "--bn", "train", "--batch-size", "5", "--lr", "0.01", "--lr-schedule", "constant"];
    [&start[..], &more[..]].concat()
}

/// Whether the adapter has f16, by what it says about a run.
fn able(here: &Sandbox, arguments: &[&str]) -> bool {
    let output = here.run(arguments);
    if output.status.success() {
        return true;
    }
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(NONE) && output.status.code() == Some(4), "{said}");
    false
}

#[test]
fn a_run_in_f16_tells_so_and_goes_on_to_the_same_bits() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    let network = tiny::network(&here, "tiny.safetensors", 2, |_, _| {});
    if !able(&here, &options(&data, &network, "2", "whole")) {
        assert!(!here.path("whole").exists());
        return;
    }
    let json = here.good(&[options(&data, &network, "1", "part"), vec!["--json"]].concat());
    let said: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&said["precision"], &said["loss_scale"], &said["skipped_steps"]),
        (&"f16".into(), &65536.0.into(), &0.into())
    );
    let read = |path: &str| std::fs::read_to_string(here.path(path)).unwrap();
    assert_eq!(json_lines(&read("part/metrics.jsonl"))[0]["loss_scale"], 65536.0);
    assert!(read("part/config.toml").contains("precision = \"f16\""));
    assert!(read("part/report.html").contains("scale of the loss, in f16"));
    here.bad(
        2,
        "is a run of --precision f16, not of --precision f32",
        &["finetune", "--resume", "part", "--precision", "f32"],
    );
    // The run's own precision, said again or not.
    here.good(&["finetune", "--resume", "part", "--epochs", "2"]);
    let model = |run: &str| std::fs::read(here.path(run).join("model.safetensors")).unwrap();
    let last = |run: &str| std::fs::read(here.path(run).join("checkpoint.safetensors")).unwrap();
    assert!(last("part") == last("whole") && model("part") == model("whole"), "a run differs after it was resumed");
    // The checkpoint of another precision is not the run's.
    let config = read("part/config.toml").replace("precision = \"f16\"\n", "");
    here.write("part/config.toml", config.as_bytes());
    here.bad(1, "its network is", &["finetune", "--resume", "part", "--epochs", "3"]);
}

#[test]
fn a_scale_that_can_not_be_is_refused() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    let network = tiny::network(&here, "tiny.safetensors", 2, |_, _| {});
    if !able(&here, &options(&data, &network, "1", "run")) {
        return;
    }
    let file = here.path("run/checkpoint.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    for bad in ["NaN", "0.0", "-2", "3.0", "inf"] {
        // The header is JSON, padded with blanks at its end.
        let at = bytes.windows(20).position(|window| window == b"\"loss_scale\":\"65536\"").unwrap() + 14;
        let mut changed = bytes.clone();
        changed[at..at + 5].copy_from_slice(format!("{bad:0<5}").as_bytes());
        let text = changed[at..at + 5].to_vec();
        std::fs::write(&file, &changed).unwrap();
        let words = if bad == "3.0" || bad == "0.0" { "is invalid" } else { "loss_scale" };
        let words = if text == b"-2000" { "is invalid" } else { words };
        here.bad(1, words, &["finetune", "--resume", "run", "--epochs", "2"]);
    }
}

#[test]
fn kernels_of_f16_training_are_listed_and_heads_have_none() {
    let here = Sandbox::new();
    let no = "--train head has no kernels for --precision f16";
    here.bad(2, no, &["--precision", "f16", "bench", "--train", "head"]);
    here.bad(2, no, &["--precision", "f16", "kernels", "--train", "head"]);
    let list = ["--precision", "f16", "kernels", "--arch", "resnet20", "--train", "all", "--batch-size", "2", "--json"];
    if !able(&here, &list) {
        here.bad(4, NONE, &["--precision", "f16", "tune", "--train", "--arch", "resnet20"]);
        return;
    }
    let found: serde_json::Value = serde_json::from_str(&here.good(&list)).unwrap();
    let names: Vec<&str> = found["kernels"].as_array().unwrap().iter().map(|k| k["name"].as_str().unwrap()).collect();
    for part in
        ["batch_norm_backward_f16", "conv2d_backward_weight", "loss_scale.unscale", "global_avg_pool_backward_f16"]
    {
        assert!(names.iter().any(|name| name.starts_with(part)), "{part}: {names:?}");
    }
    let f32_alone = ["cross_entropy", "linear", "loss_scale", "adam", "sum_partials", "winograd"];
    let others = |name: &&&str| !name.contains("_f16") && !f32_alone.iter().any(|start| name.starts_with(start));
    let others: Vec<_> = names.iter().filter(others).collect();
    // What multiplies at Winograd's points has maps of f32.
    assert!(others.iter().all(|name| name.starts_with("conv2d_")), "{others:?}");
    let bench = ["bench", "--arch", "resnet20", "--iterations", "1", "--batch-size", "2", "--train", "all", "--json"];
    let run = |precision| -> serde_json::Value {
        serde_json::from_str(&here.good(&[&["--precision", precision], &bench[..]].concat())).unwrap()
    };
    let (half, exact) = (&run("f16")["runs"][0], &run("f32")["runs"][0]);
    assert_eq!(half["precision"], "f16");
    let bytes = |run: &serde_json::Value| run["activation_bytes"].as_f64().unwrap();
    assert!(bytes(half) < 0.7 * bytes(exact), "{} of {}", bytes(half), bytes(exact));
}
