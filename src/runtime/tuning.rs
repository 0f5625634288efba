//! Which kernels plans use on an adapter: those that a run stored, else those on disk for the adapter, else those measured at its first use.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use super::{Reporter, Switches, TunedKernels};
use crate::cache::cache_dir;
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Gpu};
use crate::train::{Interrupt, RunDir};
use crate::tune::first::{self, LIMIT, Outcome, Purpose};
use crate::tune::store::{self, Choices};

/// The choices of one command, or of one use of the library: what its adapters use, and what a run stores of them.
#[derive(Debug)]
pub struct Tuning {
    /// The folder of the run that is trained, once it has its choices.
    run: OnceLock<PathBuf>,
    /// The choices that each opened adapter uses.
    used: Mutex<Vec<(AdapterReport, Choices)>>,
    /// Created when something is measured; raising it stops the measurement.
    stop: fn() -> Interrupt,
}

/// What is wanted of an adapter that is opened.
pub(super) struct Wanted<'a> {
    /// Whether tuned kernels are used.
    pub tuned: bool,
    pub switches: Switches,
    /// What will be computed; only then is anything measured.
    pub purpose: Option<&'a Purpose<'a>>,
    pub reporter: &'a dyn Reporter,
}

impl Default for Tuning {
    fn default() -> Self {
        Self::stopped_by(Interrupt::new)
    }
}

impl Tuning {
    /// Measurements end once the interrupt that `stop` returns is raised.
    pub fn stopped_by(stop: fn() -> Interrupt) -> Self {
        Self { run: OnceLock::new(), used: Mutex::default(), stop }
    }

    /// Called before an adapter is opened to continue `run`: from now on the run's choices are used, so that its bits stay the same.
    /// `tuned` is whether the user wants any.
    ///
    /// # Errors
    /// [`Error::Usage`] if the user disabled tuned kernels and the run has some.
    pub(crate) fn go_on(&self, tuned: bool, run: &RunDir) -> Result<()> {
        if run.keeps_tuning() {
            if !tuned && !store::is_empty(run.path()) {
                let run = run.path().display();
                let problem = format!("{run} is a run with tuned kernels, and continues with them");
                return Err(Error::Usage(format!("{problem}; leave --no-tuning out, or start a new run with it")));
            }
            let _ = self.run.set(run.path().to_owned());
        }
        Ok(())
    }

    /// Stores the adapters' choices in the folder of a new run.
    pub(crate) fn keep(&self, run: &RunDir) -> Result<()> {
        run.forget_tuning();
        for (report, choices) in self.used.lock().iter().flat_map(|used| used.iter()) {
            store::keep(run.path(), report, choices)?;
        }
        let _ = self.run.set(run.path().to_owned());
        Ok(())
    }

    /// Has `gpu` use its choices.
    pub(super) fn apply(&self, wanted: &Wanted, gpu: &Arc<Gpu>) -> Result<()> {
        let choices = match self.of_run(wanted.reporter, gpu) {
            Some(choices) => choices,
            None => self.of_adapter(wanted, gpu)?,
        };
        let count = store::apply(gpu, &choices);
        if count > 0 {
            wanted
                .reporter
                .detail(&format_args!("{count} tuned choices of kernels are used where their shapes come up"));
        }
        if let Ok(mut used) = self.used.lock() {
            used.push((gpu.report().clone(), choices));
        }
        Ok(())
    }

    /// The choices that the run stored for the adapter.
    fn of_run(&self, reporter: &dyn Reporter, gpu: &Gpu) -> Option<Choices> {
        let run = self.run.get()?;
        let why = match store::kept(run, gpu.report()) {
            Ok(Some(choices)) => return Some(choices),
            Ok(None) => format!("{} was trained on another adapter or driver", run.display()),
            Err(why) => why,
        };
        reporter.note(&format!("{why}; from here on its bits may differ from those of an uninterrupted run"));
        None
    }

    /// The choices that are stored for the adapter itself.
    fn of_adapter(&self, wanted: &Wanted, gpu: &Arc<Gpu>) -> Result<Choices> {
        let &Wanted { tuned, switches, purpose, reporter } = wanted;
        let off = !tuned || switches.tuned == TunedKernels::Off;
        let Some(cache) = cache_dir().ok().filter(|_| !off) else { return Ok(Choices::new()) };
        let (choices, warning) = store::load(&cache, gpu.report());
        let is_first =
            |_: &&Purpose| switches.measures_at_first_use(gpu.report()) && choices.values().all(|c| c.first_use);
        if let Some(purpose) = purpose.filter(is_first) {
            let stop = (self.stop)();
            match first::choose(gpu, &cache, purpose, LIMIT, &mut || stop.check()) {
                Ok(outcome) => {
                    tell(reporter, gpu.report(), &outcome);
                    return Ok(outcome.choices);
                }
                Err(error @ (Error::DeviceLost(_) | Error::Interrupted)) => return Err(error),
                // A folder that can't be written to must not prevent computing.
                Err(error) => reporter.note(&format!("kernels were not measured: {error}")),
            }
        }
        if let Some(warning) = warning {
            reporter.note(&warning);
        }
        Ok(choices)
    }
}

/// One line, if anything was measured.
fn tell(reporter: &dyn Reporter, adapter: &AdapterReport, outcome: &Outcome) {
    let Outcome { measured, left_out, seconds, .. } = outcome;
    if *measured == 0 {
        return;
    }
    let all = measured + left_out;
    reporter.note(&format!(
        "first use of {}: kernels were measured for {measured} of {all} convolutions in {seconds:.1} s, and the choices are kept \
         (`gpu-resnet tune` measures all of them; --no-tuning takes the defaults)",
        adapter.name.trim()
    ));
}
