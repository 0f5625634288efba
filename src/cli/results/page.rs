//! The page: what was measured, under which headings.

use std::fmt::Write as _;

use super::folder::{Folder, list, number, plain, text};
use super::tables;

// Writing to a string can't fail, here and below.

/// README.md of the folder.
pub fn page(folder: &Folder) -> String {
    // Every report says what it ran on. These come first.
    let reports = ["adapter", "kernels-f32", "bench-default-f32-b1"].map(|name| folder.json(name)["adapter"].clone());
    let adapter = reports.into_iter().find(|adapter| !adapter.is_null()).unwrap_or_default();
    let name = adapter["name"].as_str().map_or("an unknown adapter".into(), plain);
    let mut out = format!("# {name}\n\n");
    let _ = writeln!(out, "Measured by `scripts/measure-gpu.sh`; the JSON files beside this page hold all of it.\n");
    let driver = format!("{} {}", text(&adapter["driver"]), text(&adapter["driver_info"]));
    let _ = writeln!(
        out,
        "| | |\n|---|---|\n| driver | {driver} ({}, {}) |",
        text(&adapter["backend"]),
        text(&adapter["kind"])
    );
    for [what, value] in folder.about() {
        let _ = writeln!(out, "| {what} | {value} |");
    }
    if adapter["kind"] == "cpu" {
        let _ = writeln!(out, "\nThis is a software driver: the processor computes, and no GPU was measured.");
    }
    section(&mut out, "Inference", &tables::inference(folder));
    section(&mut out, "A training step", &tables::training(folder));
    pictures(&mut out, folder);
    section(&mut out, "Convolutions: what `tune` found", &tables::tuned(folder));
    section(&mut out, "Kernels: what the compiler made of them", &tables::kernels(folder));
    section(&mut out, "Verification", &verification(folder));
    section(&mut out, "Steps", &steps(folder));
    out
}

fn section(out: &mut String, title: &str, body: &str) {
    if !body.is_empty() {
        let _ = write!(out, "\n## {title}\n\n{body}");
    }
}

fn pictures(out: &mut String, folder: &Folder) {
    for (file, what) in [
        ("roofline-f32.svg", "inference in f32"),
        ("roofline-f16.svg", "inference in f16"),
        ("roofline-train.svg", "training"),
    ] {
        if folder.has(file) {
            let _ = writeln!(out, "\n![Each dispatch of {what} under the device's roofline]({file})");
        }
    }
}

fn verification(folder: &Folder) -> String {
    let report = folder.json("verify");
    let mut out = String::new();
    for run in list(&report["adapters"]) {
        let cases = list(&run["cases"]);
        let of = |status: &str| cases.iter().filter(|case| case["status"] == status).count();
        let (passed, unsupported) = (of("pass"), of("unsupported"));
        let caught = list(&run["controls"]).iter().filter(|control| control["caught"] == true).count();
        let _ = writeln!(
            out,
            "Suite {}: {passed} cases passed, {} did not, {unsupported} need what the adapter has not got; {caught} of {} negative \
             controls were caught; {} s.",
            text(&report["suite"]),
            cases.len() - passed - unsupported,
            list(&run["controls"]).len(),
            number(&run["seconds"], 0)
        );
        if let Some(left) = run["left_out"].as_u64().filter(|left| *left > 0) {
            let _ = writeln!(out, "There was no time for {left} cases.");
        }
        let bad = cases.iter().filter(|case| case["status"] != "pass" && case["status"] != "unsupported");
        for case in bad.take(20) {
            let _ = writeln!(out, "- {}: {}: {}", text(&case["status"]), text(&case["id"]), text(&case["message"]));
        }
    }
    out
}

fn steps(folder: &Folder) -> String {
    let mut out = String::from("| step | | seconds | last line |\n|---|---|---|---|\n");
    for step in folder.steps() {
        let message = if step.status == "done" { "" } else { &step.message };
        let _ = writeln!(out, "| {} | {} | {} | {message} |", step.name, step.status, step.seconds);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_shown_and_what_is_missing_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let open = || Folder::open(folder.path()).unwrap();
        write("steps.tsv", "devices\tdone\t1\t\nbench f16\tfailed\t2\terror: no f16 | at all\nnoise\n");
        let bare = page(&open());
        assert!(bare.contains("| bench f16 | failed | 2 | error: no f16 \\| at all |"), "{bare}");
        assert!(!bare.contains("## Inference") && !bare.contains("NaN") && !bare.contains("noise"), "{bare}");
        write(
            "adapter.json",
            r#"{"adapter":{"name":"GPU <b>","backend":"vulkan","kind":"discrete","driver":"d","driver_info":"1"}}"#,
        );
        let run = |images: f64| {
            format!(
                r#"{{"peaks":{{"gflops":8000.0,"gbps":400.0}},"runs":[{{"arch":"resnet50","batch_size":8,"precision":"f32","image_size":224,
                "ms_per_image":{},"images_per_second":{images},"fraction_of_peak":0.5,"peak_bytes":1048576}}]}}"#,
                1000.0 / images
            )
        };
        write("bench-default-f32-b8.json", &run(100.0));
        write("bench-tuned-f32-b8.json", &run(250.0));
        write(
            "torch-1.json",
            r#"{"torch":"2.9","device":"GPU","runs":[{"mode":"infer","precision":"f32","batch_size":8,"ms_per_image":2.0}]}"#,
        );
        write("roofline-f32.svg", "<svg/>");
        write(
            "verify.json",
            r#"{"suite":"full","adapters":[{"seconds":3.0,"left_out":7,"controls":[{"caught":true}],
            "cases":[{"status":"pass"},{"status":"fail","id":"relu","message":"wrong"},{"status":"unsupported"}]}]}"#,
        );
        write("bench-train-default.json", "{ broken");
        let full = page(&open());
        for part in [
            "# GPU \\<b\\>",
            "| f32 | 8 | 10.000 | 4.000 | 250.0 | 50 % | 1.0 | 2.000 |",
            "8000 GFLOP/s of multiply-adds",
            "(roofline-f32.svg)",
            "1 cases passed, 1 did not, 1 need",
            "- fail: relu: wrong",
            "There was no time for 7 cases",
        ] {
            assert!(full.contains(part), "{part:?} is not in {full}");
        }
        assert!(!full.contains("A training step"), "{full}");
        // Compressed files count too.
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, run(500.0).as_bytes()).unwrap();
        std::fs::write(folder.path().join("bench-tuned-f16-b8.json.gz"), packed.finish().unwrap()).unwrap();
        assert!(page(&open()).contains("| f16 | 8 | - | 2.000 | 500.0 |"));
    }
}
