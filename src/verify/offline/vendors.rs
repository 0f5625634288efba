//! Compiles every kernel with the compilers of GPUs that are not installed. A kernel that is refused, spills, or takes scratch memory is a failure.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::super::child::{Child, NoAnswer, Setup};
use super::super::expectations::Expectations;
use super::super::inspect::{Compilation, KernelName, spill};
use super::super::report::{Expectation, Status};
use super::super::task::{Answer, Task};
use super::tools::Limits;
use crate::bench::Figures;
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, KernelSpec};

/// A driver that did not end on this many kernels, or crashed on them, gets no others, so that the whole check ends too.
const MOST_LOST: usize = 5;
/// How many of a driver's failure messages are printed; the JSON has all.
const SHOWN: usize = 10;

/// The results of all GPUs' compilers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VendorReport {
    /// Why no compiler ran, if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    pub gpus: Vec<VendorRun>,
}

/// One GPU.
#[derive(Debug, Clone, Serialize)]
pub struct VendorRun {
    /// Its name in `scripts/vendor-gpus.sh`.
    pub gpu: String,
    /// The driver's own name for its device; `None` if it could not be opened.
    pub adapter: Option<AdapterReport>,
    /// Why the driver could not be used, or why its results are invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    pub kernels: Vec<VendorKernel>,
    pub seconds: f64,
}

/// One kernel on one GPU.
#[derive(Debug, Clone, Serialize)]
pub struct VendorKernel {
    /// `SHADER ENTRY CONSTANT=VALUE …`
    pub kernel: String,
    pub status: Status,
    /// What is wrong, or why the GPU never runs it; empty for a pass.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// A known bug that covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expectation: Option<Expectation>,
}

impl VendorKernel {
    /// Whether it ended otherwise than expected: a failure that no expectation covers, or a pass where one does.
    pub fn is_unexpected(&self) -> bool {
        match &self.expectation {
            Some(expectation) => expectation.expected != self.status,
            None => !self.status.is_good(),
        }
    }
}

/// Kernels that are broken on purpose: what is wrong with each, the fault, and whether it still compiles.
const CONTROLS: [(&str, &str, bool); 2] = [
    (
        "takes scratch memory",
        "relu: output[i] = Stored4(rectify(vec4f(input[i]))); => var kept: array<vec4f, 512>; \
         for (var k = 0u; k < 512u; k++) { kept[k] = vec4f(input[(i + k) % size4.x]); } \
         output[i] = Stored4(kept[u32(input[i].x) % 512u] + kept[u32(input[i].y) % 512u]);",
        true,
    ),
    ("is not a valid shader", "relu: return; => return 1;", false),
];

/// Compiles `specs` for each of `gpus`, `jobs` of them at a time. `done` is called for each as it ends.
///
/// # Errors
/// [`Error::Interrupted`]. Anything that a driver does is a result.
pub fn compile(
    gpus: &[(String, Setup)],
    specs: &[KernelSpec],
    expectations: &Expectations,
    limits: Limits,
    jobs: usize,
    done: &(dyn Fn(&VendorRun) + Sync),
) -> Result<Vec<VendorRun>> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..gpus.len()).collect());
    let results: Mutex<BTreeMap<usize, Result<VendorRun>>> = Mutex::default();
    let work = || {
        while let Some(index) = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
            let (gpu, setup) = &gpus[index];
            let result = Asker { setup, limits, child: None, lost: 0 }.run(gpu, specs, expectations);
            result.iter().for_each(done);
            results.lock().unwrap_or_else(PoisonError::into_inner).insert(index, result);
        }
    };
    std::thread::scope(|scope| (0..jobs.clamp(1, gpus.len().max(1))).for_each(|_| drop(scope.spawn(work))));
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Sends tasks to children of one GPU, one child after the other.
struct Asker<'a> {
    setup: &'a Setup,
    limits: Limits,
    child: Option<Child>,
    /// Children that died or were stopped.
    lost: usize,
}

