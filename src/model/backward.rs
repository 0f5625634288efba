//! One training step's forward and backward pass as a recording: loss, logits, and the gradient of every parameter that is
//! asked for. Reads top to bottom like the network, then bottom to top.

use super::layers::{Block, BlockShortcut, ConvBn};
use super::network::{conv_op, pool_attributes, weight_name};
use super::trainable::TrainableNetwork;
use crate::error::{Error, Result};
use crate::gpu::{Recording, TensorId};
use crate::ops::attributes::{BatchNormAttributes, CrossEntropyAttributes};
use crate::ops::batch_norm::{BatchNormSaved, BatchNormTensors, NormEpilogue, batch_norm_backward, batch_norm_fused};
use crate::ops::cross_entropy::{CrossEntropy, cross_entropy};
use crate::ops::linear::Linear;
use crate::ops::pool::{
    global_avg_pool, global_avg_pool_backward, max_pool2d, max_pool2d_backward, max_pool2d_indices,
};
use crate::ops::shortcut_pad::{shortcut_pad, shortcut_pad_backward};
use crate::ops::{Conv2d, Epilogue, FeatureMap, elementwise};

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
}

impl Default for PassOptions {
    fn default() -> Self {
        Self { bn_training: true, train_from: 0, grad_input: false, label_smoothing: 0.0 }
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
    /// The gradient that enters each block from above, by the block's name.
    pub block_gradients: Vec<(String, FeatureMap)>,
}

/// A convolution as it was run.
struct SavedConv<'a> {
    conv: &'a ConvBn,
    op: Conv2d,
    input: FeatureMap,
}

/// A normalisation as it was run.
struct SavedNorm {
    name: String,
    saved: BatchNormSaved,
}

/// Convolution and normalisation, in either order.
struct Unit<'a> {
    conv: SavedConv<'a>,
    norm: Option<SavedNorm>,
}

struct SavedBlock<'a> {
    block: &'a Block,
    output: FeatureMap,
    units: Vec<Unit<'a>>,
    projection: Option<Unit<'a>>,
}

