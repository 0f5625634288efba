//! `infer`: every way in and every way out.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use super::support::{Sandbox, json_lines, photo};

#[test]
fn infer_prints_predictions() {
    let here = Sandbox::new();
    let photo = photo();
    let line = here.good(&["infer", &photo, "--json", "--image-size", "64"]);
    let line: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(line["input"], photo.as_str());
    assert_eq!(line["predictions"].as_array().unwrap().len(), 2);
    let sum: f64 = line["predictions"].as_array().unwrap().iter().map(|p| p["probability"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    let csv = here.good(&["infer", &photo, "--csv", "--top-k", "1", "--image-size", "64"]);
    assert_eq!(csv.lines().count(), 2);
    assert!(csv.starts_with("input,rank,index,label,probability\n"));
    here.good(&["infer", &photo, "--image-size", "64", "--save-features", "f.safetensors", "--output", "p.txt"]);
    let features = std::fs::read(here.path("f.safetensors")).unwrap();
    let features = safetensors::SafeTensors::deserialize(&features).unwrap();
    assert_eq!(features.tensor("features").unwrap().shape(), [1, 1024]);
    assert!(std::fs::read_to_string(here.path("p.txt")).unwrap().contains("safe"));
}

#[test]
fn one_bad_file_among_many_is_skipped() {
    let here = Sandbox::new();
    let text = here.write("text.png", b"not a picture");
    let output = here.run(&["infer", &text.display().to_string(), &photo(), "--json", "--image-size", "64"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("text.png") && said.contains("1 of 2 images"), "{said}");
}

#[test]
fn every_way_in_gives_the_same() {
    let here = Sandbox::new();
    here.digits("data", &["0", "1", "7"]);
    let run = |more: &[&str]| here.good(&[&["infer", "--json", "--image-size", "32"], more].concat());
    let folder = run(&["data"]);
    assert_eq!(folder.lines().count(), 18);
    assert_eq!(run(&["data/*/*.png"]), folder);
    assert_eq!(run(&["data/0", "data/1", "data/[7]/*"]), folder);
    assert_eq!(run(&["data", "--batch-size", "5"]), folder, "a batch of another size gives other bits");
    here.good(&["infer", "--json", "--image-size", "32", "data", "-o", "lines.jsonl"]);
    assert_eq!(std::fs::read_to_string(here.path("lines.jsonl")).unwrap(), folder);

    let paths: Vec<String> =
        json_lines(&folder).iter().map(|line| line["input"].as_str().unwrap().to_owned()).collect();
    let mut child = here.command();
    let mut child = child.args(["infer", "-", "--json", "--image-size", "32"]);
    child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(paths.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), folder);
}

#[test]
fn f16_says_what_f32_says() {
    let here = Sandbox::new();
    here.digits("data", &["0", "1"]);
    let run = |precision: &str, more: &[&str]| {
        here.run(&[&["--precision", precision, "infer", "data", "--json", "--image-size", "64"], more].concat())
    };
    let wide = run("f32", &[]);
    let narrow = run("f16", &[]);
    let said = String::from_utf8(narrow.stderr).unwrap();
    if narrow.status.code() == Some(4) {
        assert!(said.contains("has no f16; use --precision f32"), "{said}");
        return;
    }
    assert!(narrow.status.success(), "{said}");
    assert_eq!(run("f16", &["--batch-size", "5"]).stdout, narrow.stdout, "a batch of another size gives other bits");
    let [wide, narrow] = [wide.stdout, narrow.stdout].map(|out| json_lines(&String::from_utf8(out).unwrap()));
    let mut differs = false;
    for (a, b) in wide.iter().zip(&narrow) {
        let of = |line: &serde_json::Value| line["predictions"][0]["probability"].as_f64().unwrap();
        assert_eq!(a["predictions"][0]["label"], b["predictions"][0]["label"]);
        assert!((of(a) - of(b)).abs() < 2e-2, "{a} {b}");
        differs |= of(a) != of(b);
    }
    assert!(wide.len() == narrow.len() && differs, "f16 is f32");
}

#[test]
fn every_way_out_says_the_same() {
    let here = Sandbox::new();
    here.digits("data", &["0", "1"]);
    std::fs::rename(here.path("data/1"), here.path("data/a,b")).unwrap();
    let size = ["--image-size", "32"];
    let save = ["--save-logits", "l.safetensors", "--save-features", "f.safetensors"];
    let lines = json_lines(&here.good(&[&["infer", "data", "--json"], &size[..], &save[..]].concat()));
    let ((shape, logits), (features, _)) =
        (here.tensor("l.safetensors", "logits"), here.tensor("f.safetensors", "features"));
    assert_eq!((shape, features), (vec![12, 2], vec![12, 1024]));
    let names = gpu_resnet::weights::Weights::open(here.path("l.safetensors")).unwrap().all_metadata()["names"].clone();
    let names: Vec<String> = serde_json::from_str(&names).unwrap();
    let csv = here.good(&[&["infer", "data", "--csv", "--top-k", "1"], &size[..]].concat());
    let text = here.good(&[&["infer", "data", "--top-k", "1"], &size[..]].concat());
    for (i, line) in lines.iter().enumerate() {
        assert_eq!(line["input"], names[i].as_str());
        let best = &line["predictions"][0];
        let (a, b) = (f64::from(logits[2 * i]), f64::from(logits[2 * i + 1]));
        let probability = 1.0 / (1.0 + (a.min(b) - a.max(b)).exp());
        assert!(
            (best["probability"].as_f64().unwrap() - probability).abs() < 1e-12,
            "{line} is not the softmax of {a} {b}"
        );
        assert_eq!(best["index"], usize::from(b > a));
        let name = if names[i].contains(',') { format!("\"{}\"", names[i]) } else { names[i].clone() };
        let row = format!("{name},1,{},{},", best["index"], best["label"].as_str().unwrap());
        assert!(csv.lines().nth(i + 1).unwrap().starts_with(&row), "{csv}");
        assert_eq!(text.lines().nth(2 * i), Some(names[i].as_str()));
    }
    // The same network on raw tensors, whose pixels are already normalised.
    let input = vec![0.25f32; 3 * 3 * 40 * 48];
    let tensor = gpu_resnet::weights::NamedTensor::new("input", &[3, 3, 40, 48], input.as_slice());
    let raw = [gpu_resnet::weights::RawTensor::from(&tensor)];
    gpu_resnet::weights::write_safetensors(here.path("x.safetensors"), &raw, &Default::default()).unwrap();
    let lines =
        json_lines(&here.good(&["infer", "--tensor", "x.safetensors", "--save-logits", "y.safetensors", "--json"]));
    let (shape, logits) = here.tensor("y.safetensors", "logits");
    assert_eq!((lines.len(), shape), (3, vec![3, 2]));
    assert!(logits[..2] == logits[2..4] && logits[..2] == logits[4..] && lines[2]["input"] == "x.safetensors#2");
}

#[test]
fn labels_of_the_users_own() {
    let here = Sandbox::new();
    here.write("lines.txt", "fine\r\nnot so fine, \"really\"\n".as_bytes());
    here.write("list.json", br#"["fine", "not so fine, \"really\""]"#);
    here.write("one.txt", b"alone\n");
    let photo = photo();
    for file in ["lines.txt", "list.json"] {
        let said = here.good(&["infer", &photo, "--image-size", "64", "--csv", "--labels", file]);
        assert!(said.contains(",1,0,fine,") && said.contains(",2,1,\"not so fine, \"\"really\"\"\","), "{said}");
    }
    here.bad(1, "one.txt: has 1 names and the network 2 classes", &["infer", &photo, "--labels", "one.txt"]);
    here.write("large.txt", &vec![b'a'; (16 << 20) + 1]);
    here.bad(1, "large.txt: could not be read (it has more than 16 MiB)", &["infer", &photo, "--labels", "large.txt"]);
    #[cfg(unix)]
    here.bad(1, "/dev/zero: could not be read (it has more than 16 MiB)", &["infer", &photo, "--labels", "/dev/zero"]);
    here.bad(1, "none.txt: could not be read", &["infer", &photo, "--labels", "none.txt"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let here = Sandbox::new();
    here.digits("data", &["0", "1", "2", "3"]);
    let mut child = here.command();
    let child = child.args(["infer", "data", "--json", "--image-size", "32", "--batch-size", "1"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !said.contains("error"), "{}: {said}", output.status);
}

#[test]
fn overlays_show_where_a_class_was_seen() {
    let here = Sandbox::new();
    let photo = photo();
    let second = here.write("b/coffee.jpg", &std::fs::read(&photo).unwrap()).display().to_string();
    let infer = ["infer", &photo, &second, "--image-size", "64", "--json"];
    let plain = json_lines(&here.good(&infer));
    let lines = json_lines(&here.good(&[&infer[..], &["--grad-cam", "maps/new"]].concat()));
    let pictures = ["maps/new/coffee.png", "maps/new/coffee-2.png"].map(|name| std::fs::read(here.path(name)).unwrap());
    assert!(pictures[0] == pictures[1], "the same image gave two pictures");
    for ((line, plain), name) in lines.iter().zip(&plain).zip(["maps/new/coffee.png", "maps/new/coffee-2.png"]) {
        assert_eq!((&line["predictions"], &line["grad_cam"]), (&plain["predictions"], &name.into()));
        // 64 x 64 pixels, each enlarged four times.
        let picture = gpu_resnet::data::decode_file(&here.path(name)).unwrap();
        assert_eq!((picture.width, picture.height), (256, 256));
    }
    here.write("file", b"");
    here.bad(1, "file: is a file; name a folder as --grad-cam", &[&infer[..], &["--grad-cam", "file"]].concat());
    here.bad(1, "none of the 1 images could be read", &["infer", "file", "--grad-cam", "empty"]);
    here.bad(2, "b is both input and output", &["infer", "b", "--grad-cam", "./b"]);
}

/// The rows of a Parquet file as JSON objects.
fn parquet_rows(path: &std::path::Path) -> Vec<serde_json::Value> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let file = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    file.get_row_iter(None).unwrap().map(|row| row_json(&row.unwrap())).collect()
}

/// Lists of numbers and of texts come out as JSON's.
fn row_json(row: &parquet::record::Row) -> serde_json::Value {
    use parquet::record::Field;
    fn value(field: &Field) -> serde_json::Value {
        match field {
            Field::Str(text) => text.as_str().into(),
            Field::Int(number) => (*number).into(),
            Field::Double(number) => (*number).into(),
            Field::Float(number) => f64::from(*number).into(),
            Field::ListInternal(list) => list.elements().iter().map(value).collect(),
            other => panic!("a field {other}"),
        }
    }
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn parquet_says_what_json_says() {
    let here = Sandbox::new();
    here.digits("data", &["0", "1"]);
    let size = ["--image-size", "32", "--batch-size", "5", "--threshold", "0.3"];
    let infer = |more: &[&str]| here.good(&[&["infer", "data"], &size[..], more].concat());
    let lines = json_lines(&infer(&["--json", "--save-features", "f.safetensors"]));
    assert_eq!(infer(&["-o", "p.parquet", "--save-features", "f.parquet", "--save-logits", "l.parquet"]), "");
    let (rows, vectors) = (parquet_rows(&here.path("p.parquet")), parquet_rows(&here.path("f.parquet")));
    let (shape, features) = here.tensor("f.safetensors", "features");
    assert_eq!((rows.len(), vectors.len(), shape), (12, 12, vec![12, 1024]));
    for (((row, line), vector), features) in rows.iter().zip(&lines).zip(&vectors).zip(features.chunks(1024)) {
        let predictions = line["predictions"].as_array().unwrap();
        let column = |key: &str| predictions.iter().map(|p| p[key].clone()).collect::<serde_json::Value>();
        let expected = [("input", line["input"].clone()), ("index", column("index")), ("label", column("label"))];
        expected.iter().for_each(|(key, value)| assert_eq!(row[key], *value));
        let probabilities = row["probability"].as_array().unwrap();
        assert_eq!(probabilities.len(), predictions.len());
        for (found, p) in probabilities.iter().zip(predictions) {
            // serde_json reads decimals to the last bit but one.
            assert!((found.as_f64().unwrap() - p["probability"].as_f64().unwrap()).abs() < 1e-15, "{row} {line}");
        }
        let features: Vec<f64> = features.iter().map(|&f| f64::from(f)).collect();
        // The class folder is the label, for `finetune --features`.
        let folder = line["input"].as_str().unwrap().split('/').nth(1);
        assert_eq!(*vector, serde_json::json!({ "id": line["input"], "label": folder, "features": features }));
    }
    assert_eq!(parquet_rows(&here.path("l.parquet"))[11]["logits"].as_array().unwrap().len(), 2);
    // The suffix chooses, or an option where it says nothing.
    infer(&["-o", "p.csv"]);
    infer(&["-o", "p.jsonl"]);
    infer(&["-o", "csv.log", "--format", "csv"]);
    let read = |name: &str| std::fs::read_to_string(here.path(name)).unwrap();
    assert!(read("p.csv").starts_with("input,rank,") && json_lines(&read("p.jsonl")) == lines);
    assert!(read("csv.log") == read("p.csv"));
    here.bad(2, "Parquet can't be printed", &["infer", "data", "--format", "parquet"]);
    here.bad(2, "name it .parquet", &["infer", "data", "-o", "x.feather"]);
    here.bad(2, "name it .parquet", &["infer", "data", "--save-features", "x.arrow"]);
}

#[test]
fn what_is_unlikely_can_be_left_out() {
    let here = Sandbox::new();
    let photo = photo();
    let infer = |threshold: &str, form: &str| {
        here.good(&["infer", &photo, "--image-size", "64", "--threshold", threshold, "--format", form])
    };
    let all = json_lines(&infer("0", "json"))[0]["predictions"].as_array().unwrap().clone();
    let csv = infer("0", "csv");
    let probability = |i: usize| csv.lines().nth(1 + i).unwrap().rsplit(',').next().unwrap().parse::<f64>().unwrap();
    assert!(all.len() == 2 && probability(0) > probability(1));
    // At the very probability a class stays; a bit above it, it goes.
    let some = json_lines(&infer(&probability(0).to_string(), "json"))[0]["predictions"].as_array().unwrap().clone();
    assert_eq!(some, all[..1]);
    let above = f64::from_bits(probability(0).to_bits() + 1).to_string();
    assert!(json_lines(&infer(&above, "json"))[0]["predictions"].as_array().unwrap().is_empty());
    assert!(infer(&above, "text").contains("no class is likely enough"));
    assert_eq!(infer(&above, "csv").lines().count(), 1);
    for bad in ["1.5", "-0.1", "x", "nan"] {
        let output = here.run(&["infer", &photo, &format!("--threshold={bad}")]);
        assert_eq!(output.status.code(), Some(2), "{bad}");
    }
}
