//! `results`, and the script that fills its folder.

use std::process::Command;

use super::support::Sandbox;

#[test]
fn a_folder_of_measurements_gets_its_page() {
    let sandbox = Sandbox::new();
    sandbox.bad(1, "scripts/measure-gpu.sh", &["results", "missing"]);
    sandbox.write("empty/other", b"");
    sandbox.bad(1, "steps.tsv", &["results", "empty"]);
    sandbox.write("here/steps.tsv", b"verify\ttime-out\t60\tit did not end within 60 s\n");
    sandbox.write("here/adapter.json", br#"{"adapter":{"name":"A GPU","kind":"cpu"}}"#);
    sandbox.good(&["results", "here"]);
    let page = std::fs::read_to_string(sandbox.path("here/README.md")).unwrap();
    for part in ["# A GPU", "software driver", "| verify | time-out | 60 | it did not end within 60 s |"] {
        assert!(page.contains(part), "{page}");
    }
}

/// The script with a program that fails, hangs or has gone: each step is a line of the page, and the script ends well.
#[cfg(target_os = "linux")]
#[test]
fn a_step_that_fails_or_hangs_is_a_line_of_the_page() {
    let sandbox = Sandbox::new();
    // Only the page is made by the real program.
    let fake = format!(
        "#!/bin/sh\ncase $1 in --version) echo gpu-resnet 0;; results) exec {} \"$@\";; tune) sleep 600;; kernels) \
         echo '{{\"adapter\":{{\"name\":\"Fake  GPU/1\"}}}}';; *) echo 'error: the adapter has no f16' >&2; exit 1;; esac\n",
        env!("CARGO_BIN_EXE_gpu-resnet")
    );
    // By another process: a file that this one had open for writing could not be run.
    let source = sandbox.write("fake.sh", fake.as_bytes());
    let program = sandbox.path("program");
    assert!(Command::new("install").args(["-m", "755"]).arg(&source).arg(&program).status().unwrap().success());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/measure-gpu.sh");
    let mut command = Command::new("bash");
    command.arg(script).args(["--program", program.to_str().unwrap(), "--output", "results", "--seconds", "3"]);
    let output = command.current_dir(sandbox.path("")).env("PATH", "/usr/bin:/bin").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let folders: Vec<_> = std::fs::read_dir(sandbox.path("results")).unwrap().map(|f| f.unwrap().path()).collect();
    let [folder] = &folders[..] else { panic!("{folders:?}") };
    assert!(folder.file_name().unwrap().to_str().unwrap().ends_with("-fake-gpu-1"), "{folder:?}");
    let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for part in ["# Fake  GPU/1", "| tune f32 | time-out |", "no f16", "| left out |"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