/// Appends forward and backward over `input` with `targets` (a u32 for each image).
pub fn record_pass(
    network: &TrainableNetwork,
    recording: &mut Recording,
    input: FeatureMap,
    targets: TensorId,
    options: &PassOptions,
) -> Result<PassTensors> {
    let layers = network.layers();
    let mut pass = Pass { network, recording, options, gradients: Vec::new() };

    // Forward.
    let stem_conv = &layers.stem.conv;
    let (mut x, stem) = match stem_conv.bn_first || stem_conv.bn.is_none() {
        true => {
            let (z, conv) = pass.conv(stem_conv, input, None)?;
            (z, Unit { conv, norm: None })
        }
        false => pass.conv_norm(stem_conv, input, None, true)?,
    };
    let before_pool = x;
    let pool = layers.stem.pool.map(pool_attributes);
    let mut indices = None;
    if let Some(attributes) = &pool {
        if options.train_from == 0 {
            let (pooled, noted) = max_pool2d_indices(pass.recording, "maxpool", x, attributes)?;
            (x, indices) = (pooled, Some(noted));
        } else {
            x = max_pool2d(pass.recording, "maxpool", x, attributes)?;
        }
    }
    let mut stages = Vec::new();
    for stage in &layers.stages {
        let mut blocks = Vec::new();
        for block in &stage.blocks {
            let saved = if block.preact { pass.preact_block(block, x)? } else { pass.block(block, x)? };
            x = saved.output;
            blocks.push(saved);
        }
        stages.push(blocks);
    }
    let mut last_norm = None;
    if let Some(bn) = &layers.final_bn {
        let (y, norm) = pass.norm(&bn.name, x, None, true)?;
        (x, last_norm) = (y, Some(norm));
    }
    let features = global_avg_pool(pass.recording, "avgpool", x)?;
    let head = &layers.head;
    let linear = Linear { rows: features.n, in_features: head.in_features, out_features: head.out_features };
    let weight = pass.parameter(&format!("{}.weight", head.name))?;
    let bias = pass.parameter(&format!("{}.bias", head.name))?;
    let logits = linear.forward(pass.recording, &head.name, features.tensor, [weight, bias])?;
    let smoothing = CrossEntropyAttributes { label_smoothing: options.label_smoothing, ..Default::default() };
    let sizes = [features.n, head.out_features];
    let loss = cross_entropy(pass.recording, "loss", logits, targets, sizes, &smoothing)?;

    // Backward.
    let grad_weight = linear.grad_weight(pass.recording, &head.name, features.tensor, loss.grad)?;
    let grad_bias = linear.grad_bias(pass.recording, &head.name, loss.grad)?;
    pass.gradients.push((format!("{}.weight", head.name), grad_weight));
    pass.gradients.push((format!("{}.bias", head.name), grad_bias));
    let mut block_gradients = Vec::new();
    let mut grad_input = None;
    if options.train_from <= stages.len() {
        let grad = linear.grad_input(pass.recording, &head.name, weight, loss.grad)?;
        let grad = FeatureMap { tensor: grad, ..features };
        let mut g = global_avg_pool_backward(pass.recording, "avgpool", x, grad)?;
        if let Some(norm) = last_norm {
            g = pass.norm_backward(&norm, g)?;
        }
        for (index, blocks) in stages.iter().enumerate().rev() {
            if index + 1 < options.train_from {
                break;
            }
            for (position, saved) in blocks.iter().enumerate().rev() {
                block_gradients.push((saved.block.name.clone(), g));
                let lowest = index + 1 == options.train_from && position == 0;
                let below = if saved.block.preact {
                    pass.preact_block_backward(saved, g, !lowest)?
                } else {
                    pass.block_backward(saved, g, !lowest)?
                };
                if let Some(below) = below {
                    g = below;
                }
            }
        }
        if options.train_from == 0 {
            if let (Some(attributes), Some(indices)) = (&pool, indices) {
                g = max_pool2d_backward(pass.recording, "maxpool", before_pool, g, indices, attributes)?;
            }
            if let Some(norm) = &stem.norm {
                g = pass.norm_backward(norm, g)?;
            }
            grad_input = pass.conv_backward(&stem.conv, g, None, options.grad_input)?;
        }
    }
    let gradients = pass.gradients;
    Ok(PassTensors { loss, logits, gradients, grad_input, block_gradients })
}

struct Pass<'a> {
    network: &'a TrainableNetwork,
    recording: &'a mut Recording,
    options: &'a PassOptions,
    gradients: Vec<(String, TensorId)>,
}

impl<'a> Pass<'a> {
    fn parameter(&mut self, name: &str) -> Result<TensorId> {
        let buffer = self.network.parameter(name)?.buffer.clone();
        Ok(self.recording.external(name, buffer))
    }

    fn conv(
        &mut self,
        conv: &'a ConvBn,
        x: FeatureMap,
        residual: Option<FeatureMap>,
    ) -> Result<(FeatureMap, SavedConv<'a>)> {
        let op = conv_op(conv);
        let variant = self.network.variant();
        let master = self.parameter(&weight_name(conv))?;
        let packed = op.record_pack(self.recording, &conv.conv, variant, master)?;
        let epilogue = Epilogue { residual, ..Default::default() };
        let z = op.record(self.recording, &conv.conv, variant, x, packed, epilogue)?;
        Ok((z, SavedConv { conv, op, input: x }))
    }

    /// Gradients by the weight, and by the input if `wanted`; `residual` is added to the latter.
    fn conv_backward(
        &mut self,
        saved: &SavedConv,
        g: FeatureMap,
        residual: Option<FeatureMap>,
        wanted: bool,
    ) -> Result<Option<FeatureMap>> {
        let SavedConv { conv, op, input } = saved;
        let variant = self.network.variant();
        let grad = op.record_backward_weight(self.recording, &conv.conv, variant, *input, g)?;
        self.gradients.push((weight_name(conv), grad));
        if !wanted {
            return Ok(None);
        }
        let master = self.parameter(&weight_name(conv))?;
        let packed = op.record_pack_transposed(self.recording, &conv.conv, variant, master)?;
        let shape = [input.n, input.c, input.h, input.w];
        let grad = op.record_backward_input(self.recording, &conv.conv, variant, g, shape, packed, residual)?;
        Ok(Some(grad))
    }

