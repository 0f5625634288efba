//! Runs that are killed at any moment: nothing half-written has a final name, what a killed process leaves does not add up, and the work
//! goes on to the same bits. Each phase of a run gets its share of the kills, and of every third the run that goes on is killed as well.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::moment::{Moment, disturb, timeline};
use super::table::row;
use super::task::{self, Bits, Task, parts, sandbox};
use crate::cli::support::Sandbox;

/// Signals, each followed by another or not.
pub const SIGNALS: [&[&str]; 4] = [&["KILL"], &["TERM"], &["INT"], &["INT", "INT"]];

/// A task's phases: the name of each, and a part of the line on stderr that it begins with.
type Phases = &'static [(&'static str, &'static str)];

const WHOLE: Phases = &[("any", "")];
/// The device is opened and its kernels are compiled; features; the sweep with the first epoch; epochs; saving.
const OF_HEAD: Phases = &[
    ("start", ""),
    ("features", "images of 2 classes to train on"),
    ("sweep", "validation features in"),
    ("epochs", "epoch   1:"),
    ("saving", "trained in"),
];
const OF_NETWORK: Phases =
    &[("start", ""), ("first epoch", "on the device:"), ("epochs", "epoch   1:"), ("saving", "trained in")];

/// A run of more epochs than in the other campaigns.
const HEAD: Task = Task { more: &["--epochs", "60"], ..task::HEAD };
const UNFROZEN: Task = Task { more: &["--unfreeze", "all", "--epochs", "8"], ..task::UNFROZEN };
const HALF: Task = Task { more: &["--unfreeze", "all", "--epochs", "6", "--precision", "f16"], ..task::HALF };
const TRAIN: Task = Task { more: &["--epochs", "10"], ..task::TRAIN };

/// How often tasks were killed: in all, within the second run, and by the phase of the first.
#[derive(Default)]
struct Counts {
    kills: usize,
    again: usize,
    phases: BTreeMap<&'static str, usize>,
}

/// The phase that output which has `said` so much is of.
fn phase(phases: Phases, said: &str) -> &'static str {
    phases.iter().rev().find(|(_, line)| said.contains(line)).map_or("start", |(name, _)| name)
}

struct Campaign<'a> {
    random: ChaCha8Rng,
    here: &'a Sandbox,
    task: &'a Task,
    phases: Phases,
    /// When each phase began and the last ended, in a run that was left in peace.
    times: Vec<Duration>,
    expected: Bits,
}

impl<'a> Campaign<'a> {
    fn new(here: &'a Sandbox, task: &'a Task, phases: Phases) -> Self {
        task.clear(here);
        let expected = task.undisturbed(here);
        task.clear(here);
        let marks: Vec<&str> = phases.iter().map(|(_, line)| *line).collect();
        let times = timeline(&mut task.command(here), &marks);
        Self { random: ChaCha8Rng::seed_from_u64(2026), here, task, phases, times, expected }
    }

    /// A moment of phase `number`.
    fn moment(&mut self, number: usize) -> Moment {
        let length = self.times[number + 1].saturating_sub(self.times[number]);
        Moment { after: self.phases[number].1, delay: length.mul_f64(self.random.random_range(0.0..1.0)) }
    }

    /// Kills the task at `moment`, and in its second run too if that is to be; the phase that it had come to, and whether the second run
    /// was killed. Nothing if it had ended before.
    fn kill(&mut self, moment: Moment, signals: &[&str], twice: bool) -> Option<(&'static str, bool)> {
        let Self { here, task, .. } = *self;
        task.clear(here);
        let what = format!("{}: {signals:?} {:?} after {:?}", task.name, moment.delay, moment.after);
        let said = disturb(&mut task.command(here), moment, signals, &what)?;
        self.check_whole(&what);
        let mut again = false;
        if twice {
            let whole = self.times.last().copied().unwrap_or_default();
            let moment = Moment { after: "", delay: whole.mul_f64(self.random.random_range(0.0..0.7)) };
            again = disturb(&mut task.next(here), moment, signals, &format!("{what}, then again")).is_some();
            self.check_whole(&format!("{what}, then again {moment:?}"));
        }
        task.check_goes_on(here, &self.expected, &what);
        Some((phase(self.phases, &said), again))
    }

    fn check_whole(&self, what: &str) {
        self.task.check_whole(self.here, &self.expected, what);
        // What a killed process was writing: at most one temporary file for each file.
        let left = parts(&self.here.path(""));
        assert!(left.len() <= 4, "{what}: {left:?}");
    }

    /// Kills it `times` times, as often in each phase as that can be.
    fn run(&mut self, times: usize) -> Counts {
        let mut counts =
            Counts { phases: self.phases.iter().map(|(name, _)| (*name, 0)).collect(), ..Counts::default() };
        let mut tries = 0;
        while counts.kills < times {
            tries += 1;
            assert!(tries <= 10 * times, "{}: {} of {times} kills came in time", self.task.name, counts.kills);
            let least = self.phases.iter().enumerate().min_by_key(|(_, (name, _))| counts.phases[name]);
            let moment = self.moment(least.map_or(0, |(number, _)| number));
            let twice = self.task.resumed.is_some() && counts.kills % 3 == 2;
            let Some((phase, again)) = self.kill(moment, SIGNALS[counts.kills % SIGNALS.len()], twice) else {
                continue;
            };
            counts.kills += 1;
            counts.again += usize::from(again);
            *counts.phases.entry(phase).or_default() += 1;
        }
        println!("{:40} {times:3} kills, {} twice: {:?}", self.task.name, counts.again, counts.phases);
        counts
    }
}

#[test]
fn a_killed_infer_leaves_nothing_that_adds_up() {
    Campaign::new(&sandbox(), &task::INFER, WHOLE).run(3);
}

#[test]
fn a_run_that_is_killed_between_epochs_and_then_again_ends_in_the_same_bits() {
    let here = sandbox();
    let mut campaign = Campaign::new(&here, &HEAD, OF_HEAD);
    let between = loop {
        let moment = campaign.moment(3);
        match campaign.kill(moment, &["KILL"], true) {
            Some((phase, _)) => break phase,
            None => continue,
        }
    };
    assert!(["epochs", "saving"].contains(&between), "{between}");
}

#[test]
#[ignore = "a campaign of minutes: cargo test --release --test cli kills:: -- --ignored --nocapture"]
fn every_task_can_be_killed_at_any_moment() {
    let here = sandbox();
    let (mut all, mut again, mut names, mut phases) = (0, 0, Vec::new(), BTreeMap::new());
    for (task, of, times) in [
        (HEAD, OF_HEAD, 60),
        (UNFROZEN, OF_NETWORK, 45),
        (HALF, OF_NETWORK, 25),
        (TRAIN, OF_NETWORK, 40),
        (task::INFER, WHOLE, 14),
        (task::VERIFY, WHOLE, 8),
        (task::TUNE, WHOLE, 8),
    ] {
        let counts = Campaign::new(&here, &task, of).run(times);
        (all, again) = (all + counts.kills, again + counts.again);
        names.push(format!("`{}` {}", task.name, counts.kills));
        for (name, count) in counts.phases.into_iter().filter(|(name, _)| *name != "any") {
            *phases.entry(name).or_insert(0) += count;
        }
    }
    let phases: Vec<String> = phases.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let counts = format!(
        "{all}: {}. Runs by phase: {}. {again} were killed again as they went on",
        names.join(", "),
        phases.join(", ")
    );
    row("kills: SIGKILL, SIGTERM, SIGINT, SIGINT twice", counts);
}
