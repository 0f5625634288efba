//! Adapters of other processes, such as those of a cluster, which whoever uses the library reaches in a way of its own.

use std::sync::Arc;
use std::time::Instant;

use super::part::Part;
use super::worker::StepRequest;
use super::workers::Workers;
use crate::error::{Error, Result};

/// Workers in other processes. Methods are called by one thread, in the order `begin`, then `start` and `finish` in turn.
pub trait RemoteWorkers: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// Opens each worker by `job`, which [`crate::runs::RemoteWorker::open`] reads, with the tensors `state`; gives the names of their
    /// adapters, in their order.
    ///
    /// # Errors
    /// A worker that can't be opened.
    fn begin(&self, job: &str, state: &[f32]) -> Result<Vec<String>>;

    /// Has all workers compute their parts of a step, and does not wait for them.
    ///
    /// # Errors
    /// A worker that is gone.
    fn start(&self, request: &StepRequest) -> Result<()>;

    /// The parts of the step, in the order of the workers.
    ///
    /// # Errors
    /// A worker that failed or is gone.
    fn finish(&self) -> Result<Vec<Part>>;
}

impl Workers for Arc<dyn RemoteWorkers> {
    fn count(&self) -> usize {
        RemoteWorkers::count(&**self)
    }

    fn gradients(&mut self, request: &StepRequest, own: &mut dyn FnMut() -> Result<Part>) -> Result<Vec<Part>> {
        self.start(request)?;
        let started = Instant::now();
        let first = own();
        let others = self.finish();
        let mut parts = vec![first?];
        parts.extend(others?);
        match parts.len() == self.count() + 1 {
            true => Ok(parts),
            false => {
                let (found, seconds) = (parts.len() - 1, started.elapsed().as_secs());
                Err(Error::Gpu(format!("{found} of {} workers answered after {seconds} s", self.count())))
            }
        }
    }
}