    fn norm(
        &mut self,
        name: &str,
        x: FeatureMap,
        residual: Option<FeatureMap>,
        relu: bool,
    ) -> Result<(FeatureMap, SavedNorm)> {
        let tensors = BatchNormTensors {
            weight: self.parameter(&format!("{name}.weight"))?,
            bias: self.parameter(&format!("{name}.bias"))?,
            running: self.recording.external(name, self.network.running(name)?),
        };
        let eps = self.network.architecture().bn_eps;
        let attributes = BatchNormAttributes { eps, training: self.options.bn_training, ..Default::default() };
        let epilogue = NormEpilogue { residual, relu };
        let (y, statistics) = batch_norm_fused(self.recording, name, x, tensors, &attributes, epilogue)?;
        // Where a residual was added the ReLU is undone before, since the shortcut wants that gradient too.
        let rectified = (relu && residual.is_none()).then_some(y.tensor);
        Ok((y, SavedNorm { name: name.to_owned(), saved: BatchNormSaved { input: x, statistics, rectified } }))
    }

    fn norm_backward(&mut self, norm: &SavedNorm, g: FeatureMap) -> Result<FeatureMap> {
        let grads = batch_norm_backward(self.recording, &norm.name, norm.saved, g, self.options.bn_training)?;
        self.gradients.push((format!("{}.weight", norm.name), grads.grad_weight));
        self.gradients.push((format!("{}.bias", norm.name), grads.grad_bias));
        Ok(grads.grad_input)
    }

    /// `relu(bn(conv(x)) + residual)`.
    fn conv_norm(
        &mut self,
        conv: &'a ConvBn,
        x: FeatureMap,
        residual: Option<FeatureMap>,
        relu: bool,
    ) -> Result<(FeatureMap, Unit<'a>)> {
        let (z, saved) = self.conv(conv, x, None)?;
        let name = conv.bn.as_deref().ok_or_else(|| Error::shape(&conv.conv, "has no normalisation"))?;
        let (y, norm) = self.norm(name, z, residual, relu)?;
        Ok((y, Unit { conv: saved, norm: Some(norm) }))
    }

    fn conv_norm_backward(
        &mut self,
        unit: &Unit,
        g: FeatureMap,
        residual: Option<FeatureMap>,
        wanted: bool,
    ) -> Result<Option<FeatureMap>> {
        let g = match &unit.norm {
            Some(norm) => self.norm_backward(norm, g)?,
            None => g,
        };
        self.conv_backward(&unit.conv, g, residual, wanted)
    }

    /// What is added to the residual branch of a block on `x`, and the projection that made it, if `project` had to.
    fn shortcut(
        &mut self,
        block: &'a Block,
        x: FeatureMap,
        project: impl FnOnce(&mut Self, &'a ConvBn) -> Result<(FeatureMap, Unit<'a>)>,
    ) -> Result<(Option<FeatureMap>, Option<Unit<'a>>)> {
        Ok(match &block.shortcut {
            BlockShortcut::None => (None, None),
            BlockShortcut::Identity => (Some(x), None),
            BlockShortcut::ZeroPad { stride } => {
                (Some(shortcut_pad(self.recording, &block.name, x, block.out_channels(), *stride)?), None)
            }
            BlockShortcut::Projection(conv) => {
                let (y, unit) = project(self, conv)?;
                (Some(y), Some(unit))
            }
        })
    }

