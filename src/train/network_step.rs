//! The plans of a training step and of a validation step, for one number of images.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::network_shared::{Group, NetworkOptions, Shared};
use super::update::{Updated, update};
use crate::error::{Error, Result};
use crate::gpu::{Plan, Recording, TensorId};
use crate::model::{InputKind, PassOptions, TrainableNetwork, record_evaluation, record_pass};
use crate::ops::clip_grad_norm::{GradNorms, Gradient, grad_norms, scale};
use crate::ops::cross_entropy::IGNORE;
use crate::ops::ema::ema;
use crate::ops::loss_scale::{self, unscale};
use crate::ops::{FeatureMap, Precision, pack_nhwc};

/// Where a batch goes.
pub(super) struct Input {
    kind: InputKind,
    shape: [usize; 4],
    precision: Precision,
    tensor: TensorId,
    targets: TensorId,
}

impl Input {
    fn record(recording: &mut Recording, options: &NetworkOptions, rows: usize) -> Result<(Self, FeatureMap)> {
        let ([h, w], precision) = (options.size, options.network.precision);
        let (tensor, map) = options.input.record(recording, [rows, h, w], precision)?;
        let targets = recording.kept("targets", (rows * 4) as u64);
        Ok((Self { kind: options.input, shape: [rows, 3, h, w], precision, tensor, targets }, map))
    }

    pub fn write(&self, plan: &Plan, input: &[u8], targets: &[u32]) -> Result<()> {
        let values: usize = self.shape.iter().product();
        match self.kind {
            InputKind::Pixels { .. } if input.len() == values => plan.write(self.tensor, input)?,
            InputKind::Tensor if input.len() == values * 4 => {
                let floats: Vec<f32> = bytemuck::pod_collect_to_vec(input);
                plan.write(self.tensor, &self.precision.words(&pack_nhwc(&floats, self.shape, 1)))?;
            }
            _ => {
                let problem = format!("{} bytes are not {:?} images", input.len(), self.shape);
                return Err(Error::shape("training", problem));
            }
        }
        plan.write(self.targets, targets)
    }
}

/// The measurements of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// Mean loss, correct rows, counted rows, 0; with the weights before the step.
    pub summary: [f32; 4],
    /// Norm of all gradients, before clipping; only if requested.
    pub grad_norm: Option<f32>,
    /// Norm of the gradient that enters each block from above, by the block's name, from the last to the first.
    pub block_gradients: Vec<(String, f32)>,
    /// Whether the step changed no weight, since a scaled gradient was not finite.
    pub skipped: bool,
}

/// One training step.
pub(super) struct StepPlan {
    plan: Plan,
    input: Input,
    summary: TensorId,
    norms: Option<GradNorms>,
    block_norms: Option<(GradNorms, Vec<String>)>,
    /// Where gradients are scaled; see [`Shared::loss_scale`].
    loss_scale: Option<TensorId>,
}

impl StepPlan {
    pub fn new(shared: &mut Shared, options: &NetworkOptions, rows: usize) -> Result<Self> {
        let mut r = Recording::new();
        let RecordedPass { input, summary, gradients, block_gradients, loss_scale } =
            record_gradients(&mut r, shared, options, rows)?;
        let norms = record_clipping(&mut r, options, &gradients)?;
        let block_norms = record_block_norms(&mut r, options, block_gradients)?;
        record_updates(shared, options, &mut r, &gradients, loss_scale)?;
        record_average(shared, &mut r)?;
        let plan = Plan::new(&shared.gpu, &r)?;
        Ok(Self { plan, input, summary, norms, block_norms, loss_scale })
    }

    pub fn bytes(&self) -> u64 {
        self.plan.summary().bytes
    }