impl Asker<'_> {
    fn run(&mut self, gpu: &str, specs: &[KernelSpec], expectations: &Expectations) -> Result<VendorRun> {
        let started = Instant::now();
        let mut run =
            VendorRun { gpu: gpu.to_owned(), adapter: None, problem: None, kernels: Vec::new(), seconds: 0.0 };
        match self.open()? {
            Ok(adapter) => {
                run.problem = self.controls()?;
                for spec in specs {
                    run.kernels.push(self.kernel(&KernelName::of(spec), &adapter, expectations)?);
                }
                run.adapter = Some(adapter);
            }
            Err(problem) => run.problem = Some(problem),
        }
        run.seconds = started.elapsed().as_secs_f64();
        Ok(run)
    }

    fn ask(&mut self, task: &Task) -> Result<Result<Answer, (Status, String)>> {
        if (self.limits.stop)() {
            return Err(Error::Interrupted);
        }
        let mut child = match self.child.take() {
            Some(child) => child,
            None => match Child::start(self.setup) {
                Ok(child) => child,
                Err(error) => return Ok(Err((Status::Fail, error.to_string()))),
            },
        };
        match child.ask(task, self.limits.timeout, &self.limits.stop) {
            Ok(answer) => {
                self.child = Some(child);
                Ok(Ok(answer))
            }
            Err(NoAnswer::Stopped) => Err(Error::Interrupted),
            Err(NoAnswer::Timeout) => {
                self.lost += 1;
                let seconds = self.limits.timeout.as_secs_f64();
                Ok(Err((Status::Timeout, format!("the driver did not end within {seconds} s and was stopped"))))
            }
            Err(NoAnswer::Died(how)) => {
                self.lost += 1;
                Ok(Err((Status::Crash, format!("the driver's process died ({how})"))))
            }
        }
    }

    /// The driver's own name for its device, or why it can't be used.
    fn open(&mut self) -> Result<Result<AdapterReport, String>> {
        Ok(match self.ask(&Task::Describe)? {
            Ok(Answer::Description(described)) => Ok(described.0),
            Ok(other) => Err(format!("the driver could not be opened: {other:?}")),
            Err((_, message)) => Err(format!("the driver could not be opened: {message}")),
        })
    }

    /// Which control was not caught, if one was not.
    fn controls(&mut self) -> Result<Option<String>> {
        for (what, fault, compiles) in CONTROLS {
            let kernel = KernelName::of(&KernelSpec::new(crate::gpu::shaders::files::relu::FILE));
            let (status, message, figures) = self.compile(kernel, Some(fault.to_owned()))?;
            if status != Status::Fail || figures.is_some() != compiles {
                let found = if message.is_empty() { "it passed" } else { &message };
                return Ok(Some(format!("a kernel that {what} on purpose was not caught: {found}")));
            }
        }
        Ok(None)
    }

    fn kernel(
        &mut self,
        kernel: &KernelName,
        adapter: &AdapterReport,
        expectations: &Expectations,
    ) -> Result<VendorKernel> {
        let (status, message, figures) = match self.lost {
            0..MOST_LOST => self.compile(kernel.clone(), None)?,
            lost => {
                let message = format!("not compiled: the driver died or was stopped {lost} times before");
                (Status::Timeout, message, None)
            }
        };
        let expectation = match status {
            Status::Unsupported => None,
            _ => expectations.of(adapter, &format!("compile {kernel}")),
        };
        Ok(VendorKernel { kernel: kernel.to_string(), status, message, figures, expectation })
    }

    fn compile(&mut self, kernel: KernelName, fault: Option<String>) -> Result<(Status, String, Option<Figures>)> {
        Ok(match self.ask(&Task::Compile(kernel, fault))? {
            Ok(Answer::Compilation(Compilation::Compiled(figures))) => match spill(&figures) {
                None => (Status::Pass, String::new(), Some(figures)),
                Some(said) => (Status::Fail, said, Some(figures)),
            },
            Ok(Answer::Compilation(Compilation::Excluded(reason))) => (Status::Unsupported, reason, None),
            Ok(Answer::Compilation(Compilation::Failed(message)) | Answer::Refused(message)) => {
                (Status::Fail, message, None)
            }
            Ok(other) => (Status::Fail, format!("the answer was {other:?}"), None),
            Err((status, message)) => (status, message, None),
        })
    }
}

