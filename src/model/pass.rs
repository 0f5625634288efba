//! Passes over a network whose weights change, as recordings: a training step's forward and backward pass with the loss and
//! the gradient of every parameter that is asked for, and an evaluation's forward pass. Reads top to bottom like the
//! network, then bottom to top.

mod blocks;
mod units;

use self::blocks::SavedBlock;
use self::units::{Grad, Pass, SavedNorm, Unit, Wanted};
use super::network::pool_attributes;
use super::trainable::TrainableNetwork;
use crate::error::Result;
use crate::gpu::{Recording, TensorId};
use crate::ops::FeatureMap;
use crate::ops::attributes::{CrossEntropyAttributes, PoolAttributes};
use crate::ops::cross_entropy::{CrossEntropy, cross_entropy};
use crate::ops::linear::{Linear, LinearKernel};
use crate::ops::pool::{
    global_avg_pool, global_avg_pool_backward, max_pool2d, max_pool2d_backward, max_pool2d_indices,
};

/// Which activations a training step keeps for its backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// All of them: the fastest.
    #[default]
    None,
    /// The input of each block alone; what is inside is computed again on the way back, for about a third more time
    /// (Chen et al., 2016, "Training deep nets with sublinear memory cost"). The result is the same to the bit.
    Blocks,
}

/// What a pass computes.
#[derive(Debug, Clone, Copy)]
pub struct PassOptions {
    /// Normalise by the batch's statistics and move the running ones, or by the running ones.
    pub bn_training: bool,
    /// The lowest part that is trained: 0 the stem and everything above it, i the i-th stage and above, and past the last
    /// stage the head alone.
    pub train_from: usize,
    /// Whether the gradient by the input is wanted; needs `train_from` 0.
    pub grad_input: bool,
    pub label_smoothing: f64,
    pub recompute: Recompute,
    /// Whether [`PassTensors::block_gradients`] are wanted. Without, some are never stored.
    pub block_gradients: bool,
    /// State of [`crate::ops::loss_scale`] whose scale every gradient is multiplied by; none leaves them as they are.
    pub loss_scale: Option<TensorId>,
}

impl Default for PassOptions {
    fn default() -> Self {
        let recompute = Recompute::default();
        Self {
            bn_training: true,
            train_from: 0,
            grad_input: false,
            label_smoothing: 0.0,
            recompute,
            block_gradients: false,
            loss_scale: None,
        }
    }
}

/// What a recorded pass leaves behind.
pub struct PassTensors {
    pub loss: CrossEntropy,
    /// `[N, classes]`, rows padded to vec4s.
    pub logits: TensorId,
    /// Gradients by parameter name, laid out like the parameters.
    pub gradients: Vec<(String, TensorId)>,
    pub grad_input: Option<FeatureMap>,
    /// The gradient that enters each block from above, by the block's name, if they are wanted.
    pub block_gradients: Vec<(String, FeatureMap)>,
}

/// Appends forward and backward over `input` with `targets` (a u32 for each image). Maps and their gradients are stored as the
/// input is; the head, the loss and the gradients by parameters are f32.
pub fn record_pass(
    network: &TrainableNetwork,
    recording: &mut Recording,
    input: FeatureMap,
    targets: TensorId,
    options: &PassOptions,
) -> Result<PassTensors> {
    let mut pass = Pass::new(network, recording, options);
    let forward = pass.forward(input, targets)?;
    let (loss, logits) = (forward.loss, forward.logits);
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
    Ok((forward.loss, forward.logits))
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

/// What the forward pass leaves for the backward one.
struct SavedForward<'a> {
    stem: Unit<'a>,
    /// The stem's max pool: its attributes, its input, and the index of each maximum.
    pool: Option<(PoolAttributes, FeatureMap, TensorId)>,
    stages: Vec<Vec<SavedBlock<'a>>>,
    last_norm: Option<SavedNorm>,
    /// The last feature map, before the average pool.
    top: FeatureMap,
    features: FeatureMap,
    linear: Linear,
    logits: TensorId,
    loss: CrossEntropy,
}

