//! A run of a plan that was submitted and is not waited for yet, with what is to be read back of it.

use std::sync::Arc;

use web_time::Instant;

use super::buffer::{Buffer, pad16};
use super::device::Device;
use super::opened::Gpu;
use super::scheduler::Ticket;
use super::turns::Turned;
use super::waiting::{map, mapped_bytes};
use crate::error::{Error, Result};

/// A run of a plan that was submitted. It needs the plan no more; dropped, its results are lost and nothing else.
pub struct Flight {
    gpu: Arc<Gpu>,
    last: Ticket,
    read_back: Option<ReadBack>,
    started: Instant,
}

/// A copy of several tensors' first elements, mapped when the flight ends.
pub(super) struct ReadBack {
    staging: Turned<wgpu::Buffer>,
    /// Offset and size in bytes of each tensor.
    parts: Vec<(u64, usize)>,
}

impl Flight {
    /// What was `started` and ends with the submit `last`.
    pub(super) fn new(gpu: &Arc<Gpu>, last: Ticket, read_back: Option<ReadBack>, started: Instant) -> Self {
        Self { gpu: gpu.clone(), last, read_back, started }
    }

    /// Waits for the end of the run; the elements of each tensor that was to be read.
    pub async fn wait(self) -> Result<Vec<Vec<f32>>> {
        let mapped = self.read_back.as_ref().map(|read_back| map(&read_back.staging));
        self.gpu.scheduler.wait_for(&self.gpu.device, &self.last).await?;
        if let Ok(mut last) = self.gpu.last_run.lock() {
            *last = self.started.elapsed().as_secs_f64();
        }
        let (Some(read_back), Some(mapped)) = (self.read_back, mapped) else { return Ok(Vec::new()) };
        let view = mapped_bytes(&self.gpu.device, &read_back.staging, mapped.await)?;
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
    pub fn record(
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        reads: &[(&Buffer, usize)],
    ) -> Result<Option<Self>> {
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
        let staging = device.staging(size)?;
        for (&(buffer, bytes), &(offset, _)) in reads.iter().zip(&parts) {
            encoder.copy_buffer_to_buffer(&buffer.raw, 0, &staging, offset, pad16(bytes as u64));
        }
        Ok(Some(Self { staging, parts }))
    }
}
