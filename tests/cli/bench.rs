//! `bench`: the keys that scripts read, and what it refuses.

use super::support::{Sandbox, keys};

const FAST: [&str; 5] = ["bench", "--arch", "resnet20", "--iterations", "2"];

#[test]
fn json_has_the_documented_keys() {
    let here = Sandbox::new();
    let run = |more: &[&str]| -> serde_json::Value {
        serde_json::from_str(&here.good(&[&FAST, more, &["--json"]].concat())).unwrap()
    };
    let found = run(&["--batch-size", "1,2", "--profile"]);
    assert_eq!(keys(&found), "adapter peaks runs");
    assert_eq!(keys(&found["peaks"]), "gbps gflops");
    let common = "activation_bytes arch batch_size dispatches fraction_of_peak gflops image_size images_per_second \
                  iterations largest_cut_bytes mode ms_per_image peak_bytes precision";
    let runs = found["runs"].as_array().unwrap();
    assert_eq!(runs.iter().map(|run| run["batch_size"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for run in runs {
        assert_eq!(keys(run), format!("{common} profile submits"));
        let words = [&run["arch"], &run["mode"], &run["precision"]].map(|word| word.as_str().unwrap());
        assert_eq!(words, ["resnet20", "infer", "f32"]);
        let profile = &run["profile"];
        assert!(["timestamps", "wall"].contains(&profile["timed_by"].as_str().unwrap()));
        assert_eq!(profile["kernels"].as_array().unwrap().len() as u64, run["dispatches"].as_u64().unwrap());
        assert_eq!(keys(&profile["kernels"][0]), "fraction_of_roofline gbps gflops kernel label ms");
    }
    for (part, expected) in [
        ("head", common.replace("dispatches", "dispatch_us dispatches") + " submits train"),
        ("all", common.replace("peak_bytes", "parts peak_bytes") + " submits train"),
    ] {
        let found = run(&["--batch-size", "2", "--train", part]);
        assert_eq!(keys(&found["runs"][0]), expected);
        if part == "all" {
            let parts = "backward_ms_per_image forward_ms_per_image inference_ms_per_image";
            assert_eq!(keys(&found["runs"][0]["parts"]), parts);
        }
        assert_eq!((&found["runs"][0]["mode"], &found["runs"][0]["train"]), (&"train".into(), &part.into()));
    }
}

#[test]
fn the_table_names_the_network_and_its_kernels() {
    let here = Sandbox::new();
    let table = here.good(&[&FAST[..], &["--batch-size", "1", "--profile"]].concat());
    for word in ["peaks:", "resnet20", "inference", "layer3.2.conv2", "global_avg_pool", "of roofline"] {
        assert!(table.contains(word), "{word:?} is not in {table}");
    }
    let table = here.good(&[&FAST[..], &["--batch-size", "1", "--ops"]].concat());
    assert!(table.contains("weight grad") && table.contains("layer3.0.conv1"), "{table}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let here = Sandbox::new();
    here.bad(2, "no architecture named", &["bench", "--arch", "vgg16"]);
    here.bad(2, "", &["bench", "--batch-size", "0"]);
    here.bad(2, "", &["bench", "--arch", "resnet20", "--weights", "x.safetensors"]);
    here.bad(1, "x.safetensors", &["bench", "--weights", "x.safetensors"]);
}

#[test]
fn the_cases_of_verify_can_be_timed() {
    let here = Sandbox::new();
    let found: serde_json::Value =
        serde_json::from_str(&here.good(&["bench", "--ops", "^relu count=[0-9]{1,3}( |$)", "--json"])).unwrap();
    let cases = found["cases"].as_array().unwrap();
    assert!(cases.len() > 5, "{found}");
    for case in cases {
        assert_eq!(keys(case), "case gbps gflops ms");
        assert!(case["case"].as_str().unwrap().starts_with("relu ") && case["ms"].as_f64().unwrap() > 0.0, "{case}");
    }
    here.bad(2, "no case is left", &["bench", "--ops", "^nothing"]);
}
