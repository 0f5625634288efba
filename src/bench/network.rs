//! A whole network at one batch size: inference and training steps.

use std::sync::Arc;

use super::timing::{median, time, time_in_turn};
use super::{Mode, Options, Peaks, Profile, Run, StepParts, TrainPart};
use crate::data::Preprocess;
use crate::error::Result;
use crate::gpu::{Gpu, Plan, Recording, block_on};
use crate::model::{
    Architecture, Forward, InputKind, Network, PassOptions, TrainableNetwork, record_forward, record_pass,
};
use crate::ops::loss_scale::{self, STATE_BYTES};
use crate::ops::peak::{CopyWidth, copy};
use crate::ops::{Precision, pack_nhwc};
use crate::train::{Examples, HeadOptions, HeadShape, HeadTrainer, LossScale};
use crate::weights::{hash_input, hash_targets};

/// Runs per profile; each dispatch's best time counts.
const PROFILE_RUNS: usize = 3;
/// Training steps on cached features that are timed together.
const HEAD_STEPS: usize = 64;

/// Inference from bytes in host memory to logits in host memory, as `infer` does it once an image is decoded.
pub fn infer(network: &Network, peaks: &Peaks, options: &Options) -> Result<Run> {
    let (mut forward, pixels) = inference(network, options)?;
    let mut before = 0;
    let times = time(options.iterations, || {
        before = forward.plan_mut().submits();
        block_on(forward.run_pixels(&pixels)).map(drop)
    })?;
    let submits = (forward.plan_mut().submits() - before) as f64;
    let flops = forward_flops(network.architecture(), options)?;
    let (arch, precision) = (network.architecture(), network.precision());
    result(arch, Mode::Infer, options, precision, peaks, &times, forward.plan_mut(), flops, submits)
}

/// The predictor that `infer` runs, and the pixels of a batch for it.
fn inference(network: &Network, options: &Options) -> Result<(Forward, Vec<u8>)> {
    let Options { batch_size, image_size, .. } = *options;
    let Preprocess { mean, std, .. } = Preprocess::default();
    let kind = InputKind::Pixels { mean, std };
    let pixels = (0..batch_size * image_size * image_size * 3).map(|i| (i * 2_654_435_761) as u8).collect();
    Ok((Forward::new(network, kind, batch_size, [image_size, image_size], false)?, pixels))
}

/// A step of training every parameter: forward and backward pass, by the batch's own statistics, in turn with its forward pass
/// alone and with inference by the same weights. (The optimiser is not part of it.) Maps and their gradients
/// are of the precision of `folded`; gradients of f16 are scaled as training does it.
pub fn train_all(network: &TrainableNetwork, folded: &Network, peaks: &Peaks, options: &Options) -> Result<Run> {
    let &Options { batch_size, image_size, .. } = options;
    let precision = folded.precision();
    let shape = [batch_size, 3, image_size, image_size];
    let images = pack_nhwc(&hash_input("input", shape.iter().product()), shape, 1);
    let arch = network.architecture();
    let labels: Vec<u32> =
        hash_targets("target", batch_size, arch.classes as u64).into_iter().map(|t| t as u32).collect();
    let images = precision.words(&images);
    let plan_of = |forward_alone: bool| {
        let mut r = Recording::new();
        let (input, map) = InputKind::Tensor.record(&mut r, [batch_size, image_size, image_size], precision)?;
        let loss_scale = (precision == Precision::F16).then(|| r.kept("loss scale", STATE_BYTES));
        let pass = PassOptions { loss_scale, ..PassOptions::default() };
        let targets = r.kept("targets", (batch_size * 4) as u64);
        if forward_alone {
            record_forward(network, &mut r, map, targets, &pass)?;
        } else {
            record_pass(network, &mut r, map, targets, &pass)?;
        }
        let plan = Plan::new(network.gpu(), &r)?;
        plan.write(input, &images)?;
        if let Some(state) = loss_scale.filter(|_| !forward_alone) {
            plan.write(state, &loss_scale::state(LossScale::default().scale))?;
        }
        plan.write(targets, &labels)?;
        Ok(plan)
    };
    let (mut plan, mut forward): (Plan, Plan) = (plan_of(false)?, plan_of(true)?);
    let (mut inference, pixels) = inference(folded, options)?;
    let mut before = 0;
    let mut step = || {
        before = plan.submits();
        block_on(plan.run())
    };
    let [times, forward_times, inference_times] = time_in_turn(
        options.iterations,
        [&mut step, &mut || block_on(forward.run()), &mut || block_on(inference.run_pixels(&pixels)).map(drop)],
    )?;
    let submits = (plan.submits() - before) as f64;
    let flops = forward_flops(arch, options)?;
    let run = result(arch, Mode::Train, options, precision, peaks, &times, &mut plan, 3.0 * flops, submits)?;
    let ms = |times: &[f64]| median(times) * 1e3 / batch_size as f64;
    let forward_ms_per_image = ms(&forward_times);
    let parts = StepParts {
        forward_ms_per_image,
        backward_ms_per_image: run.ms_per_image - forward_ms_per_image,
        inference_ms_per_image: ms(&inference_times),
    };
    Ok(Run { train: Some(TrainPart::All), parts: Some(parts), ..run })
}

