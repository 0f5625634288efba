//! Runs that are killed at any moment: nothing half-written has a final name, what a killed process leaves does not add up, and the work
//! goes on to the same bits.

#![cfg(unix)]

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::task::{self, Bits, Task, parts, sandbox};
use crate::cli::support::Sandbox;

/// Signals, each followed by another or not.
pub const SIGNALS: [&[&str]; 4] = [&["KILL"], &["TERM"], &["INT"], &["INT", "INT"]];
/// How long a run may take to end once it was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

fn send(child: &Child, signal: &str) {
    // A process that has ended is still this one's child, so its number is its own.
    let _ = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
}

/// Sends `signals` after `moment`; how it ended, or nothing if it had ended by then.
pub fn disturb(command: &mut Command, moment: Duration, signals: &[&str], what: &str) -> Option<ExitStatus> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(moment);
    if child.try_wait().unwrap().is_some() {
        return None;
    }
    for signal in signals {
        send(&child, signal);
        std::thread::sleep(Duration::from_millis(2));
    }
    let asked = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if asked.elapsed() > ENDS_WITHIN {
            let _ = child.kill();
            panic!("{what}: it did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let said = task::said(&output);
    assert!(!said.replace("error: interrupted", "").contains("error:"), "{what}: {said}");
    // Interrupted, ended by the signal where nothing had to be put in order, or finished at that moment.
    assert!([None, Some(0), Some(130)].contains(&output.status.code()), "{what}: {}: {said}", output.status);
    Some(output.status)
}

/// How far a run had come when it was killed, as far as its folder tells.
fn phase(here: &Sandbox) -> &'static str {
    let lines = std::fs::read_to_string(here.path("run/metrics.jsonl")).map_or(0, |text| text.lines().count());
    match () {
        () if here.path("run/model.safetensors").exists() => "saving or later",
        () if lines > 0 => "epochs",
        () if here.path("run/config.toml").exists() => "features and sweep",
        () => "start",
    }
}

/// Kills `task` `times` times at moments of its whole duration.
fn kill(random: &mut ChaCha8Rng, here: &Sandbox, task: &Task, expected: &Bits, times: usize) {
    task.clear(here);
    let started = Instant::now();
    task.undisturbed(here);
    let whole = started.elapsed();
    let mut phases = std::collections::BTreeMap::new();
    let mut done = 0;
    while done < times {
        task.clear(here);
        let signals = SIGNALS[done % SIGNALS.len()];
        let moment = whole.mul_f64(random.random_range(0.0..1.0));
        let what = format!("{}: {signals:?} after {moment:?}", task.name);
        if disturb(&mut task.command(here), moment, signals, &what).is_none() {
            continue;
        }
        done += 1;
        *phases.entry(phase(here)).or_insert(0) += 1;
        task.check_whole(here, expected, &what);
        // What a killed process was writing: at most one temporary file for each file.
        let left = parts(&here.path(""));
        assert!(left.len() <= 4, "{what}: {left:?}");
        task.check_goes_on(here, expected, &what);
    }
    println!("{:45} {times:3} kills in {whole:?}: {phases:?}", task.name);
}

fn campaign(seed: u64, counts: &[(Task, usize)]) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let here = sandbox();
    for (task, times) in counts {
        let expected = task.undisturbed(&here);
        kill(&mut random, &here, task, &expected, *times);
    }
}

#[test]
fn a_killed_infer_leaves_nothing_that_adds_up() {
    campaign(1, &[(task::INFER, 3)]);
}

#[test]
#[ignore = "a campaign of minutes: cargo test --release --test cli kills:: -- --ignored --nocapture"]
fn every_task_can_be_killed_at_any_moment() {
    campaign(
        2026,
        &[
            (task::HEAD, 40),
            (task::UNFROZEN, 30),
            (task::HALF, 20),
            (task::TRAIN, 30),
            (task::INFER, 26),
            (task::VERIFY, 12),
            (task::TUNE, 12),
        ],
    );
}
