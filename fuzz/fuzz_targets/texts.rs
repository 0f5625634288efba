//! Texts that people and programs write. The first byte of an input says which: class names, known driver bugs, a report of `verify` (also
//! shown as every page), tuned choices, the settings of a run, the files beside weights.
#![no_main]

use gpu_resnet::gpu::AdapterReport;
use gpu_resnet::train::RunDir;
use gpu_resnet::tune::store;
use gpu_resnet::verify::expectations::Expectations;
use gpu_resnet::verify::report::{Report, compare, markdown};
use gpu_resnet::weights::{Overrides, Weights, describe, read_labels, read_names};
use gpu_resnet_fuzz as fuzz;
use libfuzzer_sys::fuzz_target;

const FOLDER: &str = "gpu-resnet-fuzz-";

fn report(folder: &fuzz::Folder, bytes: &[u8]) {
    let Some(report) = fuzz::check(Report::read(&folder.put("r.json", bytes)), FOLDER) else { return };
    markdown::markdown(&report);
    let _ = compare::compare(&report, &report).text();
    let text = report.redacted().to_json().expect("a report that was read");
    assert!(Report::read(&folder.put("again.json", text.as_bytes())).is_ok(), "what was written can't be read");
}

fn tuned(folder: &fuzz::Folder, bytes: &[u8]) {
    let adapter = AdapterReport::example();
    let path = store::path(folder.path(), &adapter);
    folder.put(path.strip_prefix(folder.path()).expect("a path below").to_str().expect("a name"), bytes);
    let (choices, warning) = store::load(folder.path(), &adapter);
    if let Some(warning) = warning {
        assert!(choices.is_empty());
        fuzz::line(&warning, FOLDER);
    }
}

fn beside(folder: &fuzz::Folder, bytes: &[u8]) {
    let (model, preprocessor) = fuzz::two(bytes);
    folder.put("config.json", model);
    folder.put("preprocessor_config.json", preprocessor);
    // No tensors.
    let weights = folder.put("model.safetensors", b"\x02\0\0\0\0\0\0\0{}");
    if let Some(weights) = fuzz::check(Weights::open(weights), FOLDER) {
        fuzz::check(weights.labels(), FOLDER);
        fuzz::check(describe(&weights, &Overrides::default()), FOLDER);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let folder = fuzz::Folder::new();
    fuzz::bounded(fuzz::some(bytes.len()), || match kind % 6 {
        0 => {
            let path = folder.put("labels", bytes);
            if let Some(names) = fuzz::check(read_names(&path), FOLDER) {
                fuzz::check(read_labels(&path, names.len()), FOLDER).expect("as many as there are");
            }
        }
        1 => {
            let loaded = fuzz::check(Expectations::load(Some(&folder.put("e.toml", bytes))), FOLDER);
            loaded.map(|expectations| expectations.of(&AdapterReport::example(), "relu count=33 and more"));
        }
        2 => report(&folder, bytes),
        3 => tuned(&folder, bytes),
        4 => {
            folder.put("run/config.toml", bytes);
            fuzz::check(RunDir::open(folder.path().join("run")), FOLDER);
        }
        _ => beside(&folder, bytes),
    });
});
