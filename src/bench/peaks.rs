//! A device's measured peaks: multiply-adds from registers, and copying more than caches hold.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::gpu::{Gpu, Plan, Recording, TensorId};
use crate::ops::peak::{ChainWidth, CopyWidth, copy, multiply_adds};

/// The measured peaks of a device, the lines of its roofline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// f32 operations in 10^9 per second, a multiply-add counted as two.
    pub gflops: f64,
    /// Bytes read and written by a copy, in 10^9 per second.
    pub gbps: f64,
}

/// Invocations of the arithmetic kernel: enough to fill the largest GPUs.
const INVOCATIONS: usize = 4096 * 64;
/// Long enough to time a kernel well, and too short for any watchdog.
const SECONDS: f64 = 0.03;
/// Loops stay below the iteration limit of Mesa 22's lavapipe.
const MOST_ROUNDS: usize = 60_000;
/// Larger than any cache, if the adapter can bind that much.
const COPY_BYTES: u64 = 256 << 20;

/// Measures both peaks, in about a second.
pub async fn peaks(gpu: &Arc<Gpu>) -> Result<Peaks> {
    Ok(Peaks { gflops: arithmetic(gpu).await? * 1e-9, gbps: bandwidth(gpu).await? * 1e-9 })
}

/// Operations per second of the best vector width.
async fn arithmetic(gpu: &Arc<Gpu>) -> Result<f64> {
    let mut best = 0.0f64;
    for width in ChainWidth::ALL {
        let mut rounds = 1;
        loop {
            let mut recording = Recording::new();
            multiply_adds(&mut recording, width, INVOCATIONS, rounds)?;
            let mut plan = Plan::new(gpu, &recording)?;
            // The first run may include compilation; the second determines how many rounds to time.
            plan.run().await?;
            let seconds = fastest(&mut plan, 1).await?;
            if seconds >= SECONDS || rounds >= MOST_ROUNDS {
                best = best.max(plan.summary().flops / fastest(&mut plan, 3).await?.min(seconds));
                break;
            }
            let factor = (1.5 * SECONDS / seconds.max(1e-6)).clamp(2.0, 64.0);
            rounds = ((rounds as f64 * factor) as usize).min(MOST_ROUNDS);
        }
    }
    Ok(best)
}

/// Bytes per second of the best copy.
async fn bandwidth(gpu: &Arc<Gpu>) -> Result<f64> {
    let report = gpu.report();
    let bytes = COPY_BYTES.min(report.max_binding_bytes).min(report.max_buffer_bytes) / 16 * 16;
    let len4 = (bytes / 16) as usize;
    // In both directions, so that every byte was written by a kernel and no page is untouched.
    let (from, to) = (Arc::new(gpu.buffer("copy", bytes)?), Arc::new(gpu.buffer("copy", bytes)?));
    let mut best = 0.0f64;
    for width in CopyWidth::ALL {
        let mut recording = Recording::new();
        let tensors: [TensorId; 2] = [from.clone(), to.clone()].map(|buffer| recording.external("copy", buffer));
        copy(&mut recording, width, tensors[0], tensors[1], len4)?;
        copy(&mut recording, width, tensors[1], tensors[0], len4)?;
        let mut plan = Plan::new(gpu, &recording)?;
        plan.run().await?;
        best = best.max((len4 * 32) as f64 / fastest(&mut plan, 3).await?);
    }
    Ok(best)
}

/// The shortest time that a dispatch of `plan` took in `runs` runs.
async fn fastest(plan: &mut Plan, runs: usize) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..runs {
        let (_, times) = plan.profile().await?;
        least = times.iter().map(|time| time.seconds).filter(|&s| s > 0.0).fold(least, f64::min);
    }
    Ok(least)
}
