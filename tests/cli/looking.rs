//! Commands that only look: at adapters, weights and data sets.

use super::support::{Sandbox, keys};

#[test]
fn devices_lists_what_each_adapter_can_run() {
    let here = Sandbox::new();
    let devices: serde_json::Value = serde_json::from_str(&here.good(&["devices", "--json"])).unwrap();
    let devices = devices.as_array().unwrap();
    let table = here.good(&["devices"]);
    assert!(!devices.is_empty());
    for (i, device) in devices.iter().enumerate() {
        assert_eq!(device["index"], i);
        assert!(device["max_binding_bytes"].as_u64().unwrap() > 0 && !device["driver"].is_null());
        assert!(table.contains(&format!("{i}: {}", device["name"].as_str().unwrap())), "{table}");
        let (cores, by) = (&device["cores"]["count"], device["cores"]["by"].as_str().unwrap());
        assert!(cores.as_u64().unwrap() > 0 && table.contains(&format!("cores        {cores} (by {by})")), "{table}");
        let used = &device["conv2d"];
        let variants = device["variants"].as_array().unwrap();
        assert!(variants.iter().any(|v| v["op"] == "conv2d" && &v["variant"] == used && v["supported"] == true));
        assert!(variants.iter().all(|v| (v["supported"] == false) == v["reason"].is_string()), "{variants:?}");
    }
}

#[test]
fn weights_inspect_describes_the_built_in_network() {
    let here = Sandbox::new();
    let found: serde_json::Value = serde_json::from_str(&here.good(&["weights", "inspect", "--json"])).unwrap();
    let text = here.good(&["weights", "inspect"]);
    assert!(found["problems"].as_array().unwrap().is_empty(), "{found}");
    assert!(text.contains("727a58a92d1270b8885bac2f9283ae7e8cd88d18eeb813f15e46e9f9b7f74087"), "{text}");
}

#[test]
fn a_grid_has_a_row_for_each_class() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    here.good(&["data", "grid", &data, "-o", "g.png", "--columns", "5", "--cell", "16"]);
    let image = gpu_resnet::data::decode_file(&here.path("g.png")).unwrap();
    // Cells of 16 pixels with 2 between and around them.
    assert_eq!((image.width, image.height), (5 * 18 + 2, 3 * 18 + 2));
    assert!(image.pixels.iter().any(|&p| p > 200));
    let again = std::fs::read(here.path("g.png")).unwrap();
    here.good(&["data", "grid", &data, "-o", "g.png", "--columns", "5", "--cell", "16"]);
    assert!(again == std::fs::read(here.path("g.png")).unwrap(), "the same seed draws other images");
}

#[test]
fn a_grid_can_show_what_training_sees() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    let grid = |name: &str, more: &[&str]| {
        let columns = ["data", "grid", &data, "--columns", "6", "--cell", "8", "-o", name];
        here.good(&[&columns[..], more].concat());
        gpu_resnet::data::decode_file(&here.path(name)).unwrap().pixels
    };
    let plain = grid("plain.png", &[]);
    // The digits are 8 x 8: what evaluation sees at that size is the images themselves.
    assert!(
        plain == grid("none.png", &["--augment", "none"])
            && plain != grid("4.png", &["--augment", "none", "--image-size", "4"])
    );
    let cifar = grid("cifar.png", &["--augment", "cifar"]);
    assert!(cifar != plain && cifar == grid("again.png", &["--augment", "cifar"]));
    assert!(cifar != grid("seed.png", &["--augment", "cifar", "--seed", "1"]));
    for bad in ["mixup", "crop,imagenet", "flip=2"] {
        let output = here.run(&["data", "grid", &data, "--augment", bad, "-o", "x.png"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && said.contains("--augment") && !here.path("x.png").exists(),
            "{said}"
        );
    }
}

#[test]
fn data_inspect_counts() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    let found: serde_json::Value = serde_json::from_str(&here.good(&["data", "inspect", &data, "--json"])).unwrap();
    assert_eq!((&found["images"], &found["classes"]), (&18.into(), &3.into()));
    assert_eq!((keys(&found["per_class"]).as_str(), &found["per_class"]["7"]), ("0 1 7", &6.into()));
    assert!(found["held_out"].is_null() && found["warnings"].as_array().unwrap().is_empty(), "{found}");
    assert!(here.good(&["data", "inspect", &data]).starts_with("18 images of 3 classes\n"));
    here.write("data/7/broken.png", b"not a picture");
    assert!(here.good(&["data", "inspect", &data]).contains("\nwarning: 1 image can't be read"));
    let quick: serde_json::Value =
        serde_json::from_str(&here.good(&["data", "inspect", &data, "--quick", "--json"])).unwrap();
    assert_eq!((&quick["images"], quick["warnings"].as_array().unwrap().len()), (&19.into(), 0));
}

#[test]
fn every_command_has_help_with_an_example() {
    let here = Sandbox::new();
    for command in [
        "infer",
        "finetune",
        "evaluate",
        "devices",
        "bench",
        "op",
        "gradients",
        "weights inspect",
        "data grid",
        "data inspect",
    ] {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        let help = here.good(&arguments);
        assert!(help.contains(&format!("gpu-resnet {command}")) && help.contains("Example"), "{help}");
    }
    assert!(here.good(&["--version"]).starts_with("gpu-resnet "));
}
