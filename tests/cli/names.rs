//! Names on the command line: of outputs that promise another format than they get, of inputs that are not there.

use std::io::Write;
use std::process::Stdio;

use super::support::{Sandbox, json_lines, photo};
use super::tiny::network;

#[test]
fn an_ending_that_contradicts_the_content_is_refused_before_the_work() {
    let here = Sandbox::new();
    let photo = photo();
    let no = |words: &str, arguments: &[&str]| here.bad(2, words, arguments);
    no("c.png: what is written is an SVG picture, not .png", &["evaluate", "nosuch", "--confusion-picture", "c.png"]);
    no("c.json: what is written is CSV", &["evaluate", "nosuch", "--confusion", "c.json"]);
    no(
        "r.png: what is written is an SVG picture",
        &["bench", "--arch", "resnet20", "--profile", "--roofline", "r.png"],
    );
    no("r.html: what is written is JSON", &["verify", "--list", "--report", "r.html"]);
    no("r.json: what is written is an HTML page", &["verify", "--list", "--html", "r.json"]);
    no("r.pdf: what is written is Markdown", &["verify", "--list", "--markdown", "r.pdf"]);
    no("g.svg: the grid is a PNG", &["data", "grid", "nosuch", "-o", "g.svg"]);
    no("p.png: what is written is text", &["infer", &photo, "-o", "p.png"]);
    no("p.csv: what is written is JSON lines", &["infer", &photo, "-o", "p.csv", "--format", "json"]);
    no("p.json: what is written is Parquet", &["infer", &photo, "-o", "p.json", "--format", "parquet"]);
    no("l.csv: what is written is safetensors", &["infer", &photo, "--save-logits", "l.csv"]);
    no("f.npy: what is written is safetensors", &["infer", &photo, "--save-features", "f.npy"]);
    no("g.npz: what is written is safetensors", &["gradients", "--input", "nosuch", "--output", "g.npz"]);
    no("o.npy: what is written is safetensors", &["op", "relu", "--input", "nosuch", "--output", "o.npy"]);
}

#[test]
fn inputs_that_are_not_there_do_not_keep_the_others_from_their_answers() {
    let here = Sandbox::new();
    let weights = network(&here, "net.safetensors", 2, |_, _| ());
    here.digits("data", &["0", "1"]);
    here.write("empty/.keep", b"");
    let infer = |inputs: &[&str]| {
        let output = here.run(&[&["infer", "--json", "--weights", &weights], inputs].concat());
        let lines = json_lines(&String::from_utf8(output.stdout).unwrap()).len();
        (output.status.code().unwrap(), lines, String::from_utf8(output.stderr).unwrap())
    };
    let (status, lines, said) = infer(&["nothere.png", "data/0", "nothere*.png", "empty"]);
    assert_eq!((status, lines), (1, 6), "{said}");
    for words in [
        "error: nothere.png: does not exist",
        "error: nothere*.png: matches no file",
        "error: empty: holds no image",
        "error: 3 inputs held no image; the others are done",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let (status, lines, said) = infer(&["nothere.png", "nothere*.png"]);
    assert!(
        (status, lines) == (1, 0) && said.contains("none of the 2 inputs holds an image; nothing was written"),
        "{said}"
    );
    here.bad(1, "nothere*.png: matches no file", &["infer", "nothere*.png"]);

    // A list on standard input is no worse off.
    let mut command = here.command();
    let command = command.args(["infer", "-", "nothere.png", "--json", "--weights", &weights]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"empty\ndata/1\nnothere.jpg\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(json_lines(&String::from_utf8(output.stdout).unwrap()).len(), 6, "{said}");
    let words = "2 of 8 images could not be read, 1 input held no image; the others are done";
    assert!(said.contains("error: empty: ") && said.contains("error: nothere.jpg: ") && said.contains(words), "{said}");
}

#[test]
fn class_names_come_in_every_usual_form() {
    let here = Sandbox::new();
    let weights = network(&here, "net.safetensors", 2, |_, _| ());
    let data = here.digits("data", &["0", "1"]);
    let image = std::fs::read_dir(format!("{data}/0")).unwrap().next().unwrap().unwrap().path().display().to_string();
    let infer = |labels: &str| here.good(&["infer", &image, "--weights", &weights, "--csv", "--labels", labels]);
    here.write("lines.txt", b"\xef\xbb\xbffine\r\nbad\r\n");
    let expected = infer("lines.txt");
    assert!(expected.contains(",0,fine,") && expected.contains(",1,bad,"), "{expected}");
    here.write("config.json", br#"{"id2label": {"1": "bad", "0": "fine"}, "hidden_sizes": [64]}"#);
    assert_eq!(infer("config.json"), expected);
    for (file, text, words) in [
        ("twice.txt", "fine\nfine\n", "names both class 0 and class 1 \"fine\""),
        ("gap.json", r#"{"0": "fine", "2": "bad"}"#, "has 2 names for the classes up to 2, and none for class 1"),
        ("three.json", r#"["a", "b", "c"]"#, "has 3 names and the network 2 classes"),
    ] {
        here.write(file, text.as_bytes());
        here.bad(1, &format!("{file}: {words}"), &["infer", &image, "--weights", &weights, "--labels", file]);
    }
    // The same for the classes to keep.
    here.write("kept.json", br#"{"class_to_idx": {"1": 0, "0": 1}}"#);
    let kept = here.good(&["data", "inspect", &data, "--quick", "--json", "--classes", "kept.json"]);
    assert!(kept.contains("\"images\": 12"), "{kept}");
    here.bad(1, "twice.txt: names both", &["data", "inspect", &data, "--quick", "--classes", "twice.txt"]);
}
