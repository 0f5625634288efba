//! Data sets as people have them, through the built program: names that are bytes, numbers for classes, ImageNet's folders.

use gpu_resnet::model::{Architecture, BlockKind, StemKind};
use gpu_resnet::weights::{self, NamedTensor};

use super::support::{Sandbox, example};

/// Two images of each of `digits`, in folders of the names beside them.
fn folders(here: &Sandbox, data: &str, digits: &[(&str, &str)]) {
    for (digit, name) in digits {
        let from = example(&format!("train/{digit}"));
        let mut files: Vec<_> = std::fs::read_dir(from).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        for (i, file) in files.iter().take(2).enumerate() {
            here.write(&format!("{data}/{name}/{i}.png"), &std::fs::read(file).unwrap());
        }
    }
}

/// A small network of 1,000 outputs, with or without ImageNet's names for them.
fn thousand(here: &Sandbox, name: &str, labels: Option<&[String]>) {
    let architecture = Architecture::new(BlockKind::Basic, &[1, 1, 1], StemKind::Cifar).unwrap().with_classes(1000);
    let hashed = weights::hash_weights(&architecture).unwrap();
    let names: Vec<String> = hashed.names().filter(|name| !name.ends_with("tracked")).map(str::to_owned).collect();
    let tensor =
        |name: &String| NamedTensor::new(name.clone(), hashed.shape(name).unwrap(), hashed.tensor_f32(name).unwrap());
    let tensors: Vec<NamedTensor> = names.iter().map(tensor).collect();
    let metadata = weights::metadata(&architecture, labels, None).unwrap();
    weights::save(here.path(name), &tensors, &metadata).unwrap();
}

#[cfg(unix)]
#[test]
fn names_that_are_bytes_come_out_as_they_went_in() {
    use std::ffi::OsStr;
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    let here = Sandbox::new();
    folders(&here, "in", &[("7", "a")]);
    let name = OsStr::from_bytes(b"in/a/caf\xe9.png");
    std::fs::rename(here.path("in/a/0.png"), here.path("").join(name)).unwrap();
    let run = |form: &str| {
        let mut command = here.command();
        command.args(["infer", "in/a/c*.png", "-", form, "--top-k", "1", "--weights", "resnet20-digits"]).arg(name);
        let piped = std::process::Stdio::piped;
        let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"in/a/caf\xe9.png\0in/a/1.png\0").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let csv = run("--csv");
    let starts = |line: &&[u8]| line.starts_with(b"in/a/caf\xe9.png,1,7,7,");
    assert_eq!(csv.split(|&b| b == b'\n').filter(starts).count(), 3, "{}", String::from_utf8_lossy(&csv));
    let json = String::from_utf8(run("--json")).unwrap();
    assert_eq!(json.matches("{\"input\":\"in/a/caf\u{fffd}.png\",").count(), 3, "{json}");
}

#[test]
fn a_network_is_measured_on_its_classes_whatever_their_order() {
    let here = Sandbox::new();
    folders(&here, "plain", &[("1", "1"), ("7", "7")]);
    // As pandas writes numbers, with the other class first.
    let rows = ["7/0", "7/1", "1/0", "1/1"].map(|file| format!("{}.0,plain/{file}.png\n", &file[..1]));
    here.write("list.csv", format!("label,image\n{}", rows.concat()).as_bytes());
    let measure = |data: &str| here.good(&["evaluate", data, "--weights", "resnet20-digits", "--json"]);
    let plain = measure("plain");
    let report: serde_json::Value = serde_json::from_str(&plain).unwrap();
    assert_eq!((&report["count"], &report["top1"]), (&4.into(), &1.0.into()), "{plain}");
    let loss = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["loss"].as_f64().unwrap();
    let list = measure("list.csv");
    assert!(list.contains("\"top1\": 1.0") && (loss(&list) - loss(&plain)).abs() < 1e-9, "{list}");
    folders(&here, "odd", &[("1", "01"), ("7", "7")]);
    let words = "`01` differs from the known `1` only in how the number is written";
    here.bad(2, words, &["evaluate", "odd", "--weights", "resnet20-digits"]);
}