impl VendorRun {
    fn count(&self, wanted: impl Fn(&VendorKernel) -> bool) -> usize {
        self.kernels.iter().filter(|kernel| wanted(kernel)).count()
    }

    /// One line: how many kernels ended how, and in what time.
    pub fn line(&self) -> String {
        let compiled = self.count(|kernel| kernel.status == Status::Pass);
        let failed = self.count(VendorKernel::is_unexpected);
        let excluded = self.count(|kernel| kernel.status == Status::Unsupported);
        let known = self.kernels.len() - excluded - self.count(|k| k.is_unexpected() || k.status == Status::Pass);
        let known = if known > 0 { format!(", {known} failed as expected") } else { String::new() };
        let device = self.adapter.as_ref().map_or("not opened", |adapter| adapter.name.trim());
        let figures = format!("{compiled} compiled, {failed} failed{known}, {excluded} excluded");
        format!("{:12} {figures}, {:.1} s ({device})", self.gpu, self.seconds)
    }

    /// Kernels that are excluded, by reason.
    fn excluded(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for kernel in self.kernels.iter().filter(|kernel| kernel.status == Status::Unsupported) {
            *reasons.entry(kernel.message.as_str()).or_default() += 1;
        }
        reasons
    }
}

impl VendorReport {
    /// The message that nothing was compiled, and why.
    pub fn skipped(why: String) -> Self {
        Self { skipped: Some(why), gpus: Vec::new() }
    }

    /// What is wrong with the run itself: a driver that could not be used, a control that was not caught.
    pub fn problems(&self) -> impl Iterator<Item = (&str, &str)> {
        self.gpus.iter().filter_map(|run| Some((run.gpu.as_str(), run.problem.as_deref()?)))
    }

    /// Kernels that ended otherwise than expected, with their GPU.
    pub fn unexpected(&self) -> impl Iterator<Item = (&str, &VendorKernel)> {
        self.gpus.iter().flat_map(|run| {
            run.kernels.iter().filter(|kernel| kernel.is_unexpected()).map(|kernel| (run.gpu.as_str(), kernel))
        })
    }

    // Writing to a string can't fail.
    /// One line per GPU, then the excluded kernels by reason, and the failures.
    pub fn table(&self) -> String {
        let mut out = String::new();
        if let Some(why) = &self.skipped {
            let _ = writeln!(out, "\n1 skipped: {why}");
        }
        for run in &self.gpus {
            let _ = writeln!(out, "\n{}", run.line());
            for (reason, count) in run.excluded() {
                let _ = writeln!(out, "    {count} excluded: {reason}");
            }
            if let Some(problem) = &run.problem {
                let _ = writeln!(out, "    INVALID: {problem}");
            }
            let failed: Vec<_> = run.kernels.iter().filter(|kernel| kernel.is_unexpected()).collect();
            for kernel in failed.iter().take(SHOWN) {
                let said = if kernel.message.is_empty() { "expected to fail, and did not" } else { &kernel.message };
                let _ = writeln!(out, "    {}  {}: {said}", kernel.status.name().to_uppercase(), kernel.kernel);
            }
            if failed.len() > SHOWN {
                let _ = writeln!(out, "    and {} more; --json has them all", failed.len() - SHOWN);
            }
        }
        out
    }

    /// # Errors
    /// [`Error::Mismatch`] if a driver could not be used, a control was not caught, or a kernel ended otherwise than expected. With
    /// `allow_unexpected_pass`, a kernel that was expected to fail may pass.
    pub fn verdict(&self, allow_unexpected_pass: bool) -> Result<()> {
        if let Some((gpu, problem)) = self.problems().next() {
            return Err(Error::Mismatch(format!("{gpu}: {problem}")));
        }
        let bad = self.unexpected().filter(|(_, kernel)| kernel.status != Status::Pass).count();
        let better = self.unexpected().count() - bad;
        if bad > 0 {
            return Err(Error::Mismatch(format!(
                "{bad} compilations by vendors' compilers failed; see the lines above"
            )));
        }
        if better > 0 && !allow_unexpected_pass {
            return Err(Error::Mismatch(format!(
                "{better} kernels compiled that are expected to fail; update the expectations, or --allow-unexpected-pass"
            )));
        }
        Ok(())
    }
}
