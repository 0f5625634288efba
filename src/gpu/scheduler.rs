//! When work is submitted and waited for: few submits at a time, and how fast they end.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, RwLock};
use std::time::{Duration, Instant};

use super::device::Device;
use crate::error::{Error, Result};

/// Submits that may be unfinished at a time: they keep the device busy, and more would only queue up memory and time.
const MOST_SUBMITS: usize = 2;

/// Shorter measurements say more of the submit than of the device.
const LEAST_SECONDS: f64 = 0.02;

/// The unfinished submits of a device, oldest first, and what their ends say about its speed.
#[derive(Default)]
struct Outstanding {
    submits: VecDeque<Submit>,
    /// Number of the next submit.
    next: u64,
    /// Since when the device has been busy with nothing but `units` of work and what is in `submits`, if that is known.
    since: Option<Instant>,
    units: f64,
}

struct Submit {
    number: u64,
    index: wgpu::SubmissionIndex,
    /// Work in it, if its duration may be taken as a measure of the device's speed.
    units: Option<f64>,
}

/// What a submit is waited for by.
pub(super) struct Ticket {
    number: u64,
    index: wgpu::SubmissionIndex,
}

/// The submits of one device.
pub(super) struct Scheduler {
    outstanding: Mutex<Outstanding>,
    /// Held for reading by whoever submits or waits, for writing by whoever only looks whether a submit is done: wgpu 30 panics
    /// if a wait that runs out of time meets another thread's that doesn't.
    polling: RwLock<()>,
    rate: Mutex<f64>,
}

impl Scheduler {
    /// `rate` is a guess in cost units per second, replaced by what is measured.
    pub fn new(rate: f64) -> Self {
        Self { outstanding: Mutex::default(), polling: RwLock::default(), rate: Mutex::new(rate) }
    }

    /// Measured throughput in cost units per second; bounds the work of one submit.
    pub fn rate(&self) -> f64 {
        self.rate.lock().map_or(4e9, |rate| *rate)
    }

    /// Submits, once fewer than [`MOST_SUBMITS`] are unfinished. `units` of work are in it, if its duration may be taken as
    /// a measure of the device's speed.
    pub fn submit(&self, device: &Device, commands: wgpu::CommandBuffer, units: Option<f64>) -> Result<Ticket> {
        loop {
            let oldest = {
                let mut outstanding = self.outstanding()?;
                if outstanding.submits.back().is_none_or(|last| self.is_done(device, &last.index)) {
                    outstanding.submits.clear();
                    (outstanding.since, outstanding.units) = (Some(Instant::now()), 0.0);
                }
                if outstanding.submits.len() < MOST_SUBMITS {
                    let index = self.submit_now(device, commands);
                    let number = outstanding.next;
                    outstanding.next += 1;
                    outstanding.submits.push_back(Submit { number, index: index.clone(), units });
                    return Ok(Ticket { number, index });
                }
                outstanding.submits.pop_front()
            };
            if let Some(oldest) = oldest {
                self.retire(device, &oldest)?;
            }
        }
    }

    /// Submits without regard to what is unfinished.
    pub fn submit_now(&self, device: &Device, commands: wgpu::CommandBuffer) -> wgpu::SubmissionIndex {
        let _polling = self.polling.read();
        device.injected.submit(device);
        device.queue.submit([commands])
    }

    /// Waits for one submit and those before it.
    pub fn wait_for(&self, device: &Device, ticket: &Ticket) -> Result<()> {
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
                Some(oldest) => self.retire(device, &oldest)?,
                // Another thread may be waiting for it.
                None => return self.block(device, &ticket.index),
            }
        }
    }

    /// Waits for the oldest submit, and learns how fast the device is, if that tells.
    fn retire(&self, device: &Device, submit: &Submit) -> Result<()> {
        // One that ended before anybody looked says nothing about when.
        let waited = !self.is_done(device, &submit.index);
        self.block(device, &submit.index)?;
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

    /// False also if another thread waits, which would have to be waited for in order to know.
    fn is_done(&self, device: &Device, index: &wgpu::SubmissionIndex) -> bool {
        let alone = self.polling.try_write();
        alone.is_ok() && poll(device, index, Some(Duration::ZERO)).is_ok()
    }

    fn block(&self, device: &Device, index: &wgpu::SubmissionIndex) -> Result<()> {
        let _polling = self.polling.read();
        await_end(device, Some(index.clone()))
    }

    /// Waits for all submitted work.
    pub fn wait(&self, device: &Device) -> Result<()> {
        let _polling = self.polling.read();
        await_end(device, None)
    }

    fn outstanding(&self) -> Result<MutexGuard<'_, Outstanding>> {
        self.outstanding.lock().map_err(|_| Error::Gpu("another thread failed while it used the device".into()))
    }
}

/// Waits for a submit, or for all, as long as a driver may take. A device that takes longer is given up: nothing is asked of it any more,
/// and it stays open until the process ends, since closing it would wait as well.
fn await_end(device: &Device, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
    device.check()?;
    let (limit, hangs) = device.injected.wait();
    let started = Instant::now();
    let polled = loop {
        let left = limit.saturating_sub(started.elapsed());
        let polled = if hangs {
            std::thread::sleep(left);
            Err(wgpu::PollError::Timeout)
        } else {
            device.raw.poll(wgpu::PollType::Wait { submission_index: submission_index.clone(), timeout: Some(left) })
        };
        // GL's own waits end after two seconds.
        if !matches!(polled, Err(wgpu::PollError::Timeout)) || left.is_zero() {
            break polled;
        }
    };
    if matches!(polled, Err(wgpu::PollError::Timeout)) {
        let seconds = limit.as_secs_f64();
        device.note_lost(format!(
            "it did not finish a submit within {seconds} s; update its driver, or use a smaller --batch-size"
        ));
        std::mem::forget((device.raw.clone(), device.queue.clone()));
    }
    device.check()?;
    polled.map(drop).map_err(|e| Error::Gpu(format!("waiting for the device failed: {e}")))
}

fn poll(
    device: &Device,
    index: &wgpu::SubmissionIndex,
    timeout: Option<Duration>,
) -> std::result::Result<wgpu::PollStatus, wgpu::PollError> {
    device.raw.poll(wgpu::PollType::Wait { submission_index: Some(index.clone()), timeout })
}
