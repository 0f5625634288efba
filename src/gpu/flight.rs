//! Work that was submitted and is not waited for yet, with what is to be read back of it.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::device::{Buffer, Gpu};
use super::recording::pad16;
use crate::error::{Error, Result};

/// Submits that may be unfinished at a time: they keep the device busy, and more would only queue up memory and time.
pub(super) const MOST_SUBMITS: usize = 2;

/// Shorter measurements say more of the submit than of the device.
const LEAST_SECONDS: f64 = 0.02;

/// The unfinished submits of a device, oldest first, and what their ends say about its speed.
#[derive(Default)]
pub(super) struct Outstanding {
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

/// A run of a plan that was submitted. It needs the plan no more; dropped, its results are lost and nothing else.
pub struct Flight {
    gpu: Arc<Gpu>,
    last: Ticket,
    read_back: Option<ReadBack>,
    started: Instant,
}

/// What a submit is waited for by.
pub(super) struct Ticket {
    number: u64,
    index: wgpu::SubmissionIndex,
}

/// A copy of several tensors' first elements, mapped when the flight ends.
pub(super) struct ReadBack {
    staging: wgpu::Buffer,
    /// Offset and size in bytes of each tensor.
    parts: Vec<(u64, usize)>,
}

impl Flight {
    /// What was `started` and ends with the submit `last`.
    pub(super) fn new(gpu: &Arc<Gpu>, last: Ticket, read_back: Option<ReadBack>, started: Instant) -> Self {
        Self { gpu: gpu.clone(), last, read_back, started }
    }

    /// Waits for the end of the run; the elements of each tensor that was to be read.
    pub fn wait(self) -> Result<Vec<Vec<f32>>> {
        let mapped = self.read_back.as_ref().map(|read_back| {
            let (sender, receiver) = std::sync::mpsc::channel();
            read_back.staging.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
            receiver
        });
        self.gpu.wait_for(&self.last)?;
        if let Ok(mut last) = self.gpu.last_run.lock() {
            *last = self.started.elapsed().as_secs_f64();
        }
        let (Some(read_back), Some(mapped)) = (self.read_back, mapped) else { return Ok(Vec::new()) };
        match mapped.recv() {
            Ok(Ok(())) => {}
            _ => return Err(self.gpu.check().err().unwrap_or(Error::Gpu("a read-back could not be mapped".into()))),
        }
        let view = read_back.staging.get_mapped_range(..);
        let view = view.map_err(|e| Error::Gpu(format!("a read-back could not be mapped: {e}")))?;
        let read = |&(offset, bytes): &(u64, usize)| {
            let mut out = vec![0.0f32; bytes / 4];
            bytemuck::cast_slice_mut::<f32, u8>(&mut out).copy_from_slice(&view[offset as usize..][..bytes]);
            out
        };
        Ok(read_back.parts.iter().map(read).collect())
    }
}

impl ReadBack {
    /// Appends to `encoder` a copy of the first elements of each buffer; sizes in bytes.
    pub fn record(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, reads: &[(&Buffer, usize)]) -> Result<Option<Self>> {
        let mut parts = Vec::new();
        let mut size = 0;
        for &(buffer, bytes) in reads {
            if bytes as u64 > buffer.bytes() {
                return Err(Error::Gpu(format!("a read of {bytes} bytes from a buffer of {}", buffer.bytes())));
            }
            parts.push((size, bytes));
            size += pad16(bytes as u64);
        }
        if size == 0 {
            return Ok(None);
        }
        let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.check()?;
        for (&(buffer, bytes), &(offset, _)) in reads.iter().zip(&parts) {
            encoder.copy_buffer_to_buffer(&buffer.raw, 0, &staging, offset, pad16(bytes as u64));
        }
        Ok(Some(Self { staging, parts }))
    }
}

impl Gpu {
    /// Submits, once fewer than [`MOST_SUBMITS`] are unfinished. `units` of work are in it, if its duration may be taken as
    /// a measure of the device's speed.
    pub(super) fn submit(&self, commands: wgpu::CommandBuffer, units: Option<f64>) -> Result<Ticket> {
        loop {
            let oldest = {
                let mut outstanding = self.outstanding()?;
                if outstanding.submits.back().is_none_or(|last| self.is_done(&last.index)) {
                    outstanding.submits.clear();
                    (outstanding.since, outstanding.units) = (Some(Instant::now()), 0.0);
                }
                if outstanding.submits.len() < MOST_SUBMITS {
                    let index = self.submit_now(commands);
                    let number = outstanding.next;
                    outstanding.next += 1;
                    outstanding.submits.push_back(Submit { number, index: index.clone(), units });
                    return Ok(Ticket { number, index });
                }
                outstanding.submits.pop_front()
            };
            if let Some(oldest) = oldest {
                self.retire(&oldest)?;
            }
        }
    }

    /// Submits without regard to what is unfinished.
    pub(super) fn submit_now(&self, commands: wgpu::CommandBuffer) -> wgpu::SubmissionIndex {
        let _polling = self.polling.read();
        self.queue.submit([commands])
    }

    /// Waits for one submit and those before it.
    fn wait_for(&self, ticket: &Ticket) -> Result<()> {
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
                Some(oldest) => self.retire(&oldest)?,
                // Another thread may be waiting for it.
                None => return self.block(&ticket.index),
            }
        }
    }

    /// Waits for the oldest submit, and learns how fast the device is, if that tells.
    fn retire(&self, submit: &Submit) -> Result<()> {
        // One that ended before anybody looked says nothing about when.
        let waited = !self.is_done(&submit.index);
        self.block(&submit.index)?;
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
    fn is_done(&self, index: &wgpu::SubmissionIndex) -> bool {
        let alone = self.polling.try_write();
        alone.is_ok() && self.poll(index, Some(Duration::ZERO)).is_ok()
    }

    fn block(&self, index: &wgpu::SubmissionIndex) -> Result<()> {
        let _polling = self.polling.read();
        let polled = self.poll(index, None);
        self.check()?;
        polled.map(drop).map_err(|e| Error::Gpu(format!("waiting for the device failed: {e}")))
    }

    fn poll(
        &self,
        index: &wgpu::SubmissionIndex,
        timeout: Option<Duration>,
    ) -> std::result::Result<wgpu::PollStatus, wgpu::PollError> {
        self.device.poll(wgpu::PollType::Wait { submission_index: Some(index.clone()), timeout })
    }

    fn outstanding(&self) -> Result<MutexGuard<'_, Outstanding>> {
        self.outstanding.lock().map_err(|_| Error::Gpu("another thread failed while it used the device".into()))
    }
}
