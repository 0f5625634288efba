//! The order of the work of a run, its distribution over workers, and the estimate of the time left.
//!
//! Most of the time goes into compiling: a software driver compiles a kernel, on one core, when it first runs. So the cases of one kernel
//! stay in one batch, which one worker takes, and large batches come first, so that all workers end together. Within a batch the variants
//! of a case follow each other, since they share the twin's values.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::case::Case;
use super::controls::Control;
use super::key::{PRECISION, WINOGRAD};

/// The weight of a task, in units of a case with a compiled kernel, which takes 6 ms: lavapipe 25.0.7 with empty caches (2026-11-28).
/// Compiling takes 2 to 7 s for a convolution kernel and 0.1 s for any other.
const WARM: f64 = 1.0;
const COMPILING: f64 = 15.0;
const COMPILING_CONVOLUTION: f64 = 600.0;
const NETWORK: f64 = 30.0;
const FINGERPRINT: f64 = 120.0;

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Finished cases and negative controls.
    pub done: usize,
    pub total: usize,
    /// Estimated time left; `None` before there is a basis for it.
    pub seconds_left: Option<f64>,
}

/// A part of a run, by its position in the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Work {
    Fingerprint,
    Control(usize),
    Case(usize),
}

/// The key that cases of one compiled kernel share (approximately, since some shapes use other entry points).
fn kernel_of(case: &Case) -> String {
    let variant = case.variant().map_or("", |variant| variant.name());
    let [tile, precision] = [WINOGRAD, PRECISION.name].map(|key| case.word(key));
    format!("{} {variant} {tile} {precision}", case.operation.name)
}

/// The weight of each of `cases`: the first of a kernel compiles it.
fn weights(cases: &[Case]) -> Vec<f64> {
    let mut seen = HashSet::new();
    let weight = |case: &Case| match case.operation.name {
        "network" | "network_backward" => NETWORK,
        _ if seen.insert(kernel_of(case)) => compiling(case),
        _ => WARM,
    };
    cases.iter().map(weight).collect()
}

fn compiling(case: &Case) -> f64 {
    if case.variant().is_some() { COMPILING_CONVOLUTION } else { COMPILING }
}

/// A negative control always compiles its broken kernel.
fn weight_of(control: &Control) -> f64 {
    Case::parse(&control.case).map_or(COMPILING, |case| compiling(&case))
}

/// All work, in the order in which `jobs` workers should start it: the fingerprint, the negative controls, since nothing else counts if one
/// is not caught, and the cases.
pub(super) fn batches(cases: &[Case], controls: &[&Control], jobs: usize) -> VecDeque<Vec<Work>> {
    let mut batches: VecDeque<Vec<Work>> = VecDeque::from([vec![Work::Fingerprint]]);
    batches.extend((0..controls.len()).map(|control| vec![Work::Control(control)]));
    let weights = weights(cases);
    let mut parts: Vec<(f64, Vec<usize>)> = Vec::new();
    let mut start = 0;
    for run in cases.chunk_by(|a, b| a.operation.name == b.operation.name) {
        parts.extend(split(start, run, &weights, jobs));
        start += run.len();
    }
    if jobs > 1 {
        parts.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    }
    batches.extend(parts.into_iter().map(|(_, cases)| cases.into_iter().map(Work::Case).collect()));
    batches
}

/// Divides the cases `run` of one operation, the first of which is number `start`, into at most `jobs` parts of similar weight, each with
/// different kernels, in the order of the list.
fn split(start: usize, run: &[Case], weights: &[f64], jobs: usize) -> Vec<(f64, Vec<usize>)> {
    // Whole networks share most of their kernels, but spend most of their time running.
    let mut kernels: Vec<(String, f64, Vec<usize>)> = Vec::new();
    for (index, case) in (start..).zip(run) {
        let kernel = kernel_of(case);
        match kernels.iter_mut().find(|(known, ..)| *known == kernel) {
            Some((_, weight, cases)) => {
                *weight += weights[index];
                cases.push(index);
            }
            None => kernels.push((kernel, weights[index], vec![index])),
        }
    }
    kernels.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
    let mut parts: Vec<(f64, Vec<usize>)> = vec![(0.0, Vec::new()); jobs.min(kernels.len())];
    for (_, weight, cases) in kernels {
        let lightest = parts.iter_mut().min_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some((sum, part)) = lightest {
            *sum += weight;
            part.extend(cases);
        }
    }
    parts.iter_mut().for_each(|(_, cases)| cases.sort_unstable());
    parts
}

