//! Runs tasks in one child at a time. A child that died, hung, or lost its device is replaced, and the case that it was running runs again,
//! alone.

use std::collections::BTreeSet;
use std::time::Duration;

use super::case::Case;
use super::check::unmeasured;
use super::child::{Child, NoAnswer, Setup};
use super::controls::{self, Control};
use super::report::{CaseResult, ControlResult, Fingerprint, Peaks, Status};
use super::task::{Answer, Task};
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Capabilities};

/// How many times longer than a case a negative control may take at its second attempt.
const PATIENCE: u32 = 4;

/// Sends tasks to children of one adapter, one child after the other.
pub(super) struct Worker<'a> {
    setup: &'a Setup,
    /// The time limit of a task.
    timeout: Duration,
    /// Whether to stop in the middle of a task.
    stop: &'a (dyn Fn() -> bool + Sync),
    child: Option<Child>,
    /// Whether a child was lost, and with it its list of shaders.
    lost: bool,
}

impl<'a> Worker<'a> {
    pub fn new(setup: &'a Setup, timeout: Duration, stop: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { setup, timeout, stop, child: None, lost: false }
    }

    /// Sends a task to the running child, or to a new one. A child that gives no answer is discarded.
    fn ask(&mut self, task: &Task) -> Result<Result<Answer, NoAnswer>> {
        if (self.stop)() {
            return Err(Error::Interrupted);
        }
        let mut child = match self.child.take() {
            Some(child) => child,
            None => Child::start(self.setup)?,
        };
        match child.ask(task, self.timeout, self.stop) {
            Err(NoAnswer::Stopped) => Err(Error::Interrupted),
            Err(ended) => {
                self.lost = true;
                Ok(Err(ended))
            }
            Ok(answer) => {
                self.child = Some(child);
                Ok(Ok(answer))
            }
        }
    }

    /// Describes the adapter.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if its device can't be opened.
    pub fn describe(&mut self) -> Result<(AdapterReport, Capabilities)> {
        let failed = |how: String| Err(Error::NoAdapter(format!("the adapter could not be opened: {how}")));
        match self.ask(&Task::Describe)? {
            Ok(Answer::Description(described)) => Ok(*described),
            Ok(other) => failed(format!("{other:?}")),
            Err(NoAnswer::Died(how)) => failed(how),
            Err(NoAnswer::Timeout | NoAnswer::Stopped) => failed("it did not answer in time".into()),
        }
    }

    /// The adapter's fingerprint; `None` if the probes could not run.
    pub fn fingerprint(&mut self) -> Result<Option<Fingerprint>> {
        Ok(match self.ask(&Task::Fingerprint)? {
            Ok(Answer::Fingerprint(fingerprint)) => Some(fingerprint),
            _ => None,
        })
    }

    /// The adapter's peaks; `None` if they could not be measured.
    pub fn peaks(&mut self) -> Result<Option<Peaks>> {
        Ok(match self.ask(&Task::Peaks)? {
            Ok(Answer::Peaks(peaks)) => Some(peaks),
            _ => None,
        })
    }

    /// The shaders that this worker's cases used; `None` if a child that would know was lost.
    pub fn shaders(&mut self) -> Result<Option<BTreeSet<String>>> {
        if self.child.is_none() || self.lost {
            return Ok((!self.lost).then(BTreeSet::new));
        }
        Ok(match self.ask(&Task::Shaders)? {
            Ok(Answer::Shaders(names)) => Some(names),
            _ => None,
        })
    }

    /// Runs a negative control; `None` if the adapter can't run the kernel that it breaks. One that does not end in time is tried once more
    /// with a longer limit, since a compiler that is slow on a busy machine would make the run invalid.
    pub fn control(&mut self, control: &Control) -> Result<Option<ControlResult>> {
        let missed = |how: String| Some(controls::missed(control, how));
        let task = Task::Control(control.name.clone());
        let mut answer = self.ask(&task)?;
        if matches!(answer, Err(NoAnswer::Timeout)) {
            let timeout = self.timeout;
            self.timeout = timeout * PATIENCE;
            let again = self.ask(&task);
            self.timeout = timeout;
            answer = again?;
        }
        Ok(match answer {
            Ok(Answer::Control(result)) => result,
            Ok(other) => missed(format!("it could not run: {other:?}")),
            Err(NoAnswer::Died(how)) => missed(how),
            Err(NoAnswer::Timeout | NoAnswer::Stopped) => missed("it did not end in time".into()),
        })
    }

    /// Runs one case in the current child, and again alone in a new one if that fails.
    pub fn case(&mut self, case: &Case) -> Result<CaseResult> {
        let fresh = self.child.is_none();
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

    /// The result, and whether its child can continue.
    fn attempt(&mut self, case: &Case) -> Result<(CaseResult, bool)> {
        let failed = |status, message: String| (unmeasured(case, status, message), false);
        Ok(match self.ask(&Task::Case(case.to_string()))? {
            Ok(Answer::Case(result)) => {
                let alive = !matches!(result.status, Status::Oom | Status::DeviceLost);
                if !alive {
                    (self.child, self.lost) = (None, true);
                }
                (*result, alive)
            }
            Ok(other) => (unmeasured(case, Status::Fail, format!("it could not run: {other:?}")), true),
            Err(NoAnswer::Died(how)) => failed(Status::Crash, format!("its process died ({how})")),
            Err(NoAnswer::Timeout | NoAnswer::Stopped) => {
                failed(Status::Timeout, format!("it was stopped after {} s", self.timeout.as_secs_f64()))
            }
        })
    }
}
