use std::time::Instant;

use gpu_resnet::verify::report::Status;

use crate::{command, ended, verify};

/// One run with every end that a case can have; whatever comes before, the next case runs.
#[test]
fn every_end_is_a_result() {
    let started = Instant::now();
    let hook = |kind: &str| format!("hook kind={kind}");
    let kinds = ["pass", "fail", "crash", "panic", "hang", "oom", "device-lost", "pass"];
    let mut arguments = vec!["--filter", "relu count=9", "--no-controls", "--timeout", "4"];
    let lines: Vec<String> = kinds.iter().map(|kind| hook(kind)).collect();
    lines.iter().for_each(|line| arguments.extend(["--also", line]));
    let (output, report) = verify(&arguments);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let status = |kind: &str| ended(&report, &hook(kind)).0;
    assert_eq!(ended(&report, "relu count=9").0, Status::Pass);
    assert_eq!(status("pass"), Status::Pass);
    assert_eq!(status("fail"), Status::Fail);
    assert_eq!(status("crash"), Status::Crash);
    assert_eq!(status("panic"), Status::Crash);
    assert_eq!(status("hang"), Status::Timeout);
    assert_eq!(status("oom"), Status::Oom);
    assert_eq!(status("device-lost"), Status::DeviceLost);
    assert_eq!(report.adapters[0].cases.len(), 1 + kinds.len());
    // What a child said last is told.
    assert!(ended(&report, &hook("panic")).1.contains("on purpose"), "{}", ended(&report, &hook("panic")).1);
    assert!(started.elapsed().as_secs() < 60, "a hang held the run up");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("verify --adapter 0 --filter 'hook kind=crash'"), "{shown}");
}

/// A shader without an end does not hold the run: the driver's watchdog or the timeout ends it. (Mesa 22's lavapipe leaves
/// every loop after 65,535 iterations, which is a failure too.)
#[test]
fn an_endless_shader_is_stopped() {
    let (output, report) = verify(&["--filter", "hook kind=endless-loop", "--no-controls", "--timeout", "5"]);
    assert_eq!(output.status.code(), Some(3));
    let (status, message) = ended(&report, "hook kind=endless-loop");
    let mesa_22 = report.adapters[0].adapter.driver_info.contains("Mesa 22.");
    let left = mesa_22 && status == Status::Fail && message == "the driver left an endless loop";
    assert!(matches!(status, Status::Timeout | Status::DeviceLost) || left, "{status:?}: {message}");
}

#[test]
fn a_run_that_passes_says_so() {
    let (output, report) = verify(&["--filter", "^(relu|adam) count=[1-9]$"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(report.valid && !report.adapters[0].controls.is_empty());
    assert!(report.adapters[0].controls.iter().all(|control| control.caught));
    assert_eq!(report.adapters[0].cases.len(), 18);
    assert!(report.adapters[0].cases.iter().all(|case| case.share.is_some_and(|share| share <= 1.0)));
    // How far it is, and in the end that it is over, where no terminal shows a line that changes.
    let said = String::from_utf8(output.stderr).unwrap();
    let all = report.adapters[0].cases.len() + report.adapters[0].controls.len();
    assert!(said.contains(&format!("adapter 0: {all} of {all}\n")), "{said}");
}

/// The number of children changes neither what is found nor its order; and one that dies takes nothing with it.
#[test]
fn several_children_give_the_same_report() {
    let filter = [
        "--filter",
        "^(relu|adam|linear) (count=[1-9]|n=1 .*)$",
        "--also",
        "hook kind=crash",
        "--also",
        "relu count=3 values=nan",
    ];
    let [one, three] = ["1", "3"].map(|jobs| verify(&[&filter[..], &["--jobs", jobs]].concat()).1);
    let found = |report: &gpu_resnet::verify::report::Report| -> Vec<(String, Status, Option<f64>)> {
        report.adapters[0].cases.iter().map(|case| (case.id.clone(), case.status, case.nmse)).collect()
    };
    assert_eq!(found(&one), found(&three));
    assert!(found(&one).len() > 18 && one.valid && three.valid);
    let names = |report: &gpu_resnet::verify::report::Report| -> Vec<String> {
        report.adapters[0].controls.iter().map(|control| control.name.clone()).collect()
    };
    assert_eq!(names(&one), names(&three));
    assert_eq!(ended(&three, "hook kind=crash").0, Status::Crash);
}

#[test]
fn wrong_use_and_missing_adapters_have_their_exit_status() {
    for (status, arguments) in [
        (2, &["--filter", "("][..]),
        (2, &["--filter", "no such case"]),
        (2, &["--variant", "best"]),
        (2, &["--disable", "colours"]),
        (2, &["--timeout", "0"]),
        (2, &["--jobs", "0"]),
        (2, &["--jobs", "many"]),
        (4, &["--backend", "metal"]),
        (4, &["--backend", "metal", "--all-adapters"]),
        (4, &["--adapter", "no such adapter"]),
    ] {
        let output = command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A run that is killed leaves no child behind, even one that hangs.
#[cfg(unix)]
#[test]
fn a_killed_run_leaves_nothing_behind() {
    use std::process::Stdio;
    let mut run = command(&["--filter", "hook kind=hang", "--no-controls"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let parent = run.id().to_string();
    // PIDs of the processes whose parent is `parent`.
    let children = || -> Vec<u32> {
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let of_ours = |id: &u32| {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|ppid| ppid.trim() == parent))
        };
        ids.filter(of_ours).collect()
    };
    let mut found = Vec::new();
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        found = children();
        if !found.is_empty() {
            break;
        }
    }
    // Where there is no /proc there is nothing to look at.
    std::thread::sleep(std::time::Duration::from_secs(2));
    run.kill().unwrap();
    run.wait().unwrap();
    let alive = |id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("--child")
    };
    for _ in 0..100 {
        if !found.iter().any(alive) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{found:?} are still there");
}