struct Back {
    grad_input: Option<FeatureMap>,
    block_gradients: Vec<(String, FeatureMap)>,
}

impl<'a> Pass<'a> {
    fn forward(&mut self, input: FeatureMap, targets: TensorId) -> Result<SavedForward<'a>> {
        let layers = self.network.layers();
        let stem_conv = &layers.stem.conv;
        let (mut x, stem) = match stem_conv.bn_first || stem_conv.bn.is_none() {
            true => {
                let (z, conv) = self.conv(stem_conv, input, None)?;
                (z, Unit { conv, norm: None })
            }
            false => self.conv_norm(stem_conv, input, None, true)?,
        };
        let mut pool = None;
        if let Some(attributes) = layers.stem.pool.map(pool_attributes) {
            if self.options.train_from == 0 {
                let (pooled, indices) = max_pool2d_indices(self.recording, "maxpool", x, &attributes)?;
                pool = Some((attributes, x, indices));
                x = pooled;
            } else {
                x = max_pool2d(self.recording, "maxpool", x, &attributes)?;
            }
        }
        let mut stages = Vec::new();
        for stage in &layers.stages {
            let mut blocks = Vec::new();
            for block in &stage.blocks {
                let saved = self.any_block(block, x)?;
                x = saved.output;
                blocks.push(saved);
            }
            stages.push(blocks);
        }
        let mut last_norm = None;
        if let Some(bn) = &layers.final_bn {
            let (y, norm) = self.norm(&bn.name, x, None, true)?;
            (x, last_norm) = (y, Some(norm));
        }
        let features = global_avg_pool(self.recording, "avgpool", x)?;
        let head = &layers.head;
        let linear = Linear { rows: features.n, in_features: head.in_features, out_features: head.out_features };
        let weight = self.parameter(&format!("{}.weight", head.name))?;
        let bias = self.parameter(&format!("{}.bias", head.name))?;
        let kernel = LinearKernel::choose(self.network.gpu().report());
        let logits = linear.forward(self.recording, &head.name, kernel, features.tensor, [weight, bias])?;
        let smoothing = CrossEntropyAttributes { label_smoothing: self.options.label_smoothing, ..Default::default() };
        let sizes = [features.n, head.out_features];
        let loss = cross_entropy(self.recording, "loss", logits, targets, sizes, &smoothing)?;
        Ok(SavedForward { stem, pool, stages, last_norm, top: x, features, linear, logits, loss })
    }

    fn backward(&mut self, saved: SavedForward<'a>) -> Result<Back> {
        let head = &self.network.layers().head;
        let SavedForward { linear, features, .. } = &saved;
        let loss_grad = self.scaled(saved.loss.grad)?;
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
        let grad = FeatureMap { tensor: grad, ..*features };
        let mut g = Grad::of(global_avg_pool_backward(self.recording, "avgpool", saved.top, grad)?);
        if let Some(norm) = &saved.last_norm {
            g = Grad::of(self.norm_backward(norm, g)?);
        }
        // From the last block to the first that is trained, each with whether its input comes out of a ReLU.
        let mut blocks: Vec<(SavedBlock, bool)> = Vec::new();
        let mut rectified = saved.pool.is_none() && saved.stem.norm.is_some();
        for (index, stage) in saved.stages.into_iter().enumerate() {
            for block in stage {
                let below = std::mem::replace(&mut rectified, block.ends_in_relu());
                if index + 1 >= train_from {
                    blocks.push((block, below));
                }
            }
        }
        let mut left = blocks.len();
        for (block, rectified) in blocks.into_iter().rev() {
            left -= 1;
            if self.options.block_gradients {
                back.block_gradients.push((block.name().to_owned(), g.map));
            }
            // The gradient by a block's output is wanted before it goes through the ReLU there.
            let through_relu = rectified && !self.options.block_gradients;
            let wanted = (left > 0 || train_from == 0).then_some(Wanted { residual: None, through_relu });
            if let Some(below) = self.any_block_backward(block, g, wanted)? {
                g = below;
            }
        }
        if train_from == 0 {
            if let Some((attributes, input, indices)) = saved.pool {
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