    fn block(&mut self, block: &'a Block, x: FeatureMap) -> Result<SavedBlock<'a>> {
        let (shortcut, projection) = self.shortcut(block, x, |pass, conv| pass.conv_norm(conv, x, None, false))?;
        let mut units = Vec::new();
        let mut out = x;
        for (index, conv) in block.convs.iter().enumerate() {
            let last = index + 1 == block.convs.len();
            let (y, unit) = self.conv_norm(conv, out, if last { shortcut } else { None }, true)?;
            out = y;
            units.push(unit);
        }
        Ok(SavedBlock { block, output: out, units, projection })
    }

    fn block_backward(&mut self, saved: &SavedBlock, g: FeatureMap, wanted: bool) -> Result<Option<FeatureMap>> {
        let shortcut = &saved.block.shortcut;
        // With a shortcut, the gradient through the last ReLU goes two ways.
        let g = match shortcut {
            BlockShortcut::None => g,
            _ => elementwise::relu_backward(self.recording, &saved.block.name, saved.output, g)?,
        };
        let added = match (shortcut, &saved.projection) {
            (BlockShortcut::Identity, _) => Some(g),
            (_, Some(unit)) => self.conv_norm_backward(unit, g, None, wanted)?,
            _ => None,
        };
        let mut below = Some(g);
        for (index, unit) in saved.units.iter().enumerate().rev() {
            let from = below.ok_or_else(|| Error::shape(&saved.block.name, "its gradient was dropped"))?;
            let first = index == 0;
            below = self.conv_norm_backward(unit, from, if first { added } else { None }, !first || wanted)?;
        }
        self.add_padded(saved, g, below)
    }

    /// Adds the gradient through a zero-padded shortcut, which no convolution's epilogue can.
    fn add_padded(
        &mut self,
        saved: &SavedBlock,
        g: FeatureMap,
        below: Option<FeatureMap>,
    ) -> Result<Option<FeatureMap>> {
        match (&saved.block.shortcut, below) {
            (BlockShortcut::ZeroPad { stride }, Some(below)) => {
                Ok(Some(shortcut_pad_backward(self.recording, &saved.block.name, g, below, *stride)?))
            }
            _ => Ok(below),
        }
    }

    /// Normalise, ReLU, convolve, twice or three times; the addition is in the last convolution's epilogue.
    fn preact_block(&mut self, block: &'a Block, x: FeatureMap) -> Result<SavedBlock<'a>> {
        let mut units = Vec::new();
        let mut projection = None;
        let mut shortcut = None;
        let mut out = x;
        for (index, conv) in block.convs.iter().enumerate() {
            let name = conv.bn.as_deref().ok_or_else(|| Error::shape(&conv.conv, "has no normalisation"))?;
            let (activated, norm) = self.norm(name, out, None, true)?;
            if index == 0 {
                (shortcut, projection) = self.shortcut(block, x, |pass, conv| {
                    let (y, saved) = pass.conv(conv, activated, None)?;
                    Ok((y, Unit { conv: saved, norm: None }))
                })?;
            }
            let last = index + 1 == block.convs.len();
            let (z, saved) = self.conv(conv, activated, if last { shortcut } else { None })?;
            out = z;
            units.push(Unit { conv: saved, norm: Some(norm) });
        }
        Ok(SavedBlock { block, output: out, units, projection })
    }

    fn preact_block_backward(&mut self, saved: &SavedBlock, g: FeatureMap, wanted: bool) -> Result<Option<FeatureMap>> {
        let mut below = g;
        for (index, unit) in saved.units.iter().enumerate().rev() {
            // The projection reads the first ReLU's output, so its gradient joins there.
            let added = match &saved.projection {
                Some(projection) if index == 0 => self.conv_backward(&projection.conv, g, None, true)?,
                _ => None,
            };
            let activated = self.conv_backward(&unit.conv, below, added, true)?;
            let activated = activated.ok_or_else(|| Error::shape(&saved.block.name, "its gradient was dropped"))?;
            let norm = unit.norm.as_ref().ok_or_else(|| Error::shape(&saved.block.name, "has no normalisation"))?;
            below = self.norm_backward(norm, activated)?;
        }
        if !wanted {
            return Ok(None);
        }
        match saved.block.shortcut {
            BlockShortcut::Identity => Ok(Some(elementwise::add(self.recording, &saved.block.name, below, g)?)),
            _ => self.add_padded(saved, g, Some(below)),
        }
    }
}
