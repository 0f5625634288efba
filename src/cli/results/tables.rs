//! The tables of the page; empty text if there is nothing to show.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::folder::{Folder, list, number, plain, text};

/// Batch sizes that the script may have measured.
const BATCHES: [u32; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// Number of convolutions shown for each precision.
const SHOWN: usize = 40;

/// Images per second by batch size: default kernels, tuned kernels, and PyTorch.
pub fn inference(folder: &Folder) -> String {
    let mut rows = String::new();
    let mut peaks = Value::Null;
    for precision in ["f32", "f16"] {
        for batch in BATCHES {
            let of = |kind: &str| folder.json(&format!("bench-{kind}-{precision}-b{batch}"));
            let (default, tuned) = (of("default"), of("tuned"));
            let torch = torch(folder, "infer", precision, batch);
            if default.is_null() && tuned.is_null() && torch.is_none() {
                continue;
            }
            let best = if tuned.is_null() { &default } else { &tuned };
            if !best["peaks"].is_null() {
                peaks = best["peaks"].clone();
            }
            let (run, plain) = (&best["runs"][0], &default["runs"][0]);
            let as_tuned = number(&tuned["runs"][0]["ms_per_image"], 3);
            let _ = writeln!(
                rows,
                "| {precision} | {batch} | {} | {as_tuned} | {} | {} | {} | {} |",
                number(&plain["ms_per_image"], 3),
                number(&run["images_per_second"], 1),
                percent(&run["fraction_of_peak"]),
                mebibytes(&run["peak_bytes"]),
                torch.map_or("-".into(), |ms| format!("{ms:.3}"))
            );
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let network = network(folder);
    format!(
        "{network}; peaks: {} GFLOP/s of multiply-adds, {} GB/s of copying.\n\n\
         | | batch | ms an image by default | as tuned | images/s | of the peak | MiB | PyTorch, ms an image |\n\
         |---|---|---|---|---|---|---|---|\n{rows}{}",
        number(&peaks["gflops"], 0),
        number(&peaks["gbps"], 0),
        about_torch(folder)
    )
}

/// A training step of every layer.
pub fn training(folder: &Folder) -> String {
    let mut out = String::new();
    for kind in ["default", "tuned"] {
        let report = folder.json(&format!("bench-train-{kind}"));
        for run in list(&report["runs"]) {
            let batch = run["batch_size"].as_u64().unwrap_or_default() as u32;
            let torch = torch(folder, "train", "f32", batch);
            let _ = writeln!(
                out,
                "| {kind} | {batch} | {} | {} | {} | {} | {} | {} |",
                number(&run["ms_per_image"], 3),
                number(&run["parts"]["forward_ms_per_image"], 3),
                number(&run["parts"]["backward_ms_per_image"], 3),
                percent(&run["fraction_of_peak"]),
                mebibytes(&run["peak_bytes"]),
                torch.map_or("-".into(), |ms| format!("{ms:.3}"))
            );
        }
    }
    if out.is_empty() {
        return out;
    }
    let head = "| kernels | batch | ms an image | forward | backward | of the peak | MiB | PyTorch, ms an image |";
    format!("{head}\n|---|---|---|---|---|---|---|---|\n{out}")
}

/// What `tune` measured of each shape: the default, the choice, and all candidates.
pub fn tuned(folder: &Folder) -> String {
    let mut out = String::new();
    for precision in ["f32", "f16", "train"] {
        let report = folder.json(&format!("tune-{precision}"));
        let convolutions = list(&report["convolutions"]);
        if convolutions.is_empty() {
            continue;
        }
        let _ = writeln!(
            out,
            "{}, batch size {}: all convolutions {} ms by default, {} ms as chosen; no time for {} shapes.\n\n\
             | layer | pass | input | weight | default, ms | choice, ms | candidates, ms |\n|---|---|---|---|---|---|---|",
            if precision == "train" { "Training, f32" } else { precision },
            report["batch_size"].as_u64().unwrap_or_default(),
            number(&report["default_ms"], 2),
            number(&report["ms"], 2),
            report["left_out"].as_u64().unwrap_or_default()
        );
        for one in convolutions.iter().take(SHOWN) {
            let candidate = |c: &Value| match c["rejected"].as_str() {
                Some(_) => format!("{} rejected", text(&c["algorithm"])),
                None => format!("{} {}", text(&c["algorithm"]), number(&c["ms"], 3)),
            };
            let candidates: Vec<String> = list(&one["candidates"]).iter().map(candidate).collect();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} {} | {} {} | {} |",
                text(&one["layer"]),
                text(&one["pass"]),
                shape(&one["input"]),
                shape(&one["weight"]),
                text(&one["default"]),
                number(&one["default_ms"], 3),
                text(&one["choice"]),
                number(&one["ms"], 3),
                candidates.join(", ")
            );
        }
        out.push('\n');
    }
    out
}

/// What the compiler made of the kernels of inference and training.
pub fn kernels(folder: &Folder) -> String {
    let mut rows = String::new();
    let mut seen = BTreeSet::new();
    for list_of in ["f32", "f16", "head", "train"] {
        for kernel in list(&folder.json(&format!("kernels-{list_of}"))["kernels"]) {
            let constants = kernel["constants"].as_object().into_iter().flatten();
            let constants: String = constants.map(|(name, value)| format!(" {}={value}", plain(name))).collect();
            let name = format!("{}{constants}", text(&kernel["name"]));
            let share =
                kernel["hot_loop_fma_share"].as_f64().map_or("-".into(), |share| format!("{:.0} %", share * 100.0));
            // Drivers that report nothing have no rows.
            if kernel["instructions"].is_null() && kernel["registers"].is_null() || !seen.insert(name.clone()) {
                continue;
            }
            let of = |key: &str| number(&kernel[key], 0);
            let _ = writeln!(
                rows,
                "| {name} | {} | {} | {} | {} | {} | {share} |",
                of("registers"),
                of("spills"),
                of("scratch_bytes"),
                of("occupancy"),
                of("instructions")
            );
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let head =
        "| kernel | registers | spills | scratch, bytes | occupancy | instructions | multiply-adds in the loop |";
    format!("{head}\n|---|---|---|---|---|---|---|\n{rows}")
}

/// The network that was measured.
fn network(folder: &Folder) -> String {
    let runs = BATCHES.into_iter().flat_map(|batch| {
        ["default", "tuned"].map(|kind| folder.json(&format!("bench-{kind}-f32-b{batch}"))["runs"][0].clone())
    });
    let run = runs.into_iter().find(|run| !run.is_null()).unwrap_or_default();
    let size = run["image_size"].as_u64().unwrap_or_default();
    format!("{} on images of {size} x {size}", text(&run["arch"]))
}

/// PyTorch's best round, in milliseconds per image.
fn torch(folder: &Folder, mode: &str, precision: &str, batch: u32) -> Option<f64> {
    let turns = ["torch-1", "torch-2"].map(|name| folder.json(name));
    let fits = |run: &&Value| run["mode"] == mode && run["precision"] == precision && run["batch_size"] == batch;
    let times = turns
        .iter()
        .flat_map(|turn| list(&turn["runs"]).iter().filter(fits).filter_map(|run| run["ms_per_image"].as_f64()));
    times.reduce(f64::min)
}

fn about_torch(folder: &Folder) -> String {
    let turn = folder.json("torch-1");
    match turn["torch"].as_str() {
        Some(version) => {
            format!("\nPyTorch {} on {}, in turn with this program.\n", plain(version), text(&turn["device"]))
        }
        None => String::new(),
    }
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or("-".into(), |share| format!("{:.0} %", share * 100.0))
}

fn mebibytes(value: &Value) -> String {
    value.as_f64().map_or("-".into(), |bytes| format!("{:.1}", bytes / f64::from(1 << 20)))
}

fn shape(value: &Value) -> String {
    list(value).iter().map(Value::to_string).collect::<Vec<_>>().join("x")
}