/// The estimated duration of a run, from the weights of its parts and the speed so far.
pub(super) struct Estimate {
    cases: Vec<f64>,
    controls: Vec<f64>,
    total: f64,
    done: f64,
    tasks: usize,
    tasks_done: usize,
}

impl Estimate {
    pub fn new(cases: &[Case], controls: &[&Control]) -> Self {
        let tasks = cases.len() + controls.len();
        let cases = weights(cases);
        let controls: Vec<f64> = controls.iter().map(|control| weight_of(control)).collect();
        let total = FINGERPRINT + cases.iter().chain(&controls).sum::<f64>();
        Self { cases, controls, total, done: 0.0, tasks, tasks_done: 0 }
    }

    /// `work` has finished.
    pub fn note(&mut self, work: Work) {
        self.done += match work {
            Work::Fingerprint => FINGERPRINT,
            Work::Control(control) => self.controls[control],
            Work::Case(case) => self.cases[case],
        };
        self.tasks_done += usize::from(work != Work::Fingerprint);
    }

    pub fn progress(&self, elapsed: Duration) -> Progress {
        let rate = self.done / elapsed.as_secs_f64().max(1e-9);
        let seconds_left = (self.done > 0.0).then(|| ((self.total - self.done) / rate).max(0.0));
        Progress { done: self.tasks_done, total: self.tasks, seconds_left }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Suite, cases};
    use super::super::controls::controls;
    use super::*;

    #[test]
    fn every_job_count_does_all_work_once_and_kernels_stay_together() {
        let (cases, controls): (_, Vec<&Control>) = (cases(Suite::Quick).unwrap(), controls().iter().collect());
        for jobs in [1, 2, 3, 64] {
            let batches = batches(&cases, &controls, jobs);
            let all: Vec<Work> = batches.iter().flatten().copied().collect();
            let unique: HashSet<Work> = all.iter().copied().collect();
            assert_eq!((all.len(), unique.len()), (1 + controls.len() + cases.len(), all.len()));
            let mut owner = std::collections::HashMap::new();
            for (batch, work) in batches.iter().enumerate().flat_map(|(i, batch)| batch.iter().map(move |w| (i, w))) {
                if let Work::Case(case) = *work {
                    let first = *owner.entry(kernel_of(&cases[case])).or_insert(batch);
                    assert_eq!(first, batch, "{} is in two batches", cases[case]);
                }
            }
        }
    }

    #[test]
    fn one_worker_keeps_the_order_of_the_list() {
        let cases = cases(Suite::Quick).unwrap();
        let order = batches(&cases, &[], 1).into_iter().flatten().skip(1);
        assert!(order.eq((0..cases.len()).map(Work::Case)));
    }

    #[test]
    fn the_time_left_goes_by_what_is_done() {
        let cases: Vec<Case> =
            ["relu count=1", "relu count=2", "relu count=3"].map(|line| Case::parse(line).unwrap()).into();
        let mut estimate = Estimate::new(&cases, &[]);
        assert_eq!(estimate.progress(Duration::from_secs(1)).seconds_left, None);
        estimate.note(Work::Fingerprint);
        estimate.note(Work::Case(0));
        // As many seconds as units were done; two warm cases are left.
        let progress = estimate.progress(Duration::from_secs_f64(FINGERPRINT + COMPILING));
        assert_eq!((progress.done, progress.total), (1, 3));
        assert!((progress.seconds_left.unwrap() - 2.0 * WARM).abs() < 1e-9);
        estimate.note(Work::Case(1));
        estimate.note(Work::Case(2));
        assert!(estimate.progress(Duration::from_secs(102)).seconds_left.unwrap() < 1e-9);
    }
}
