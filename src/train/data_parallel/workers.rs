//! The adapters beside the first one, all at work at the same time.

use std::panic::resume_unwind;

use super::part::Part;
use super::worker::{StepRequest, Worker};
use crate::error::{Error, Result};

/// The adapters beside the first one, wherever they are.
pub trait Workers {
    /// How many there are.
    fn count(&self) -> usize;

    /// The parts of all adapters in a step, the first one's first, which `own` computes while the others are at work.
    ///
    /// # Errors
    /// The first error in the order of the adapters.
    fn gradients(&mut self, request: &StepRequest, own: &mut dyn FnMut() -> Result<Part>) -> Result<Vec<Part>>;
}

/// Adapters of this machine, each with a thread during a step.
pub struct LocalWorkers(Vec<(String, Worker)>);

impl LocalWorkers {
    /// Workers with the names of their adapters, for errors.
    pub fn new(workers: Vec<(String, Worker)>) -> Self {
        Self(workers)
    }
}

impl Workers for LocalWorkers {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn gradients(&mut self, request: &StepRequest, own: &mut dyn FnMut() -> Result<Part>) -> Result<Vec<Part>> {
        std::thread::scope(|scope| {
            let work =
                |(name, worker): &'_ mut (String, Worker)| worker.gradients(request).map_err(|error| on(name, error));
            let others: Vec<_> = self.0.iter_mut().map(|worker| scope.spawn(move || work(worker))).collect();
            let first = own();
            let rest = others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            std::iter::once(first).chain(rest).collect()
        })
    }
}

/// `error` of the adapter `name`, which it then names.
fn on(name: &str, error: Error) -> Error {
    let named = |what: String| format!("{name}: {what}");
    match error {
        Error::OutOfMemory(what) => Error::OutOfMemory(named(what)),
        Error::DeviceLost(what) => Error::DeviceLost(named(what)),
        Error::Gpu(what) => Error::Gpu(named(what)),
        other => other,
    }
}
