//! Recordings of passes over a trainable network: a training step's forward and backward pass with the loss and
//! the gradients of the trained parameters, and the forward pass of an evaluation. The forward code reads top to bottom like the
//! network, the backward code bottom to top.

mod blocks;
mod options;
mod units;

use self::blocks::SavedBlock;
pub use self::options::{PassOptions, Recompute};
use self::units::{Grad, Pass, Wanted};
use super::trainable::TrainableNetwork;
use super::walk::{Walked, walk};
use crate::error::Result;
use crate::gpu::{Recording, TensorId};
use crate::ops::FeatureMap;
use crate::ops::attributes::CrossEntropyAttributes;
use crate::ops::cross_entropy::{CrossEntropy, cross_entropy};
use crate::ops::pool::{global_avg_pool_backward, max_pool2d_backward};

/// The tensors of a recorded pass.
pub struct PassTensors {
    pub loss: CrossEntropy,
    /// `[N, classes]`, rows padded to vec4s.
    pub logits: TensorId,
    /// Gradients by parameter name, laid out like the parameters.
    pub gradients: Vec<(String, TensorId)>,
    pub grad_input: Option<FeatureMap>,
    /// The upstream gradient of each block, by the block's name, if requested.
    pub block_gradients: Vec<(String, FeatureMap)>,
}

/// Appends forward and backward over `input` with `targets` (a u32 for each image). Maps and their gradients are stored as the
/// input is; the head, the loss and the gradients of parameters are f32.
pub fn record_pass(
    network: &TrainableNetwork,
    recording: &mut Recording,
    input: FeatureMap,
    targets: TensorId,
    options: &PassOptions,
) -> Result<PassTensors> {
    let mut pass = Pass::new(network, recording, options);
    let forward = pass.forward(input, targets)?;
    let (loss, logits) = (forward.loss, forward.network.logits);
    let back = pass.backward(forward)?;
    let gradients = pass.into_gradients();
    Ok(PassTensors { loss, logits, gradients, grad_input: back.grad_input, block_gradients: back.block_gradients })
}

/// Appends the forward pass of [`record_pass`] alone; gives the loss and the logits.
pub fn record_forward(
    network: &TrainableNetwork,
    recording: &mut Recording,
    input: FeatureMap,
    targets: TensorId,
    options: &PassOptions,
) -> Result<(CrossEntropy, TensorId)> {
    let forward = Pass::new(network, recording, options).forward(input, targets)?;
    Ok((forward.loss, forward.network.logits))
}

/// Appends the forward pass in evaluation mode, with the loss but without label smoothing: what validation needs.
pub fn record_evaluation(
    network: &TrainableNetwork,
    recording: &mut Recording,
    input: FeatureMap,
    targets: TensorId,
) -> Result<(CrossEntropy, TensorId)> {
    let past_the_head = network.layers().stages.len() + 1;
    let options = PassOptions { bn_training: false, train_from: past_the_head, ..Default::default() };
    record_forward(network, recording, input, targets, &options)
}

/// What the backward pass needs of the forward pass.
struct SavedForward<'a> {
    network: Walked<'a, Pass<'a>>,
    loss: CrossEntropy,
}

struct Back {
    grad_input: Option<FeatureMap>,
    block_gradients: Vec<(String, FeatureMap)>,
}

impl<'a> Pass<'a> {
    fn forward(&mut self, input: FeatureMap, targets: TensorId) -> Result<SavedForward<'a>> {
        let network = self.network;
        let walked = walk(self, network.layers(), input)?;
        let smoothing = CrossEntropyAttributes { label_smoothing: self.options.label_smoothing, ..Default::default() };
        let sizes = [walked.features.n, walked.linear.out_features];
        let loss = cross_entropy(self.recording, "loss", walked.logits, targets, sizes, &smoothing)?;
        Ok(SavedForward { network: walked, loss })
    }

    fn backward(&mut self, saved: SavedForward<'a>) -> Result<Back> {
        let head = &self.network.layers().head;
        let SavedForward { network: saved, loss } = saved;
        let Walked { linear, features, .. } = &saved;
        let loss_grad = self.scaled(loss.grad)?;
        let grad_weight = linear.grad_weight(self.recording, &head.name, features.tensor, loss_grad)?;
        let grad_bias = linear.grad_bias(self.recording, &head.name, loss_grad)?;
        self.gradient(format!("{}.weight", head.name), grad_weight);
        self.gradient(format!("{}.bias", head.name), grad_bias);
        let mut back = Back { grad_input: None, block_gradients: Vec::new() };
        let train_from = self.options.train_from;
        if train_from > saved.stages.len() {
            return Ok(back);
        }
        let weight = self.parameter(&format!("{}.weight", head.name))?;
        let grad = linear.grad_input(self.recording, &head.name, weight, loss_grad)?;
        let grad = features.shape.at(grad);
        let mut g = Grad::of(global_avg_pool_backward(self.recording, "avgpool", saved.top.shape, grad)?);
        if let Some(norm) = &saved.last_norm {
            g = Grad::of(self.norm_backward(norm, g)?);
        }
        // From the last block to the first that is trained, each with whether its input comes out of a ReLU.
        let mut blocks: Vec<(SavedBlock, bool)> = Vec::new();
        let mut rectified = saved.pool.is_none() && saved.stem.norm.is_some();
        for (index, stage) in saved.stages.into_iter().enumerate() {
            for block in stage {
                let below = std::mem::replace(&mut rectified, !block.block.preact);
                if index + 1 >= train_from {
                    blocks.push((block, below));
                }
            }
        }
        let mut left = blocks.len();
        for (block, rectified) in blocks.into_iter().rev() {
            left -= 1;
            if self.options.block_gradients {
                back.block_gradients.push((block.block.name.clone(), g.map));
            }
            // The gradient of a block's output is needed before it passes through the ReLU there.
            let through_relu = rectified && !self.options.block_gradients;
            let wanted = (left > 0 || train_from == 0).then_some(Wanted { residual: None, through_relu });
            if let Some(below) = self.any_block_backward(block, g, wanted)? {
                g = below;
            }
        }
        if train_from == 0 {
            if let Some((attributes, input, indices)) = saved.pool.flatten() {
                g = Grad::of(max_pool2d_backward(self.recording, "maxpool", input, g.map, indices, &attributes)?);
            }
            let g = match &saved.stem.norm {
                Some(norm) => self.norm_backward(norm, g)?,
                None => g.map,
            };
            let wanted = self.options.grad_input.then_some(Wanted::default());
            back.grad_input = self.conv_backward(&saved.stem.conv, g, wanted)?.map(|g| g.map);
        }
        Ok(back)
    }
}
