//! A run over one adapter: its description, the negative controls, and every case, by one worker or several in parallel.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use web_time::Instant;

use super::case::Case;
use super::child::Setup;
use super::controls::Control;
use super::coverage;
use super::expectations::Expectations;
use super::report::{AdapterRun, CaseResult, ControlResult, Fingerprint, Status};
pub use super::schedule::Progress;
use super::schedule::{Estimate, Work, batches};
use super::worker::Worker;
use crate::error::{Error, Result};
use crate::gpu::AdapterReport;

/// How often the observer is asked whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs all tasks for one adapter in child processes.
pub struct Runner {
    pub setup: Setup,
    /// The time limit of a task.
    pub timeout: Duration,
    /// Whether to measure the adapter's peaks.
    pub peaks: bool,
    /// Children in parallel; `None` means [`default_jobs`].
    pub jobs: Option<usize>,
    /// Whether the cases cover every kernel, so that a shader that none of them runs is an error.
    pub every_kernel: bool,
    /// No case or control starts after this time; the rest is counted.
    pub limit: Option<Duration>,
}

/// The most children that run in parallel by default: there are few kernels to distribute, and each child needs memory.
const MOST_JOBS: usize = 8;

/// How many children run in parallel on `adapter`: one per core on a software driver, which compiles shaders on one core. Hardware runs
/// one, so that times belong to a single case and watchdogs see the work of one process.
pub fn default_jobs(adapter: &AdapterReport) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    if adapter.kind == "cpu" { cores.min(MOST_JOBS) } else { 1 }
}

/// The observer of a run.
pub trait Observer {
    /// A case has finished.
    fn case(&mut self, result: &CaseResult);
    /// Called several times a second.
    fn progress(&mut self, _progress: Progress) {}
    /// Whether to stop here.
    fn stop(&self) -> bool {
        false
    }
}

/// A worker's message: which work has finished, and how.
enum Event {
    Fingerprint(Option<Fingerprint>),
    Control(usize, Option<ControlResult>),
    Case(usize, Box<CaseResult>),
    /// A worker's last message: the shaders that it ran, if known.
    Shaders(Option<BTreeSet<String>>),
    /// The run can't continue.
    Failed(Error),
}

/// The state that all workers share.
struct Shared<'a> {
    queue: Mutex<VecDeque<Vec<Work>>>,
    cases: &'a [Case],
    controls: &'a [&'a Control],
    stop: AtomicBool,
    deadline: Option<Instant>,
}

impl Shared<'_> {
    /// Works through the queue, one batch after the other; then sends the list of shaders that were used.
    fn work(&self, worker: &mut Worker, events: &Sender<Event>) {
        let next = || self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let is_late = |work: &Work| {
            *work != Work::Fingerprint && self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
        };
        for work in std::iter::from_fn(next).flatten().filter(|work| !is_late(work)) {
            let event = match work {
                Work::Fingerprint => worker.fingerprint().map(Event::Fingerprint),
                Work::Control(i) => worker.control(self.controls[i]).map(|result| Event::Control(i, result)),
                Work::Case(i) => worker.case(&self.cases[i]).map(|result| Event::Case(i, result.into())),
            };
            let event = event.unwrap_or_else(Event::Failed);
            let failed = matches!(event, Event::Failed(_));
            if events.send(event).is_err() || failed {
                return;
            }
        }
        // If the run failed, nobody receives this.
        let _ = events.send(worker.shaders().map_or_else(Event::Failed, Event::Shaders));
    }
}

