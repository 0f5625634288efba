//! `finetune`, and what `evaluate` and `infer` make of a run.

use super::support::{Sandbox, example, json_lines, keys};

#[test]
fn finetune_evaluate_infer() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    let tune = |run: &str, epochs: &str, more: &[&str]| {
        let options = ["finetune", &data, "--output", run, "--image-size", "32", "--lr", "1e-3", "--epochs", epochs];
        here.good(&[&options, more].concat())
    };
    tune("run", "4", &[]);
    for file in
        ["model.safetensors", "checkpoint.safetensors", "metrics.jsonl", "config.toml", "curves.svg", "report.html"]
    {
        assert!(here.path("run").join(file).is_file(), "{file}");
    }
    let metrics = std::fs::read_to_string(here.path("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 4);
    for line in metrics.lines() {
        let expected = "epoch images_per_second lr step train_accuracy train_loss val_accuracy val_loss";
        assert_eq!(keys(&serde_json::from_str(line).unwrap()), expected);
    }
    // The same again, its features from the cache, gives the same bits.
    let again =
        here.run(&["finetune", &data, "--output", "again", "--image-size", "32", "--lr", "1e-3", "--epochs", "4"]);
    assert!(String::from_utf8(again.stderr).unwrap().contains("are in the cache"));
    let model = |run: &str| std::fs::read(here.path(run).join("model.safetensors")).unwrap();
    assert!(model("run") == model("again"), "two runs with the same seed differ");
    here.bad(1, "already holds a run", &["finetune", &data, "--output", "run"]);

    let report: serde_json::Value =
        serde_json::from_str(&here.good(&["evaluate", &data, "--weights", "run", "--json"])).unwrap();
    assert_eq!((keys(&report).as_str(), &report["count"]), ("count loss per_class top1 top5", &18.into()));
    assert!(report["top1"].as_f64().unwrap() > 0.8 && report["per_class"].as_object().unwrap().len() == 3);
    let image = example("test/7");
    let image = std::fs::read_dir(image).unwrap().next().unwrap().unwrap().path();
    let line = here.good(&["infer", &image.display().to_string(), "--weights", "run", "--json", "--top-k", "3"]);
    assert!(line.contains("\"label\":\"7\""));
}

#[test]
fn the_notes_recipe() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    let said = here.good(&["finetune", &data, "--recipe", "notes", "--image-size", "32", "--output", "run", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let config: toml::Table = toml::from_str(&std::fs::read_to_string(here.path("run/config.toml")).unwrap()).unwrap();
    assert_eq!((config["chosen"]["lr"].as_float(), config["chosen"]["epochs"].as_integer()), (Some(1e-4), Some(5)));
    assert_eq!(config["training"]["optimizer"]["name"].as_str(), Some("adam"));
    assert_eq!(config["training"]["batch_size"].as_integer(), Some(32));
    let metrics = json_lines(&std::fs::read_to_string(here.path("run/metrics.jsonl")).unwrap());
    assert_eq!(metrics.iter().map(|m| m["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(metrics.iter().all(|m| m["lr"] == 1e-4));
    assert_eq!((&said["epoch"], &said["train_loss"]), (&5.into(), &metrics[4]["train_loss"]));
}

#[test]
fn auto_says_what_it_chose() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    here.good(&["finetune", &data, "--image-size", "32", "--output", "run"]);
    let config: toml::Table = toml::from_str(&std::fs::read_to_string(here.path("run/config.toml")).unwrap()).unwrap();
    let trials = config["chosen"]["sweep"].as_array().unwrap();
    let lowest = trials.iter().map(|t| t["val_loss"].as_float().unwrap()).fold(f64::MAX, f64::min);
    let best = trials.iter().find(|t| t["val_loss"].as_float() == Some(lowest)).unwrap();
    assert_eq!((trials.len(), &config["chosen"]["lr"]), (5, &best["lr"]));
}

#[test]
fn confusion_matrices_add_up() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    here.good(&["finetune", &data, "--recipe", "notes", "--image-size", "32", "--output", "run"]);
    here.good(&["evaluate", &data, "--weights", "run", "--confusion", "c.csv", "--confusion-picture", "c.svg"]);
    let csv = std::fs::read_to_string(here.path("c.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["true\\predicted", "0", "1", "7"]);
    for (row, label) in rows[1..].iter().zip(["0", "1", "7"]) {
        assert_eq!((row[0], row[1..].iter().map(|n| n.parse::<usize>().unwrap()).sum::<usize>()), (label, 6));
    }
    assert!(std::fs::read_to_string(here.path("c.svg")).unwrap().starts_with("<svg"));
}

#[test]
fn bad_images_are_left_out() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    here.write("data/0/zzz.png", b"not a picture");
    let output =
        here.run(&["finetune", &data, "--recipe", "notes", "--val-split", "0", "--image-size", "32", "-o", "run"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1)
            && said.contains("zzz.png")
            && said.contains("error: 1 image could not be read"),
        "{said}"
    );
    let metrics = json_lines(&std::fs::read_to_string(here.path("run/metrics.jsonl")).unwrap());
    assert!(metrics[0]["val_loss"].is_null() && metrics.len() == 5);
    let output = here.run(&["evaluate", &data, "--weights", "run", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["count"]), (Some(1), &12.into()));
}

#[test]
fn a_report_shows_mistakes_and_is_safe_to_open() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    std::fs::rename(here.path("data/1"), here.path("data/<u>&\"1")).unwrap();
    let common = ["finetune", &data, "--val", &data, "--image-size", "32", "--epochs", "2", "--lr", "1e-6"];
    let networks: [&[&str]; 2] = [&["-o", "head", "--tensorboard"], &["-o", "all", "--unfreeze", "layer4"]];
    for more in networks {
        let said = here.good(&[&common[..], more, &["--json"]].concat());
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let page = std::fs::read_to_string(here.path(more[1]).join("report.html")).unwrap();
        let accuracy = said["val_accuracy"].as_f64().unwrap();
        assert!(page.contains(&format!("Validation accuracy {:.2} %", accuracy * 100.0)), "{accuracy}");
        let wrong = ((1.0 - accuracy) * 18.0).round() as usize;
        assert!(wrong > 0 && page.contains(&format!("{wrong} of 18 validation images")), "{accuracy}");
        assert_eq!(page.matches("src=\"data:image/png;base64,").count(), wrong);
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.contains("&lt;u&gt;&amp;") && page.contains("unfreeze = "));
        for forbidden in ["<script", "<u>", "http-equiv", "<link", "@import", "src=\"http"] {
            assert!(!page.contains(forbidden), "the page holds {forbidden}");
        }
    }
    let events = |run: &str| {
        let files = std::fs::read_dir(here.path(run)).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
        files.filter(|name| name.starts_with("events.out.tfevents.")).collect::<Vec<_>>()
    };
    assert_eq!((events("head").len(), events("all").len()), (1, 0));
    let bytes = std::fs::read(here.path("head").join(&events("head")[0])).unwrap();
    assert_eq!(bytes.windows(10).filter(|w| w == b"loss/train").count(), 2);
}

#[test]
fn small_classes_can_be_shown_as_often_as_large_ones() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1", "7"]);
    for i in 1..6 {
        // Of `1` one image is left.
        let files: Vec<_> = std::fs::read_dir(here.path("data/1")).unwrap().map(|f| f.unwrap().path()).collect();
        std::fs::remove_file(&files[0]).unwrap();
        assert_eq!(files.len(), 7 - i);
    }
    let common =
        ["finetune", &data, "--val-split", "0", "--image-size", "32", "--epochs", "2", "--lr", "1e-3", "--seed", "3"];
    let networks: [&[&str]; 2] = [&[], &["--unfreeze", "layer4"]];
    for (number, more) in networks.iter().enumerate() {
        let run = |name: &str, balance: &[&str]| {
            let name = format!("{name}{number}");
            here.good(&[&common[..], more, balance, &["-o", &name]].concat());
            let read = |file: &str| std::fs::read_to_string(here.path(&name).join(file)).unwrap();
            let losses: Vec<_> = json_lines(&read("metrics.jsonl")).iter().map(|m| m["train_loss"].clone()).collect();
            (read("config.toml").contains("balance = true"), losses)
        };
        let (plain, balanced, again) =
            (run("plain", &[]), run("balanced", &["--balance"]), run("again", &["--balance"]));
        assert!(!plain.0 && balanced.0 && plain.1 != balanced.1 && balanced == again, "{plain:?} {balanced:?}");
        let resumed = format!("balanced{number}");
        here.good(&["finetune", "--resume", &resumed, "--epochs", "3"]);
        assert_eq!(json_lines(&std::fs::read_to_string(here.path(&resumed).join("metrics.jsonl")).unwrap()).len(), 3);
    }
    here.bad(2, "plain0 is a run without --balance", &["finetune", "--resume", "plain0", "--balance"]);
}

#[test]
fn what_can_spoil_a_run_is_said_before_it() {
    let here = Sandbox::new();
    let data = here.digits("data", &["0", "1"]);
    let tune = |more: &[&str]| {
        let options = ["finetune", &data, "--image-size", "32", "--epochs", "1", "--lr", "1e-3"];
        String::from_utf8(here.run(&[&options[..], more].concat()).stderr).unwrap()
    };
    assert!(!tune(&["-o", "good"]).contains("warning"));
    let said = tune(&["-o", "same", "--val", &data]);
    assert!(said.contains("warning: 12 images are held out and trained on, byte for byte"), "{said}");
}
