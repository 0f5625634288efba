//! Submits work and waits for it: few submits at a time, and a measure of their speed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use web_time::Instant;

use super::device::Device;
use super::waiting::{Submission, Waiting};
use crate::error::{Error, Result};

/// The number of unfinished submits. They keep the device busy; more would only add memory and latency.
const MOST_SUBMITS: usize = 2;

/// Shorter measurements reflect the submit rather than the device.
const LEAST_SECONDS: f64 = 0.02;

/// The unfinished submits of a device, oldest first, and the speed measured from them.
#[derive(Default)]
struct Outstanding {
    submits: VecDeque<Submit>,
    /// Number of the next submit.
    next: u64,
    /// The time since which the device has been busy with `units` of work and the contents of `submits` only, if known.
    since: Option<Instant>,
    units: f64,
}

struct Submit {
    number: u64,
    submission: Submission,
    /// Work in it, if its duration may be taken as a measure of the device's speed.
    units: Option<f64>,
}

/// The handle by which a submit is waited for.
pub(super) struct Ticket {
    number: u64,
    submission: Submission,
}

/// The submits of one device.
pub(super) struct Scheduler {
    outstanding: Mutex<Outstanding>,
    waiting: Waiting,
    rate: Mutex<f64>,
}

impl Scheduler {
    /// `rate` is a guess in cost units per second, replaced by what is measured.
    pub fn new(rate: f64) -> Self {
        Self { outstanding: Mutex::default(), waiting: Waiting::default(), rate: Mutex::new(rate) }
    }

    /// Measured throughput in cost units per second; bounds the work of one submit.
    pub fn rate(&self) -> f64 {
        self.rate.lock().map_or(4e9, |rate| *rate)
    }

    /// Submits, once fewer than [`MOST_SUBMITS`] are unfinished. `units` of work are in it, if its duration may be taken as
    /// a measure of the device's speed.
    pub async fn submit(&self, device: &Device, commands: wgpu::CommandBuffer, units: Option<f64>) -> Result<Ticket> {
        loop {
            let oldest = {
                let mut outstanding = self.outstanding()?;
                if outstanding.submits.back().is_none_or(|last| self.waiting.is_done(device, &last.submission)) {
                    outstanding.submits.clear();
                    (outstanding.since, outstanding.units) = (Some(Instant::now()), 0.0);
                }
                if outstanding.submits.len() < MOST_SUBMITS {
                    let submission = self.submit_now(device, commands);
                    let number = outstanding.next;
                    outstanding.next += 1;
                    outstanding.submits.push_back(Submit { number, submission: submission.clone(), units });
                    return Ok(Ticket { number, submission });
                }
                outstanding.submits.pop_front()
            };
            if let Some(oldest) = oldest {
                self.retire(device, &oldest).await?;
            }
        }
    }

    /// Submits at once, however many submits are unfinished.
    pub fn submit_now(&self, device: &Device, commands: wgpu::CommandBuffer) -> Submission {
        device.before_submit();
        self.waiting.submit(device, commands)
    }

    /// Waits for one submit and those before it.
    pub async fn wait_for(&self, device: &Device, ticket: &Ticket) -> Result<()> {
        loop {
            let oldest = {
                let submits = &mut self.outstanding()?.submits;
                if submits.front().is_some_and(|oldest| oldest.number <= ticket.number) {
                    submits.pop_front()
                } else {
                    None
                }
            };
            match oldest {
                Some(oldest) => self.retire(device, &oldest).await?,
                // Another thread may be waiting for it.
                None => return self.waiting.wait_for(device, &ticket.submission).await,
            }
        }
    }

    /// Waits for the oldest submit, and updates the measured speed if possible.
    async fn retire(&self, device: &Device, submit: &Submit) -> Result<()> {
        // A submit that had already ended gives no time of its end.
        let waited = !self.waiting.is_done(device, &submit.submission);
        self.waiting.wait_for(device, &submit.submission).await?;
        let now = Instant::now();
        let mut outstanding = self.outstanding()?;
        match submit.units {
            Some(units) => outstanding.units += units,
            None => outstanding.since = None,
        }
        if !waited {
            return Ok(());
        }
        let seconds = outstanding.since.map(|since| (now - since).as_secs_f64());
        if seconds.is_some_and(|seconds| seconds < LEAST_SECONDS) {
            return Ok(());
        }
        if let Some(seconds) = seconds
            && let Ok(mut rate) = self.rate.lock()
        {
            *rate = 0.5 * *rate + 0.5 * outstanding.units / seconds;
        }
        (outstanding.since, outstanding.units) = (Some(now), 0.0);
        Ok(())
    }

    /// Waits for all submitted work.
    pub async fn wait(&self, device: &Device) -> Result<()> {
        self.waiting.wait_for_all(device).await
    }

    fn outstanding(&self) -> Result<MutexGuard<'_, Outstanding>> {
        self.outstanding.lock().map_err(|_| Error::Gpu("another thread failed while it used the device".into()))
    }
}