impl Runner {
    /// Everything about one adapter. Results are in the order of `cases` and `controls`.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if the device can't be opened, [`Error::Interrupted`] if the observer says stop, and a program
    /// that doesn't start. Anything that happens to cases is a result.
    pub fn run(
        &self,
        cases: &[Case],
        controls: &[&Control],
        expectations: &Expectations,
        observer: &mut dyn Observer,
    ) -> Result<AdapterRun> {
        let started = Instant::now();
        let deadline = self.limit.map(|limit| started + limit);
        let shared = Shared { queue: Mutex::default(), cases, controls, stop: AtomicBool::new(false), deadline };
        let stop = || shared.stop.load(Ordering::Relaxed);
        let mut first = Worker::new(&self.setup, self.timeout, &stop);
        let (adapter, capabilities) = first.describe()?;
        let jobs = self.jobs.unwrap_or_else(|| default_jobs(&adapter));
        *shared.queue.lock().unwrap_or_else(PoisonError::into_inner) = batches(cases, controls, jobs);
        let mut results = Results::new(adapter, expectations, (cases, controls));
        std::thread::scope(|scope| {
            let (sender, events) = channel();
            for mut worker in (1..jobs).map(|_| Worker::new(&self.setup, self.timeout, &stop)) {
                let (sender, shared) = (sender.clone(), &shared);
                scope.spawn(move || shared.work(&mut worker, &sender));
            }
            let (first, shared) = (&mut first, &shared);
            scope.spawn(move || shared.work(first, &sender));
            let outcome = results.collect(&events, started, observer);
            shared.stop.store(outcome.is_err(), Ordering::Relaxed);
            outcome
        })?;
        // The other workers and their children have ended, so nothing else runs meanwhile.
        let peaks = if self.peaks { first.peaks()? } else { None };
        let Results { adapter, fingerprint, controls, cases, shaders, .. } = results;
        let left_out = cases.iter().filter(|result| result.is_none()).count();
        let all = self.every_kernel && left_out == 0;
        let shaders_not_run = shaders.filter(|_| all).map(|ran| coverage::left_out(&adapter, &ran));
        let (controls, cases) = (controls.into_iter().flatten().collect(), cases.into_iter().flatten().collect());
        let seconds = started.elapsed().as_secs_f64();
        Ok(AdapterRun {
            adapter,
            capabilities,
            fingerprint,
            peaks,
            controls,
            cases,
            left_out,
            shaders_not_run,
            seconds,
        })
    }
}

/// The results so far, by position.
struct Results<'a> {
    adapter: AdapterReport,
    expectations: &'a Expectations,
    fingerprint: Option<Fingerprint>,
    controls: Vec<Option<ControlResult>>,
    cases: Vec<Option<CaseResult>>,
    /// Shaders that ran; `None` if unknown for some worker.
    shaders: Option<BTreeSet<String>>,
    estimate: Estimate,
}

impl<'a> Results<'a> {
    fn new(adapter: AdapterReport, expectations: &'a Expectations, lists: (&[Case], &[&Control])) -> Self {
        let (cases, controls) = lists;
        Self {
            adapter,
            expectations,
            fingerprint: None,
            controls: vec![None; controls.len()],
            cases: vec![None; cases.len()],
            shaders: Some(BTreeSet::new()),
            estimate: Estimate::new(cases, controls),
        }
    }

    /// Receives messages until all workers are done.
    fn collect(&mut self, events: &Receiver<Event>, started: Instant, observer: &mut dyn Observer) -> Result<()> {
        loop {
            match events.recv_timeout(LOOK_EVERY) {
                Ok(event) => self.take(event, observer)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            observer.progress(self.estimate.progress(started.elapsed()));
            if observer.stop() {
                return Err(Error::Interrupted);
            }
        }
    }

    fn take(&mut self, event: Event, observer: &mut dyn Observer) -> Result<()> {
        match event {
            Event::Fingerprint(fingerprint) => {
                self.fingerprint = fingerprint;
                self.estimate.note(Work::Fingerprint);
            }
            Event::Control(i, result) => {
                self.controls[i] = result;
                self.estimate.note(Work::Control(i));
            }
            Event::Case(i, mut result) => {
                if result.status != Status::Unsupported {
                    result.expectation = self.expectations.of(&self.adapter, &result.id);
                }
                observer.case(&result);
                self.cases[i] = Some(*result);
                self.estimate.note(Work::Case(i));
            }
            Event::Shaders(names) => {
                self.shaders = self.shaders.take().zip(names).map(|(mut all, names)| {
                    all.extend(names);
                    all
                });
            }
            Event::Failed(error) => return Err(error),
        }
        Ok(())
    }
}
