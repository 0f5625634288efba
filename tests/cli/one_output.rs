//! Networks with a single output tell two classes apart, as torch's sigmoid has them.

use gpu_resnet::weights::hash_input;

use super::support::{Sandbox, json_lines};
use super::tiny::{golden, input, network};

/// The network of the reference, and its images as `x.safetensors`.
fn reference(here: &Sandbox) -> String {
    let golden = golden();
    let bias: f32 = golden.metadata("bias").unwrap().parse().unwrap();
    let factors: Vec<f32> = serde_json::from_str(golden.metadata("factors").unwrap()).unwrap();
    let mut images = hash_input("input", factors.len() * 3 * 16 * 16);
    images.chunks_mut(3 * 16 * 16).zip(factors).for_each(|(image, factor)| image.iter_mut().for_each(|v| *v *= factor));
    input(here, "x.safetensors", &images);
    let set = |name: &str, values: &mut [f32]| {
        if name == "fc.bias" {
            values[0] = bias;
        }
    };
    network(here, "one.safetensors", 1, set)
}

#[test]
fn its_probability_is_torchs_sigmoid() {
    let here = Sandbox::new();
    let weights = reference(&here);
    here.write("names.txt", b"\xef\xbb\xbfhotdog\r\n");
    let infer = ["infer", "--tensor", "x.safetensors", "--weights", &weights, "--labels", "names.txt"];
    let lines = json_lines(&here.good(&[&infer[..], &["--json", "--save-logits", "l.safetensors"]].concat()));
    let expected = golden().tensor_f32("probability").unwrap().into_owned();
    assert_eq!(lines.len(), expected.len());
    for (line, &expected) in lines.iter().zip(&expected) {
        let [first, second] = [&line["predictions"][0], &line["predictions"][1]];
        assert!(first["probability"].as_f64() > second["probability"].as_f64(), "{line}");
        let (yes, no) = if first["index"] == 1 { (first, second) } else { (second, first) };
        let p = yes["probability"].as_f64().unwrap();
        assert!((p - f64::from(expected)).abs() < 1e-6, "{p} for torch's {expected}");
        assert!((p + no["probability"].as_f64().unwrap() - 1.0).abs() < 1e-12);
        assert_eq!((&yes["label"], &no["label"], &no["index"]), (&"hotdog".into(), &"not hotdog".into(), &0.into()));
    }
    let (shape, logits) = here.tensor("l.safetensors", "logits");
    assert_eq!(shape, [expected.len(), 1]);
    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
    assert!(logits.iter().zip(&*golden().tensor_f32("logits").unwrap()).all(close), "{logits:?}");

    let csv = here.good(&[&infer[..], &["--csv", "--top-k", "1", "--threshold", "0.5"]].concat());
    let last = csv.lines().last().unwrap();
    assert!(csv.lines().count() == 5 && last.starts_with("x.safetensors#3,1,0,not hotdog,0.536"), "{csv}");
}

#[test]
fn evaluation_counts_both_classes() {
    let here = Sandbox::new();
    // Somewhere between the two digits.
    let weights = network(&here, "one.safetensors", 1, |name, values| {
        if name == "fc.bias" {
            values[0] = 0.07;
        }
    });
    let data = here.digits("data", &["0", "1"]);
    let logits = |class: &str| {
        let images = format!("{data}/{class}");
        here.good(&["infer", &images, "--weights", &weights, "-q", "--save-logits", "l.safetensors"]);
        here.tensor("l.safetensors", "logits").1.into_iter().map(f64::from).collect::<Vec<_>>()
    };
    let [zeros, ones] = [logits("0"), logits("1")];
    let found = here.good(&["evaluate", &data, "--weights", &weights, "--json", "--confusion", "c.csv"]);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let above = |logits: &[f64]| logits.iter().filter(|&&x| x > 0.0).count();
    let (false_ones, true_ones) = (above(&zeros), above(&ones));
    // -log sigmoid(-x) of class 0 and -log sigmoid(x) of class 1.
    let losses = zeros.iter().map(|x| x.exp().ln_1p()).chain(ones.iter().map(|x| (-x).exp().ln_1p()));
    let loss = losses.sum::<f64>() / 12.0;
    assert!((found["loss"].as_f64().unwrap() - loss).abs() < 1e-9, "{found} for {loss}");
    assert_eq!(found["top1"].as_f64().unwrap(), (6 - false_ones + true_ones) as f64 / 12.0);
    assert_eq!(found["top5"], 1.0);
    let csv = std::fs::read_to_string(here.path("c.csv")).unwrap();
    let expected = format!("true\\predicted,0,1\n0,{},{false_ones}\n1,{},{true_ones}\n", 6 - false_ones, 6 - true_ones);
    assert_eq!(csv, expected);
}
