//! What the program keeps for the device between runs.

use super::support::{Sandbox, photo};

/// The files under the cache's `pipelines`.
fn pipelines(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    let folder = std::fs::read_dir(sandbox.path("cache/pipelines"));
    folder.map(|files| files.map(|file| file.unwrap().path()).collect()).unwrap_or_default()
}

#[test]
fn a_damaged_pipeline_cache_is_made_again() {
    let sandbox = Sandbox::new();
    let photo = photo();
    let infer = || {
        let output = sandbox.run(&["infer", &photo, "--image-size", "32", "--json"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !said.contains("error"), "{said}");
        (output.stdout, said.lines().filter(|line| line.contains("compiled again")).count())
    };
    let (expected, warnings) = infer();
    assert_eq!(warnings, 0);
    // Only Vulkan hands pipelines out.
    for file in pipelines(&sandbox) {
        let whole = std::fs::read(&file).unwrap();
        assert!(infer() == (expected.clone(), 0));
        assert_eq!(std::fs::read(&file).unwrap(), whole, "nothing new was compiled");
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for bad in [&b""[..], &b"noise"[..], &whole[..whole.len() / 2], &flipped] {
            std::fs::write(&file, bad).unwrap();
            assert!(infer() == (expected.clone(), 1), "{} bytes", bad.len());
            // Replaced by a good one, under the same name and with nothing beside it.
            assert!(infer() == (expected.clone(), 0), "{} bytes", bad.len());
            assert_eq!(pipelines(&sandbox).len(), 1);
        }
    }
}

#[test]
fn no_cache_folder_is_no_failure() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("file", b"");
    let mut command = sandbox.command();
    command.env("GPU_RESNET_CACHE", file).args(["infer", &photo(), "--image-size", "32"]);
    assert!(command.output().unwrap().status.success());
}

#[test]
fn two_devices_give_what_one_gives() {
    let sandbox = Sandbox::new();
    let digits = sandbox.digits("digits", &["3", "7"]);
    let infer = |adapter: &[&str]| {
        let arguments = [&["infer", &digits, "--image-size", "32", "--batch-size", "2", "--json"], adapter].concat();
        sandbox.good(&arguments)
    };
    let expected = infer(&[]);
    assert_eq!(expected.lines().count(), 12);
    assert_eq!(infer(&["--adapter", "0,0"]), expected);
    assert_eq!(infer(&["--adapter", "0", "--adapter", "0"]), expected);
    sandbox.bad(2, "give one --adapter", &["bench", "--adapter", "0,0"]);
    sandbox.bad(4, "no adapter matches", &["infer", &digits, "--adapter", "0,77"]);
}
