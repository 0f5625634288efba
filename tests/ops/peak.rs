//! The two kernels that measure a device's peaks do all the work that they are timed for.

use gpu_resnet::gpu::{Gpu, Plan, Recording, TensorId};
use gpu_resnet::ops::peak::{ChainWidth, CopyWidth, copy, multiply_adds};
use gpu_resnet::reference::compare;
use pollster::FutureExt as _;

use crate::support::adapters;

const GUARD: f32 = 12_345.0;

/// Runs `recording` and returns the first `count` floats of `output`; the guard words behind them must be unchanged.
fn run(gpu: &std::sync::Arc<Gpu>, recording: &mut Recording, output: TensorId, count: usize) -> Vec<f32> {
    let end = recording.guard(output, 256) as usize / 4;
    let mut plan = Plan::new(gpu, recording).unwrap();
    plan.write(output, &vec![GUARD; end + 64]).unwrap();
    plan.run().block_on().unwrap();
    let found: Vec<f32> = plan.read(output, end + 64).block_on().unwrap();
    assert!(found[end..].iter().all(|&value| value == GUARD), "written past the end on {}", gpu.report().name);
    found[..count].to_vec()
}

/// The sum of an invocation's chains after `rounds` rounds of eight steps.
fn chains(invocation: usize, width: usize, rounds: usize) -> f64 {
    let start = (invocation % 64) as f64 / 64.0;
    // Each step of x = 0.75 x + 0.25 leaves three quarters of the distance to 1.
    let left = 0.75f64.powi(8 * rounds as i32);
    (0..width).map(|j| 1.0 + (start + j as f64 - 1.0) * left).sum()
}

#[test]
fn every_multiply_add_is_done() {
    const INVOCATIONS: usize = 100;
    for gpu in adapters().iter() {
        for width in ChainWidth::ALL {
            for rounds in [0, 1, 2] {
                let mut recording = Recording::new();
                let output = multiply_adds(&mut recording, width, INVOCATIONS, rounds).unwrap();
                let found = run(gpu, &mut recording, output, INVOCATIONS * 4);
                let expected = |rounds| -> Vec<f64> {
                    (0..INVOCATIONS * 4).map(|i| chains(i / 4, width.vectors(), rounds)).collect()
                };
                let nmse = compare(&found, &expected(rounds)).nmse;
                assert!(nmse < 1e-12, "{width:?}, {rounds} rounds on {}: {nmse}", gpu.report().name);
                // A round left out must be noticed.
                assert!(compare(&found, &expected(rounds + 1)).nmse > 1e-6);
            }
        }
    }
}

#[test]
fn every_vector_is_copied() {
    for gpu in adapters().iter() {
        for width in CopyWidth::ALL {
            for len4 in [1, 63, 64, 257, 1000] {
                let mut recording = Recording::new();
                let data: Vec<f32> = (0..len4 * 4).map(|i| i as f32).collect();
                let input = recording.external("input", std::sync::Arc::new(gpu.upload("input", &data).unwrap()));
                let output = recording.kept("output", (len4 * 16) as u64);
                copy(&mut recording, width, input, output, len4).unwrap();
                let found = run(gpu, &mut recording, output, len4 * 4);
                assert!(found == data, "{width:?} of {len4} on {}", gpu.report().name);
            }
        }
    }
}
