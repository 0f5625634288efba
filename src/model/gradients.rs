//! One forward and backward pass of a whole network on host tensors: the loss, and every gradient in PyTorch's layout.

use super::pass::{PassOptions, PassTensors, record_pass};
use super::trainable::TrainableNetwork;
use crate::error::{Error, Result};
use crate::gpu::{Plan, PlanSummary, Recording, TensorId};
use crate::ops::{MapShape, RecordMaps, pack_nhwc, unpack_nhwc, unpack_rows};

/// A planned pass over batches of one shape.
pub struct GradientPass {
    plan: Plan,
    shape: [usize; 4],
    classes: usize,
    input: TensorId,
    targets: TensorId,
    tensors: PassTensors,
}

/// The results of a pass, row-major in PyTorch's shapes.
pub struct Gradients {
    /// Mean cross-entropy over the batch.
    pub loss: f32,
    /// `[N, classes]`.
    pub logits: Vec<f32>,
    /// By parameter: name, shape, values.
    pub parameters: Vec<(String, Vec<usize>, Vec<f32>)>,
    /// `[N, 3, H, W]`, if requested.
    pub input: Option<Vec<f32>>,
}

impl GradientPass {
    /// Plans a pass over `shape` (NCHW).
    pub fn new(network: &TrainableNetwork, shape: [usize; 4], options: &PassOptions) -> Result<Self> {
        let [n, c, h, w] = shape;
        if n == 0 || c != 3 || h == 0 || w == 0 {
            return Err(Error::shape("gradients", format!("an input of shape {shape:?}; [N, 3, H, W] is needed")));
        }
        let mut recording = Recording::new();
        let input = recording.kept_map("input", MapShape::new(shape)?);
        let targets = recording.kept("targets", (n * 4) as u64);
        let tensors = record_pass(network, &mut recording, input, targets, options)?;
        recording.keep(tensors.logits);
        recording.keep(tensors.loss.summary);
        tensors.gradients.iter().for_each(|(_, grad)| recording.keep(*grad));
        if let Some(map) = tensors.grad_input {
            recording.keep(map.tensor);
        }
        let plan = Plan::new(network.gpu(), &recording)?;
        let classes = network.architecture().classes;
        Ok(Self { plan, shape, classes, input: input.tensor, targets, tensors })
    }

    /// Dispatches, operations and memory.
    pub fn summary(&self) -> PlanSummary {
        self.plan.summary()
    }

    /// Runs on a batch; targets are below the number of classes.
    pub async fn run(&mut self, network: &TrainableNetwork, input: &[f32], targets: &[u32]) -> Result<Gradients> {
        let [n, ..] = self.shape;
        if input.len() != self.shape.iter().product::<usize>() || targets.len() != n {
            let problem = format!("{} values and {} targets for {:?}", input.len(), targets.len(), self.shape);
            return Err(Error::shape("gradients", problem));
        }
        if let Some(target) = targets.iter().find(|&&target| target as usize >= self.classes) {
            let problem = format!("the target {target} is not below the number of classes, {}", self.classes);
            return Err(Error::shape("gradients", problem));
        }
        self.plan.write(self.input, &pack_nhwc(input, self.shape, 1))?;
        self.plan.write(self.targets, targets)?;
        self.plan.run().await?;
        let summary: Vec<f32> = self.plan.read(self.tensors.loss.summary, 4).await?;
        let logits: Vec<f32> = self.plan.read(self.tensors.logits, n * self.classes.next_multiple_of(4)).await?;
        let mut parameters = Vec::new();
        for (name, grad) in &self.tensors.gradients {
            let parameter = network.parameter(name)?;
            let data: Vec<f32> = self.plan.read(*grad, parameter.elements).await?;
            parameters.push((name.clone(), parameter.spec.shape.clone(), parameter.unpack(&data)));
        }
        let input = match self.tensors.grad_input {
            Some(map) => Some(unpack_nhwc(&self.plan.read::<f32>(map.tensor, map.len4() * 4).await?, self.shape, 1)),
            None => None,
        };
        let logits = unpack_rows(&logits, [n, self.classes]);
        Ok(Gradients { loss: summary[0], logits, parameters, input })
    }
}