#[test]
fn imagenets_folders_are_its_outputs() {
    let here = Sandbox::new();
    let labels = weights::imagenet_labels();
    thousand(&here, "named.safetensors", Some(&labels));
    thousand(&here, "bare.safetensors", None);
    folders(&here, "synsets", &[("1", "n02123045"), ("7", "n15075141")]);
    folders(&here, "numbers", &[("1", "281"), ("7", "999")]);
    folders(&here, "words", &[("1", "tabby"), ("7", "toilet tissue")]);
    let measure = |data: &str, weights: &str| here.good(&["evaluate", data, "--weights", weights, "--json"]);
    let by_synset = measure("synsets", "named.safetensors");
    assert!(by_synset.contains("\"tabby\":") && by_synset.contains("\"toilet tissue\":"), "{by_synset}");
    for data in ["numbers", "words"] {
        assert_eq!(measure(data, "named.safetensors"), by_synset, "{data}");
    }
    let bare = by_synset.replace("tabby", "281").replace("toilet tissue", "999");
    assert_eq!(measure("synsets", "bare.safetensors"), bare);
    here.write("labels.txt", labels.join("\n").as_bytes());
    let named = ["evaluate", "words", "--weights", "bare.safetensors", "--labels", "labels.txt", "--json"];
    assert_eq!(here.good(&named), by_synset);
    folders(&here, "strange", &[("1", "n02123045"), ("7", "n99999999")]);
    here.bad(2, "`n99999999`", &["evaluate", "strange", "--weights", "named.safetensors"]);
}

#[test]
fn the_number_of_each_class_is_shown_and_its_order_said() {
    let here = Sandbox::new();
    let names: Vec<String> = (0..12).map(|i| i.to_string()).collect();
    let digits: Vec<(&str, &str)> = names.iter().map(|name| ("3", name.as_str())).collect();
    folders(&here, "data", &digits);
    let text = here.good(&["data", "inspect", "data", "--quick"]);
    assert!(text.contains("\n       2         2  2\n") && text.contains("\n      11         2  11\n"), "{text}");
    assert!(text.contains("torchvision's ImageFolder numbers them as text (0, 1, 10, …)"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&here.good(&["data", "inspect", "data", "--quick", "--json"])).unwrap();
    assert_eq!((&json["class_names"][10], &json["per_class"]["10"]), (&"10".into(), &2.into()));
    // Training says it before it looks for a device.
    let output = here.run(&["--adapter", "nosuchcard", "finetune", "data", "-o", "run"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(4) && said.contains("(0, 1, 2, …)"), "{said}");

    // A run of the time when numbers were text is not gone on with in another order.
    let small = ["--recipe", "notes", "--epochs", "1", "--weights", "resnet20-digits", "-o", "run"];
    here.good(&[&["finetune", "data"], &small[..]].concat());
    let config = std::fs::read_to_string(here.path("run/config.toml")).unwrap();
    assert!(config.contains("numbers_by_value = true"), "{config}");
    here.write("run/config.toml", config.replace("numbers_by_value = true\n", "").as_bytes());
    here.bad(1, "start a new run", &["finetune", "--resume", "run", "--epochs", "2"]);
}

#[cfg(unix)]
#[test]
fn data_that_a_run_could_not_find_again_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let here = Sandbox::new();
    folders(&here, "data", &[("1", "1"), ("7", "7")]);
    let name = std::ffi::OsStr::from_bytes(b"d\xe9");
    std::fs::rename(here.path("data"), here.path("").join(name)).unwrap();
    let output = here.command().arg("finetune").arg(name).args(["-o", "run"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("config.toml can't keep it; rename it"), "{said}");
    let output = here.command().args(["data", "inspect"]).arg(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
