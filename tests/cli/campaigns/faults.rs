//! Faults of the driver, injected at the seam to it: each ends in one sentence and the right status, or is recovered from; nothing is
//! half-written, and the work can go on.

use std::process::Output;
use std::time::{Duration, Instant};

use super::table::row;
use super::task::{self, Bits, Task, check_error, said, sandbox};
use super::tries::Tries;
use crate::cli::support::Sandbox;

/// No run may take longer, whatever happens to it.
const LONGEST: Duration = Duration::from_secs(60);

/// How a fault ended.
#[derive(PartialEq)]
enum End {
    /// It did not strike: the task has fewer occasions.
    Missed,
    Recovered,
    Refused,
}

fn with_fault(here: &Sandbox, task: &Task, fault: &str) -> Output {
    let started = Instant::now();
    let mut command = task.command(here);
    let output = command.args(["--inject", fault]).output().unwrap();
    assert!(started.elapsed() < LONGEST, "{}: {fault} took {:?}", task.name, started.elapsed());
    output
}

fn strike(here: &Sandbox, task: &Task, expected: &Bits, fault: &str) -> End {
    task.clear(here);
    let output = with_fault(here, task, fault);
    let told = said(&output);
    // The faults of verify strike in processes of its own, which say so to it alone.
    let struck = !told.contains("struck 0 times") || task.name.starts_with("verify");
    task.check_whole(here, expected, fault);
    let end = match (struck, output.status.success()) {
        (false, true) => return End::Missed,
        (false, false) => panic!("{}: {fault}: {told}", task.name),
        (true, true) => {
            task.check_done(here, expected, fault);
            task.clear(here);
            End::Recovered
        }
        (true, false) => {
            check_error(task, &output, fault);
            End::Refused
        }
    };
    task.check_goes_on(here, expected, fault);
    end
}

/// Strikes `task` at the occasions of `kind` that `nth` lists, until it has no more; how many there were, and how many it recovered from.
fn all(
    tries: &mut Tries,
    here: &Sandbox,
    task: &Task,
    expected: &Bits,
    kind: &str,
    nth: impl Iterator<Item = u64>,
) -> [usize; 2] {
    let mut count = [0, 0];
    for n in nth {
        let (name, stays) = kind.strip_suffix('+').map_or((kind, ""), |kind| (kind, "+"));
        match tries.attempt(|| strike(here, task, expected, &format!("{name}@{n}{stays}"))) {
            Some(End::Missed) => return count,
            Some(End::Recovered) => count[1] += 1,
            Some(End::Refused) | None => {}
        }
        count[0] += 1;
    }
    count
}

#[test]
fn a_driver_that_fails_ends_in_one_sentence() {
    let here = sandbox();
    let expected = task::INFER.undisturbed(&here);
    for (fault, words) in [
        ("lost@1", "error: the GPU device was lost: "),
        ("shader@1", "error: the GPU reported an error: a kernel could not be compiled: "),
        ("hang@1", "error: the GPU device was lost: it did not finish a submit within 0.05 s; update its driver"),
        ("oom@1+", "error: out of GPU memory: the driver could not allocate a buffer; use a smaller --batch-size"),
    ] {
        task::INFER.clear(&here);
        let output = with_fault(&here, &task::INFER, fault);
        check_error(&task::INFER, &output, fault);
        assert!(said(&output).contains(words), "{fault}: {}", said(&output));
        assert!(!here.path("p.jsonl").exists() && !here.path("l.safetensors").exists(), "{fault} left a file");
    }
    task::INFER.check_goes_on(&here, &expected, "all faults");
    here.bad(2, "it is oom, lost, shader or hang", &["infer", "data", "--inject", "fire@1"]);
}

#[test]
#[ignore = "a campaign of minutes: cargo test --release --test cli faults:: -- --ignored --nocapture"]
fn every_task_survives_every_fault() {
    let here = sandbox();
    let (mut sums, mut tries) = ([0, 0], Tries::default());
    for task in [task::INFER, task::HEAD, task::UNFROZEN, task::TRAIN, task::VERIFY, task::TUNE, task::BENCH] {
        let expected = task.undisturbed(&here);
        for kind in ["oom", "oom+", "lost", "shader", "hang"] {
            // All of the first, then ever fewer.
            let nth = (1u64..).map(|i| if i <= 12 { i } else { 12 + (i - 12) * (i - 12) });
            let most = if task.name.starts_with("verify") || task.resumed.is_none() && task.outputs.is_empty() {
                8
            } else {
                40
            };
            let found = all(&mut tries, &here, &task, &expected, kind, nth.take(most));
            println!("{:40} {kind:7} {:3} faults, {} recovered from", task.name, found[0], found[1]);
            sums = [sums[0] + found[0], sums[1] + found[1]];
        }
    }
    let counts = format!("{}: {} recovered from, the others refused in a sentence", sums[0], sums[1]);
    row("faults of the driver: oom, lost, shader, hang", counts);
    tries.end();
}
