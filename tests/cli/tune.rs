//! `tune`, and who uses what it chose.

use super::support::{Sandbox, photo};

/// A network of few shapes, on small images.
const TUNE: [&str; 9] = ["tune", "--arch", "resnet20", "--image-size", "8", "--batch-size", "1", "--limit", "20"];

fn said(sandbox: &Sandbox, arguments: &[&str]) -> (String, String) {
    let output = sandbox.run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

#[test]
fn choices_are_kept_used_and_forgotten() {
    let sandbox = Sandbox::new();
    let infer = ["infer", &photo(), "--image-size", "32", "--json", "-v"];
    let (untuned, words) = said(&sandbox, &infer);
    assert!(!words.contains("tuned"), "{words}");
    let json = sandbox.good(&[&TUNE[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let convolutions = report["convolutions"].as_array().unwrap();
    assert!(!convolutions.is_empty());
    for convolution in convolutions {
        let candidates = convolution["candidates"].as_array().unwrap();
        assert!(candidates.len() >= 5, "{convolution}");
        let chosen = candidates.iter().find(|c| c["algorithm"] == convolution["choice"]).unwrap();
        assert!(chosen["rejected"].is_null() && chosen["ms"].as_f64().unwrap() > 0.0, "{chosen}");
        assert!(convolution["ms"].as_f64() <= convolution["default_ms"].as_f64());
        let rejected: Vec<_> = candidates.iter().filter(|c| !c["rejected"].is_null()).collect();
        assert!(rejected.is_empty(), "{rejected:?}");
    }
    assert!(report["ms"].as_f64().unwrap() <= report["default_ms"].as_f64().unwrap());
    let words = said(&sandbox, &infer).1;
    assert!(words.contains("tuned"), "{words}");
    for (arguments, off) in [(&["--no-tuning"][..], ""), (&[], "off")] {
        let output = sandbox.command().env("GPU_RESNET_TUNE", off).args(infer).args(arguments).output().unwrap();
        assert!(!String::from_utf8(output.stderr).unwrap().contains("tuned"));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), untuned);
    }
    let devices = sandbox.good(&["devices"]);
    assert!(devices.contains(&format!("{} choices", convolutions.len())), "{devices}");
    // A damaged file is said once and does no harm; the next tuning or --clear removes it.
    std::fs::write(report["file"].as_str().unwrap(), "{\"choices\"").unwrap();
    let (found, words) = said(&sandbox, &["infer", &photo(), "--image-size", "32", "--json"]);
    assert_eq!(words.matches("no tuned choices").count(), 1, "{words}");
    assert_eq!(found, untuned);
    sandbox.good(&["tune", "--clear"]);
    assert!(!said(&sandbox, &infer).1.contains("tuned"));
}
