//! Training steps of a whole network, or of its upper part: forward, backward, clipping, the optimiser's updates and the
//! moving average in one plan, run once a batch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::initial::Tensors;
use super::loss_scale::LossScale;
use super::network_shared::{NetworkOptions, Shared};
use super::network_step::{StepPlan, StepResult, ValidationPlan};
use super::options::HeadOptions;
use super::update::schedule_row;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::{Architecture, TensorSource, TrainableNetwork};
use crate::ops::Precision;
use crate::ops::cross_entropy::IGNORE;
use crate::ops::loss_scale::{self, STATE_BYTES};

/// Memory of a run, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingMemory {
    /// Feature maps and gradients of a step, after sharing.
    pub activations: u64,
    /// Parameters, the optimiser's state, and the moving average.
    pub parameters: u64,
}

/// Everything that the next step depends on, in PyTorch's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkState {
    /// The state dict.
    pub tensors: Tensors,
    /// The moving average's state dict, if there is one.
    pub average: Option<Tensors>,
    /// The optimiser's state: `exp_avg.conv1.weight`, …
    pub moments: BTreeMap<String, Vec<f32>>,
    /// Steps so far, skipped ones too.
    pub step: u64,
    /// What the loss is multiplied by, where gradients are f16.
    pub loss_scale: Option<LossScale>,
}

impl NetworkState {
    /// The network to use: the moving average if there is one.
    pub fn model(&self) -> &Tensors {
        self.average.as_ref().unwrap_or(&self.tensors)
    }
}

/// Trains a network on batches from the caller.
pub struct NetworkTrainer {
    options: NetworkOptions,
    pub(super) shared: Shared,
    steps: HashMap<usize, StepPlan>,
    validation: Option<ValidationPlan>,
    step: u64,
    loss_scale: Option<LossScale>,
}

impl NetworkTrainer {
    /// Uploads `weights` and plans steps of `batch_size` images (less, if `examples` are fewer).
    ///
    /// # Errors
    /// For options that make no sense, [`Error::NoAdapter`] where the adapter lacks the precision, and [`Error::OutOfMemory`] if
    /// the batch is too large for the device.
    pub fn new(
        gpu: &Arc<Gpu>,
        architecture: &Architecture,
        weights: &dyn TensorSource,
        options: NetworkOptions,
        examples: usize,
    ) -> Result<Self> {
        let mut trainer = Self::unplanned(gpu, architecture, weights, options)?;
        trainer.plan(trainer.options.head.batch_size.min(examples.max(1)))?;
        Ok(trainer)
    }

    /// The same without a plan of a step: for steps in two halves, which [`super::data_parallel`] plans.
    pub(super) fn unplanned(
        gpu: &Arc<Gpu>,
        architecture: &Architecture,
        weights: &dyn TensorSource,
        options: NetworkOptions,
    ) -> Result<Self> {
        options.head.check()?;
        options.network.check()?;
        options.network.unfreeze.train_from(architecture)?;
        let precision = options.network.precision;
        precision.check(gpu.report())?;
        let loss_scale = (precision == Precision::F16).then(LossScale::default);
        let network = TrainableNetwork::new(gpu, architecture, weights)?;
        let average = match options.network.ema {
            Some(_) => Some(TrainableNetwork::new(gpu, architecture, weights)?),
            None => None,
        };
        let shared = Shared {
            gpu: gpu.clone(),
            network,
            average,
            moments: BTreeMap::new(),
            schedules: BTreeMap::new(),
            cursor: Arc::new(gpu.buffer("cursor", 16)?),
            rate: Arc::new(gpu.buffer("rate of the moving average", 16)?),
            loss_scale: match loss_scale {
                Some(_) => Some(Arc::new(gpu.buffer("loss scale", STATE_BYTES)?)),
                None => None,
            },
        };
        Ok(Self { options, shared, steps: HashMap::new(), validation: None, step: 0, loss_scale })
    }

    pub fn architecture(&self) -> &Architecture {
        self.shared.network.architecture()
    }

