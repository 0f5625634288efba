//! Networks whose file does not say everything: what is assumed and said, what options say, and what a run keeps of it.

use std::path::Path;

use gpu_resnet::weights::{self, Origin, Overrides, Weights};

use super::support::{Sandbox, photo};

fn checkpoint(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/checkpoints").join(name).display().to_string()
}

fn said(here: &Sandbox, arguments: &[&str]) -> String {
    let output = here.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_is_assumed_is_said_once_and_not_where_all_is_known() {
    let here = Sandbox::new();
    let weights = checkpoint("trainer.pth");
    let infer = ["infer", &photo(), "--weights", &weights];
    let line = "assumed, since nothing says it: no pool after the 3x3 stem, batch norm epsilon 1e-5, ImageNet's mean, ImageNet's std, resize 32";
    let words = said(&here, &infer);
    assert_eq!(words.matches(line).count(), 1, "{words}");
    assert!(!said(&here, &[&infer[..], &["--quiet"]].concat()).contains("assumed"));
    // What changes the numbers also changes the answer.
    let plain = here.good(&[&infer[..], &["--json"]].concat());
    let other = here.good(&[&infer[..], &["--json", "--mean", "0.1,0.2,0.3", "--set", "bn_eps=0.1"]].concat());
    assert_ne!(plain, other);
    for wrong in [
        ["--mean", "1,2"],
        ["--mean", "123,116,103"],
        ["--set", "eps=1"],
        ["--interpolation", "nearest"],
        ["--crop", "0"],
    ] {
        here.bad(2, wrong[0], &[&infer[..], &wrong].concat());
    }
    here.bad(1, "no.json", &[&infer[..], &["--architecture", "no.json"]].concat());
    here.write("bad.json", br#"{"block":"basic"}"#);
    here.bad(2, "depths", &[&infer[..], &["--architecture", "bad.json"]].concat());
}

#[test]
fn a_network_without_a_head_gives_features_and_takes_a_head() {
    let here = Sandbox::new();
    let weights = checkpoint("headless.pth");
    let infer = ["infer", &photo(), "--weights", &weights];
    here.bad(1, "has no head", &infer);
    here.bad(1, "has no head", &[&infer[..], &["--save-features", "f.safetensors", "--json"]].concat());
    here.bad(1, "has no head", &["evaluate", "data", "--weights", &weights]);
    assert_eq!(here.good(&[&infer[..], &["--save-features", "f.safetensors"]].concat()), "");
    let (shape, features) = here.tensor("f.safetensors", "features");
    let whole = checkpoint("trainer.pth");
    here.good(&["infer", &photo(), "--weights", &whole, "--save-features", "g.safetensors"]);
    assert_eq!((shape, &features), (vec![1, 4], &here.tensor("g.safetensors", "features").1));
    // Converted, it still has none.
    here.good(&["weights", "convert", &weights, "c.safetensors"]);
    here.bad(1, "has no head", &["infer", &photo(), "--weights", "c.safetensors"]);
    let data = here.digits("data", &["0", "1"]);
    here.good(&["finetune", &data, "--weights", &weights, "--lr", "0.01", "--epochs", "1", "--output", "run"]);
    assert!(here.good(&["infer", &photo(), "--weights", "run"]).contains('%'));
}

#[test]
fn a_run_and_a_conversion_keep_what_options_said() {
    let here = Sandbox::new();
    let weights = checkpoint("several.pth");
    let data = here.digits("data", &["0", "1"]);
    let options =
        ["--weights-key", "state_dict_ema", "--set", "bn_eps=0.01", "--mean", "0.1,0.2,0.3", "--std", "0.5,0.5,0.5"];
    let sizes = ["--resize", "20", "--crop", "16", "--interpolation", "bicubic"];
    let options = [&options[..], &sizes].concat();
    let keeps = |file: &str, assumed: &[&str]| {
        let weights = Weights::open(here.path(file)).unwrap();
        let found = weights::describe(&weights, &Overrides::default()).unwrap();
        let preprocess = &found.preprocess;
        assert_eq!(
            (found.architecture.bn_eps, preprocess.mean, preprocess.crop),
            (0.01, [0.1, 0.2, 0.3], 16),
            "{file}"
        );
        let not_said: Vec<&str> =
            found.origins.iter().filter(|(_, o)| **o != Origin::File).map(|(key, _)| *key).collect();
        assert_eq!(not_said, assumed, "{file}");
        weights.tensor_f32("conv1.weight").unwrap().to_vec()
    };
    here.bad(1, "--weights-key", &["weights", "convert", &weights, "c.safetensors"]);
    let convert = ["weights", "convert", &weights, "c.safetensors"];
    here.good(&[&convert[..], &options].concat());
    let converted = keeps("c.safetensors", &["stem.pool"]);
    let run = ["finetune", &data, "--weights", &weights, "--lr", "0.01", "--epochs", "1", "--output", "run"];
    let first = said(&here, &[&run[..], &options].concat());
    let line = "assumed, since nothing says it: no pool after the 3x3 stem; --set changes it\n";
    assert!(first.contains(line) && !first.contains("left"), "{first}");
    assert_eq!(keeps("run/model.safetensors", &[]), converted);
    here.bad(2, "--mean", &["finetune", "--resume", "run", "--mean", "0,0,0"]);
    let resumed = said(&here, &["finetune", "--resume", "run", "--epochs", "2"]);
    assert!(resumed.contains("continuing after epoch 1"), "{resumed}");
    assert_eq!(keeps("run/model.safetensors", &[]), converted);
    assert!(!said(&here, &["infer", &photo(), "--weights", "run"]).contains("assumed"));
}