/// A step of training the head of `architecture` on features that are already on the device, as `finetune` does it.
pub fn train_head(gpu: &Arc<Gpu>, architecture: &Architecture, peaks: &Peaks, options: &Options) -> Result<Run> {
    let shape = HeadShape { features: architecture.features(), classes: architecture.classes };
    let examples = options.batch_size * HEAD_STEPS;
    let features = hash_input("features", examples * shape.features);
    let labels: Vec<u32> =
        hash_targets("labels", examples, shape.classes as u64).into_iter().map(|t| t as u32).collect();
    let train = Examples { features: &features, labels: &labels };
    let head = HeadOptions { batch_size: options.batch_size, ..HeadOptions::default() };
    let mut trainer = HeadTrainer::new(gpu, shape, train, None, head, None)?;
    let (mut epoch, mut before) = (0, 0);
    let times = time(options.iterations, || {
        epoch += 1;
        before = trainer.plan_mut().submits();
        block_on(trainer.epoch(epoch, |_| Ok(()))).map(drop)
    })?;
    let submits = (trainer.plan_mut().submits() - before) as f64 / HEAD_STEPS as f64;
    let steps: Vec<f64> = times.iter().map(|seconds| seconds / HEAD_STEPS as f64).collect();
    let flops = trainer.plan_mut().summary().flops;
    let (plan, precision) = (trainer.plan_mut(), Precision::F32);
    let run = result(architecture, Mode::Train, options, precision, peaks, &steps, plan, flops, submits)?;
    let dispatch_us = Some(dispatch_seconds(gpu, run.dispatches, options.iterations)? * 1e6);
    Ok(Run { train: Some(TrainPart::Head), dispatch_us, ..run })
}

/// The cost of a dispatch itself: one workgroup copies 1 KiB, the next copies it back, each waiting for the previous one. There are
/// as many per step, and as many steps per submit, as a head takes.
fn dispatch_seconds(gpu: &Arc<Gpu>, dispatches: usize, iterations: Option<usize>) -> Result<f64> {
    const VECTORS: usize = 64;
    let mut recording = Recording::new();
    let [mut from, mut to] = ["there", "back"].map(|label| recording.kept(label, VECTORS as u64 * 16));
    for _ in 0..dispatches {
        copy(&mut recording, CopyWidth::One, from, to, VECTORS)?;
        (from, to) = (to, from);
    }
    let mut plan = Plan::new(gpu, &recording)?;
    let times = time(iterations, || block_on(plan.run_repeated(HEAD_STEPS)))?;
    Ok(median(&times) / (HEAD_STEPS * dispatches) as f64)
}

/// The operations of a forward pass by its formulas, a multiply-add counted as two; Winograd takes fewer. A training step takes
/// three times as many.
fn forward_flops(architecture: &Architecture, options: &Options) -> Result<f64> {
    Ok(2.0 * (architecture.macs(options.image_size, options.image_size)? * options.batch_size as u64) as f64)
}

/// What `times` of one step of `plan` mean.
#[allow(clippy::too_many_arguments)] // what was measured, each by itself
fn result(
    architecture: &Architecture,
    mode: Mode,
    options: &Options,
    precision: Precision,
    peaks: &Peaks,
    times: &[f64],
    plan: &mut Plan,
    flops: f64,
    submits: f64,
) -> Result<Run> {
    let seconds = median(times);
    let summary = plan.summary();
    let gflops = flops / seconds * 1e-9;
    let profile = options.profile.then(|| Profile::measure(plan, peaks, PROFILE_RUNS)).transpose()?;
    Ok(Run {
        arch: architecture.name().unwrap_or("custom").to_owned(),
        mode,
        train: None,
        batch_size: options.batch_size,
        image_size: options.image_size,
        precision: precision.name(),
        iterations: times.len(),
        ms_per_image: seconds * 1e3 / options.batch_size as f64,
        images_per_second: options.batch_size as f64 / seconds,
        gflops,
        fraction_of_peak: gflops / peaks.gflops,
        submits,
        dispatches: summary.dispatches,
        peak_bytes: summary.bytes + summary.bytes_external,
        activation_bytes: summary.bytes,
        largest_cut_bytes: summary.largest_cut,
        dispatch_us: None,
        parts: None,
        profile,
    })
}