    pub fn options(&self) -> &NetworkOptions {
        &self.options
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// What the next step multiplies the loss by, where gradients are f16.
    pub fn loss_scale(&self) -> Option<LossScale> {
        self.loss_scale
    }

    /// What the plans so far take.
    pub fn memory(&self) -> TrainingMemory {
        let Shared { network, average, moments, .. } = &self.shared;
        let moments: u64 = moments.values().flatten().map(|buffer| buffer.bytes()).sum();
        let validation = self.validation.as_ref().map_or(0, ValidationPlan::bytes);
        TrainingMemory {
            activations: self.steps.values().map(StepPlan::bytes).sum::<u64>() + validation,
            parameters: network.bytes() + average.as_ref().map_or(0, TrainableNetwork::bytes) + moments,
        }
    }

    /// One step on `targets.len()` images: HWC RGB bytes, or NCHW floats as bytes, as the options say. `lr_factor` is the
    /// schedule's. Targets are below the number of classes or [`IGNORE`].
    pub async fn step(&mut self, input: &[u8], targets: &[u32], lr_factor: f64) -> Result<StepResult> {
        check_targets(targets, self.architecture().classes)?;
        self.plan(targets.len())?;
        self.begin_step(lr_factor)?;
        let plan = self.steps.get_mut(&targets.len()).ok_or_else(|| Error::Gpu("the plan is gone".into()))?;
        let result = plan.run(input, targets).await?;
        self.update_loss_scale(result.skipped)?;
        Ok(result)
    }

    /// Counts a step that comes, and tells the optimiser's shaders about it.
    pub(super) fn begin_step(&mut self, lr_factor: f64) -> Result<()> {
        self.step += 1;
        self.write_rows(lr_factor)
    }

    /// Takes note of a step in f16, and whether a gradient of it was not finite.
    pub(super) fn update_loss_scale(&mut self, overflow: bool) -> Result<()> {
        self.loss_scale.as_mut().map_or(Ok(()), |scale| scale.update(overflow))
    }

    /// The summary (see [`StepResult`]) of the network as it is now, or of its moving average, on at most `rows` images; the
    /// same `rows` each time.
    pub async fn validate(&mut self, rows: usize, input: &[u8], targets: &[u32]) -> Result<[f32; 4]> {
        check_targets(targets, self.architecture().classes)?;
        let plan = match &mut self.validation {
            Some(plan) => plan,
            None => {
                let network = self.shared.average.as_ref().unwrap_or(&self.shared.network);
                self.validation.insert(ValidationPlan::new(network, &self.options, rows)?)
            }
        };
        plan.run(input, targets).await
    }

    pub async fn state(&self) -> Result<NetworkState> {
        let Shared { gpu, network, average, moments, .. } = &self.shared;
        let mut read = BTreeMap::new();
        for (name, buffers) in moments {
            let parameter = network.parameter(name)?;
            for (buffer, moment) in buffers.iter().zip(self.options.head.optimizer.moments()) {
                let data = parameter.unpack(&gpu.read(buffer, parameter.elements).await?);
                read.insert(format!("{moment}.{name}"), data);
            }
        }
        Ok(NetworkState {
            tensors: tensors(network).await?,
            average: match average {
                Some(average) => Some(tensors(average).await?),
                None => None,
            },
            moments: read,
            step: self.step,
            loss_scale: self.loss_scale,
        })
    }

    /// Continues from `state` with the same bits as if training had never stopped.
    pub fn restore(&mut self, state: &NetworkState) -> Result<()> {
        let Shared { gpu, network, average, moments, .. } = &self.shared;
        network.load(&state.tensors)?;
        match (average, &state.average) {
            (Some(network), Some(tensors)) => network.load(tensors)?,
            (None, None) => {}
            _ => return Err(Error::shape("training", "the state was kept with another setting of the moving average")),
        }
        for (name, buffers) in moments {
            let parameter = network.parameter(name)?;
            for (buffer, moment) in buffers.iter().zip(self.options.head.optimizer.moments()) {
                let key = format!("{moment}.{name}");
                let data = state.moments.get(&key).filter(|data| data.len() == parameter.spec.len());
                let data = data.ok_or_else(|| Error::shape(&key, "is missing from the state, or misshapen"))?;
                gpu.write(buffer, &parameter.pack(data))?;
            }
        }
        if self.loss_scale.is_some() != state.loss_scale.is_some() {
            return Err(Error::shape("training", "the state was kept with another precision"));
        }
        (self.step, self.loss_scale) = (state.step, state.loss_scale);
        Ok(())
    }

    /// The names of the optimiser's tensors with their shapes.
    pub fn moment_shapes(&self) -> Result<Vec<(String, Vec<usize>)>> {
        let mut shapes = Vec::new();
        for name in self.shared.moments.keys() {
            let shape = &self.shared.network.parameter(name)?.spec.shape;
            let moments = self.options.head.optimizer.moments().iter();
            shapes.extend(moments.map(|moment| (format!("{moment}.{name}"), shape.clone())));
        }
        Ok(shapes)
    }

    /// Makes the plan for steps of `rows` images. Two plans at most are kept: whole batches, and the rest of an epoch.
    fn plan(&mut self, rows: usize) -> Result<()> {
        if !self.steps.contains_key(&rows) {
            let whole = self.options.head.batch_size;
            self.steps.retain(|&size, _| size == whole);
            let plan = StepPlan::new(&mut self.shared, &self.options, rows)?;
            self.steps.insert(rows, plan);
        }
        Ok(())
    }

    /// Uploads the optimiser's parameters for the next step.
    fn write_rows(&self, lr_factor: f64) -> Result<()> {
        let HeadOptions { optimizer, lr, .. } = &self.options.head;
        // The optimiser does not count skipped steps.
        let made = self.step - self.loss_scale.map_or(0, |scale| scale.skipped);
        for (group, buffer) in &self.shared.schedules {
            let lr = if group.head { *lr } else { self.options.network.backbone_lr.unwrap_or(*lr) };
            let row = schedule_row(&group.optimizer(optimizer), lr * lr_factor, made);
            self.shared.gpu.write(buffer, &row)?;
        }
        if let (Some(buffer), Some(scale)) = (&self.shared.loss_scale, self.loss_scale) {
            self.shared.gpu.write(buffer, &loss_scale::state(scale.scale))?;
        }
        if let Some(decay) = self.options.network.ema_decay(self.step) {
            self.shared.gpu.write(&self.shared.rate, &[(1.0 - decay) as f32, 0.0, 0.0, 0.0])?;
        }
        Ok(())
    }
}

async fn tensors(network: &TrainableNetwork) -> Result<Tensors> {
    Ok(Tensors(network.state_dict().await?.into_iter().map(|(spec, data)| (spec.name, data)).collect()))
}

pub(super) fn check_targets(targets: &[u32], classes: usize) -> Result<()> {
    match targets.iter().find(|&&target| target != IGNORE && target as usize >= classes) {
        Some(target) => {
            Err(Error::shape("training", format!("the target {target} is not below the number of classes, {classes}")))
        }
        None => Ok(()),
    }
}
