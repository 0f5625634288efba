//! The same cases as `verify` runs, timed instead of judged: `bench --ops REGEX`.

use std::sync::Arc;

use serde::Serialize;

use super::case::{Body, Case};
use super::check::{too_large, unsupported};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, block_on};

/// The time of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseTime {
    /// The case's line, which `verify --filter` takes.
    pub case: String,
    /// Best of the rounds, for all dispatches of the operation, measured from the submit to its end.
    pub ms: f64,
    /// 10^9 operations per second, a multiply-add counted as two.
    pub gflops: f64,
    /// 10^9 bytes per second of the input and output tensors.
    pub gbps: f64,
}

/// Times the cases of `cases` that are single operations and that the adapter can run, each in `rounds` runs after a first one.
///
/// # Errors
/// [`Error::Usage`] if none of them is.
pub fn time_cases(gpu: &Arc<Gpu>, cases: &[Case], rounds: usize) -> Result<Vec<CaseTime>> {
    let mut times = Vec::new();
    for case in cases {
        let Body::Kernel(kernel) = &case.operation.body else { continue };
        if unsupported(gpu, case).is_some() {
            continue;
        }
        let inputs = (kernel.inputs)(case)?;
        if too_large(gpu, &inputs).is_some() {
            continue;
        }
        let found = block_on((kernel.run)(gpu, case, &inputs))?;
        let values: usize = inputs.iter().chain(&found).map(|array| array.data.len()).sum();
        let mut seconds = f64::INFINITY;
        for _ in 0..rounds.max(1) {
            block_on((kernel.run)(gpu, case, &inputs))?;
            seconds = seconds.min(gpu.last_run_seconds());
        }
        times.push(CaseTime {
            case: case.to_string(),
            ms: seconds * 1e3,
            gflops: (case.operation.flops)(case) / seconds / 1e9,
            gbps: (values * 4) as f64 / seconds / 1e9,
        });
    }
    match times.is_empty() {
        true => Err(Error::Usage("none of these cases can be timed on this adapter; `verify --list` shows all".into())),
        false => Ok(times),
    }
}