    pub async fn run(&mut self, input: &[u8], targets: &[u32]) -> Result<StepResult> {
        self.input.write(&self.plan, input, targets)?;
        self.plan.run().await?;
        let summary = read_summary(&self.plan, self.summary).await?;
        let (mut scale, mut skipped) = (1.0, false);
        if let Some(state) = self.loss_scale {
            let state: Vec<u32> = self.plan.read(state, 4).await?;
            (scale, skipped) = (f32::from_bits(state[0]), state[loss_scale::OVERFLOW] != 0);
        }
        let grad_norm = match self.norms {
            Some(norms) => Some(self.plan.read::<f32>(norms.total, 1).await?[0]),
            None => None,
        };
        let mut block_gradients = Vec::new();
        if let Some((norms, names)) = &self.block_norms {
            let squares: Vec<f32> = self.plan.read(norms.groups, names.len()).await?;
            // Maps' gradients are still scaled.
            block_gradients = names.iter().cloned().zip(squares.iter().map(|square| square.sqrt() / scale)).collect();
        }
        Ok(StepResult { summary, grad_norm, block_gradients, skipped })
    }
}

/// A forward and a backward pass that were recorded, with the loss scale taken out of the gradients of the parameters.
pub(super) struct RecordedPass {
    pub input: Input,
    /// Kept: mean loss, correct rows, counted rows, 0.
    pub summary: TensorId,
    /// By parameter, from the last layer to the first.
    pub gradients: Vec<(String, Gradient)>,
    /// Of feature maps, still scaled.
    pub block_gradients: Vec<(String, FeatureMap)>,
    pub loss_scale: Option<TensorId>,
}

/// Appends the forward and the backward pass over `rows` images.
pub(super) fn record_gradients(
    r: &mut Recording,
    shared: &Shared,
    options: &NetworkOptions,
    rows: usize,
) -> Result<RecordedPass> {
    let (input, map) = Input::record(r, options, rows)?;
    let loss_scale = shared.loss_scale.as_ref().map(|state| r.external("loss scale", state.clone()));
    let pass = PassOptions { loss_scale, ..options.pass(shared.network.architecture())? };
    let tensors = record_pass(&shared.network, r, map, input.targets, &pass)?;
    let summary = tensors.loss.summary;
    r.keep(summary);
    let mut gradients: Vec<(String, Gradient)> = Vec::new();
    for (name, grad) in tensors.gradients {
        gradients.push((name.clone(), (grad, shared.network.parameter(&name)?.elements)));
    }
    if let Some(state) = loss_scale {
        for &(ref name, (grad, elements)) in &gradients {
            unscale(r, name, elements, state, grad)?;
        }
    }
    Ok(RecordedPass { input, summary, gradients, block_gradients: tensors.block_gradients, loss_scale })
}

/// Appends the norm of all gradients, if it is clipped or logged, and the clipping.
pub(super) fn record_clipping(
    r: &mut Recording,
    options: &NetworkOptions,
    gradients: &[(String, Gradient)],
) -> Result<Option<GradNorms>> {
    let settings = &options.network;
    if settings.clip_grad_norm.is_none() && !settings.log_gradients {
        return Ok(None);
    }
    let all = gradients.iter().map(|&(_, gradient)| gradient).collect();
    let most = settings.clip_grad_norm.unwrap_or(f64::INFINITY);
    let found = grad_norms(r, &[all], Precision::F32, most)?;
    r.keep(found.total);
    if settings.clip_grad_norm.is_some() {
        gradients.iter().try_for_each(|&(_, gradient)| scale(r, gradient, found))?;
    }
    Ok(Some(found))
}

/// Appends the norms of the gradients that enter the blocks, if there are any, with the blocks' names.
pub(super) fn record_block_norms(
    r: &mut Recording,
    options: &NetworkOptions,
    block_gradients: Vec<(String, FeatureMap)>,
) -> Result<Option<(GradNorms, Vec<String>)>> {
    if block_gradients.is_empty() {
        return Ok(None);
    }
    let floats = |map: &FeatureMap| vec![(map.tensor, map.len4() * 4)];
    let groups: Vec<_> = block_gradients.iter().map(|(_, map)| floats(map)).collect();
    let found = grad_norms(r, &groups, options.network.precision, f64::INFINITY)?;
    r.keep(found.groups);
    Ok(Some((found, block_gradients.into_iter().map(|(name, _)| name).collect())))
}

