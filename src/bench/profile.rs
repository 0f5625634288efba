//! The time of each dispatch of a plan, and how close it comes to the device's peaks.

use serde::Serialize;

use super::Peaks;
use crate::error::Result;
use crate::gpu::{Plan, TimeSource, block_on};

/// Every dispatch of one step, in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// `timestamps` of the device, or the `wall` time of a separate submit.
    pub timed_by: &'static str,
    pub kernels: Vec<KernelTime>,
}

/// One dispatch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelTime {
    /// The layer.
    pub label: String,
    /// Shader, and entry point if it has several.
    pub kernel: String,
    pub ms: f64,
    pub gflops: f64,
    /// Rate of the bytes that must be touched once.
    pub gbps: f64,
    /// The larger of `gflops` over the arithmetic peak and `gbps` over the bandwidth peak. Above 1 if caches hold what the dispatch
    /// reads.
    pub fraction_of_roofline: f64,
}

impl Profile {
    /// Times every dispatch of `plan` `runs` times, and keeps the shortest time of each.
    pub(super) fn measure(plan: &mut Plan, peaks: &Peaks, runs: usize) -> Result<Self> {
        let (source, mut best) = block_on(plan.profile())?;
        for _ in 1..runs {
            let (_, times) = block_on(plan.profile())?;
            for (best, time) in best.iter_mut().zip(times) {
                best.seconds = best.seconds.min(time.seconds);
            }
        }
        let kernels = best.into_iter().map(|time| {
            // At least one timer tick, so that no rate is infinite.
            let seconds = time.seconds.max(1e-9);
            let (gflops, gbps) = (time.cost.flops / seconds * 1e-9, time.cost.bytes / seconds * 1e-9);
            let fraction_of_roofline = (gflops / peaks.gflops).max(gbps / peaks.gbps);
            let ms = time.seconds * 1e3;
            KernelTime { label: time.label, kernel: time.kernel, ms, gflops, gbps, fraction_of_roofline }
        });
        let timed_by = if source == TimeSource::Timestamps { "timestamps" } else { "wall" };
        Ok(Self { timed_by, kernels: kernels.collect() })
    }
}
