//! A run over one adapter: what it is, the negative controls, every case in a child process, and alone in a new one when
//! a child died, hung, or lost its device.

use std::time::{Duration, Instant};

use super::case::Case;
use super::check::unmeasured;
use super::child::{Answer, Child, Ended, Setup, Task};
use super::controls::{self, Control};
use super::expectations::Expectations;
use super::report::{AdapterRun, CaseResult, ControlResult, Status};
use crate::error::{Error, Result};

/// Runs tasks in children, one after the other.
pub struct Runner {
    setup: Setup,
    /// The most that a task may take.
    timeout: Duration,
    /// Whether to measure the adapter's peaks.
    peaks: bool,
    child: Option<Child>,
}

/// What a run tells while it goes on.
pub trait Observer {
    /// A case is over, the `done`th of `total`.
    fn case(&mut self, result: &CaseResult, done: usize, total: usize);
    /// Whether to stop here.
    fn stop(&self) -> bool {
        false
    }
}

impl Runner {
    pub fn new(setup: Setup, timeout: Duration, peaks: bool) -> Self {
        Self { setup, timeout, peaks, child: None }
    }

    /// Asks the running child, or a new one. A child that gave no answer is gone.
    fn ask(&mut self, task: &Task) -> Result<Result<Answer, Ended>> {
        let mut child = match self.child.take() {
            Some(child) => child,
            None => Child::start(&self.setup)?,
        };
        let answer = child.ask(task, self.timeout);
        if answer.is_ok() {
            self.child = Some(child);
        }
        Ok(answer)
    }

    /// Whether the next task is the first of its child.
    fn is_fresh(&self) -> bool {
        self.child.is_none()
    }

    /// Everything about one adapter.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if the device can't be opened, [`Error::Interrupted`] if the observer says stop, and a program
    /// that doesn't start. Whatever happens to cases is a result.
    pub fn run(
        &mut self,
        cases: &[Case],
        controls: &[&Control],
        expectations: &Expectations,
        observer: &mut dyn Observer,
    ) -> Result<AdapterRun> {
        let started = Instant::now();
        let (adapter, capabilities) = match self.ask(&Task::Describe)? {
            Ok(Answer::Description(described)) => *described,
            Ok(other) => return Err(Error::NoAdapter(format!("the adapter could not be opened: {other:?}"))),
            Err(Ended::Timeout) => return Err(Error::NoAdapter("the adapter was not opened in time".into())),
            Err(Ended::Died(how)) => return Err(Error::NoAdapter(format!("the adapter could not be opened: {how}"))),
        };
        let fingerprint = match self.ask(&Task::Fingerprint)? {
            Ok(Answer::Fingerprint(fingerprint)) => Some(fingerprint),
            _ => None,
        };
        let mut run = AdapterRun {
            adapter,
            capabilities,
            fingerprint,
            peaks: None,
            controls: vec![],
            cases: vec![],
            seconds: 0.0,
        };
        for control in controls {
            if observer.stop() {
                return Err(Error::Interrupted);
            }
            run.controls.extend(self.control(control)?);
        }
        for (index, case) in cases.iter().enumerate() {
            if observer.stop() {
                return Err(Error::Interrupted);
            }
            let mut result = self.case(case)?;
            if result.status != Status::Unsupported {
                result.expectation = expectations.of(&run.adapter, &result.id);
            }
            observer.case(&result, index + 1, cases.len());
            run.cases.push(result);
        }
        if self.peaks
            && let Ok(Answer::Peaks(peaks)) = self.ask(&Task::Peaks)?
        {
            run.peaks = Some(peaks);
        }
        run.seconds = started.elapsed().as_secs_f64();
        Ok(run)
    }

    fn control(&mut self, control: &Control) -> Result<Option<ControlResult>> {
        Ok(match self.ask(&Task::Control(control.name.clone()))? {
            Ok(Answer::Control(result)) => result,
            Ok(other) => Some(controls::missed(control, format!("it could not run: {other:?}"))),
            Err(Ended::Timeout) => Some(controls::missed(control, "it did not end in time".into())),
            Err(Ended::Died(how)) => Some(controls::missed(control, how)),
        })
    }

    /// One case: in the child of those before it, and alone in a new one if that did not go well.
    fn case(&mut self, case: &Case) -> Result<CaseResult> {
        let fresh = self.is_fresh();
        let (first, alive) = self.attempt(case)?;
        if alive || fresh {
            return Ok(first);
        }
        let (mut again, _) = self.attempt(case)?;
        if again.status != first.status {
            let first = format!("after other cases it ended as {}: {}", first.status.name(), first.message);
            again.message = if again.message.is_empty() { first } else { format!("{}; {first}", again.message) };
        }
        Ok(again)
    }

    /// The result, and whether its child can go on.
    fn attempt(&mut self, case: &Case) -> Result<(CaseResult, bool)> {
        let failed = |status, message: String| (unmeasured(case, status, message), false);
        Ok(match self.ask(&Task::Case(case.to_string()))? {
            Ok(Answer::Case(result)) => {
                let alive = !matches!(result.status, Status::Oom | Status::DeviceLost);
                if !alive {
                    self.child = None;
                }
                (*result, alive)
            }
            Ok(other) => (unmeasured(case, Status::Fail, format!("it could not run: {other:?}")), true),
            Err(Ended::Timeout) => {
                failed(Status::Timeout, format!("it was stopped after {} s", self.timeout.as_secs_f64()))
            }
            Err(Ended::Died(how)) => failed(Status::Crash, format!("its process died ({how})")),
        })
    }
}
