//! Which kernels plans use on an adapter: what a run has kept, else what is on disk for the adapter, else what is measured at its first use.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use super::{Runtime, TunedKernels};
use crate::cache::cache_dir;
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Gpu};
use crate::train::{Interrupt, RunDir};
use crate::tune::first::{self, LIMIT, Outcome, Purpose};
use crate::tune::store::{self, Choices};

/// The choices of one command, or of one use of the library: what its adapters use, and what a run keeps of them.
#[derive(Debug)]
pub struct Tuning {
    /// The folder of the run that is trained, once it has its choices.
    run: OnceLock<PathBuf>,
    /// What each opened adapter uses.
    used: Mutex<Vec<(AdapterReport, Choices)>>,
    /// Asked for as soon as something is measured; it is stopped once this is raised.
    stop: fn() -> Interrupt,
}

impl Default for Tuning {
    fn default() -> Self {
        Self::stopped_by(Interrupt::new)
    }
}

impl Tuning {
    /// Measurements end once what `stop` gives is raised.
    pub fn stopped_by(stop: fn() -> Interrupt) -> Self {
        Self { run: OnceLock::new(), used: Mutex::default(), stop }
    }

    /// Called before an adapter is opened to go on with `run`: from now on its choices are used, so that it goes on to the same bits.
    ///
    /// # Errors
    /// [`Error::Usage`] if the user wants none and the run has some.
    pub(crate) fn go_on(&self, runtime: &Runtime, run: &RunDir) -> Result<()> {
        if run.keeps_tuning() {
            if !runtime.tuned && !store::is_empty(run.path()) {
                let run = run.path().display();
                let problem = format!("{run} is a run with tuned kernels, and goes on with them");
                return Err(Error::Usage(format!("{problem}; leave --no-tuning out, or start a new run with it")));
            }
            let _ = self.run.set(run.path().to_owned());
        }
        Ok(())
    }

    /// Keeps what the adapters use in the folder of a run that begins.
    pub(crate) fn keep(&self, run: &RunDir) -> Result<()> {
        run.forget_tuning();
        for (report, choices) in self.used.lock().iter().flat_map(|used| used.iter()) {
            store::keep(run.path(), report, choices)?;
        }
        let _ = self.run.set(run.path().to_owned());
        Ok(())
    }

    /// Has `gpu` use its choices. Only with a `purpose` is anything measured.
    pub(super) fn apply(&self, runtime: &Runtime, gpu: &Arc<Gpu>, purpose: Option<&Purpose>) -> Result<()> {
        let choices = match self.of_run(runtime, gpu) {
            Some(choices) => choices,
            None => self.of_adapter(runtime, gpu, purpose)?,
        };
        let count = store::apply(gpu, &choices);
        if count > 0 {
            runtime.detail(format!("{count} tuned choices of kernels are used where their shapes come up"));
        }
        if let Ok(mut used) = self.used.lock() {
            used.push((gpu.report().clone(), choices));
        }
        Ok(())
    }

    /// What the run has kept for the adapter.
    fn of_run(&self, runtime: &Runtime, gpu: &Gpu) -> Option<Choices> {
        let run = self.run.get()?;
        let why = match store::kept(run, gpu.report()) {
            Ok(Some(choices)) => return Some(choices),
            Ok(None) => format!("{} was trained on another adapter or driver", run.display()),
            Err(why) => why,
        };
        runtime.note(format!("{why}; from here on its bits may differ from those of a run without a stop"));
        None
    }

    /// The choices that are kept for the adapter itself.
    fn of_adapter(&self, runtime: &Runtime, gpu: &Arc<Gpu>, purpose: Option<&Purpose>) -> Result<Choices> {
        let off = !runtime.tuned || runtime.switches.tuned == TunedKernels::Off;
        let Some(cache) = cache_dir().ok().filter(|_| !off) else { return Ok(Choices::new()) };
        let (choices, warning) = store::load(&cache, gpu.report());
        let is_first = |_: &&Purpose| {
            runtime.switches.measures_at_first_use(gpu.report()) && choices.values().all(|c| c.first_use)
        };
        if let Some(purpose) = purpose.filter(is_first) {
            let stop = (self.stop)();
            match first::choose(gpu, &cache, purpose, LIMIT, &mut || stop.check()) {
                Ok(outcome) => {
                    tell(runtime, gpu.report(), &outcome);
                    return Ok(outcome.choices);
                }
                Err(error @ (Error::DeviceLost(_) | Error::Interrupted)) => return Err(error),
                // A folder that can't be written to keeps nobody from computing.
                Err(error) => runtime.note(format!("kernels were not measured: {error}")),
            }
        }
        if let Some(warning) = warning {
            runtime.note(warning);
        }
        Ok(choices)
    }
}

/// One line, if anything was measured.
fn tell(runtime: &Runtime, adapter: &AdapterReport, outcome: &Outcome) {
    let Outcome { measured, left_out, seconds, .. } = outcome;
    if *measured == 0 {
        return;
    }
    let all = measured + left_out;
    runtime.note(format!(
        "first use of {}: kernels were measured for {measured} of {all} convolutions in {seconds:.1} s, and the choices are kept \
         (`gpu-resnet tune` measures all of them; --no-tuning takes the defaults)",
        adapter.name.trim()
    ));
}