/// The optimiser's updates. Its state for each parameter is allocated at the first use.
pub(super) fn record_updates(
    shared: &mut Shared,
    options: &NetworkOptions,
    r: &mut Recording,
    gradients: &[(String, Gradient)],
    loss_scale: Option<TensorId>,
) -> Result<()> {
    let optimizer = &options.head.optimizer;
    let gpu = shared.gpu.clone();
    let cursor = r.external("cursor", shared.cursor.clone());
    for (name, (grad, elements)) in gradients {
        let parameter = shared.network.parameter(name)?;
        let group = Group::of(&parameter.spec, &options.network);
        let buffers = match shared.moments.entry(name.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let bytes = parameter.buffer.bytes();
                let zeros = optimizer.moments().iter().map(|moment| gpu.buffer(&format!("{moment}.{name}"), bytes));
                entry.insert(zeros.map(|buffer| buffer.map(Arc::new)).collect::<Result<_>>()?)
            }
        };
        let schedule = match shared.schedules.entry(group) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(gpu.buffer("schedule", 16)?.into()),
        };
        let moments: Vec<_> = buffers.iter().map(|buffer| r.external("moment", buffer.clone())).collect();
        let schedule = r.external("schedule", schedule.clone());
        let param = r.external(name, parameter.buffer.clone());
        let tensors = Updated { grad: *grad, schedule, cursor, param, moments: &moments, loss_scale };
        update(r, name, &group.optimizer(optimizer), *elements, tensors)?;
    }
    Ok(())
}

/// Updates the moving average of every parameter and running statistic; that of frozen ones does not change.
pub(super) fn record_average(shared: &Shared, r: &mut Recording) -> Result<()> {
    let Some(average) = &shared.average else {
        return Ok(());
    };
    let rate = r.external("rate", shared.rate.clone());
    let parameters = shared.network.parameters().values().map(|parameter| &parameter.buffer);
    let averages = average.parameters().values().map(|parameter| &parameter.buffer);
    let running = shared.network.running_statistics().map(|(_, buffer)| buffer);
    let running_averages = average.running_statistics().map(|(_, buffer)| buffer);
    for (value, average) in parameters.zip(averages).chain(running.zip(running_averages)) {
        let elements = (value.bytes() / 4) as usize;
        let value = r.external("value", value.clone());
        let average = r.external("average", average.clone());
        ema(r, "moving average", elements, rate, value, average)?;
    }
    Ok(())
}

/// A forward pass in evaluation mode.
pub(super) struct ValidationPlan {
    plan: Plan,
    input: Input,
    summary: TensorId,
}

impl ValidationPlan {
    pub fn new(network: &TrainableNetwork, options: &NetworkOptions, rows: usize) -> Result<Self> {
        let mut r = Recording::new();
        let (input, map) = Input::record(&mut r, options, rows)?;
        let (loss, _) = record_evaluation(network, &mut r, map, input.targets)?;
        r.keep(loss.summary);
        Ok(Self { plan: Plan::new(network.gpu(), &r)?, input, summary: loss.summary })
    }

    pub fn bytes(&self) -> u64 {
        self.plan.summary().bytes
    }

    /// A batch that is short is filled up with images that don't count.
    pub async fn run(&mut self, input: &[u8], targets: &[u32]) -> Result<[f32; 4]> {
        let rows = self.input.shape[0];
        if targets.is_empty() || targets.len() > rows {
            return Err(Error::shape("validation", format!("{} images for a plan of {rows}", targets.len())));
        }
        if targets.len() == rows {
            self.input.write(&self.plan, input, targets)?;
        } else {
            let (mut input, mut targets) = (input.to_vec(), targets.to_vec());
            input.resize(input.len() / targets.len() * rows, 0);
            targets.resize(rows, IGNORE);
            self.input.write(&self.plan, &input, &targets)?;
        }
        self.plan.run().await?;
        read_summary(&self.plan, self.summary).await
    }
}

async fn read_summary(plan: &Plan, summary: TensorId) -> Result<[f32; 4]> {
    let values: Vec<f32> = plan.read(summary, 4).await?;
    Ok([values[0], values[1], values[2], values[3]])
}
