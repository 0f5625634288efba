//! The one walk over a network's layers, top to bottom: stem, stages, blocks, head. Inference, training and size estimates use it, each
//! with a [`LayerRecorder`] that defines how a layer is recorded and what is kept of it.

use super::layer_ops::pool_attributes;
use super::layers::{Block, BlockShortcut, ConvBn, Layers};
use crate::error::{Error, Result};
use crate::gpu::{Recording, TensorId};
use crate::ops::FeatureMap;
use crate::ops::attributes::PoolAttributes;
use crate::ops::linear::{Linear, LinearKernel};
use crate::ops::pool::global_avg_pool;
use crate::ops::shortcut_pad::shortcut_pad;

/// How layers are recorded.
pub(super) trait LayerRecorder<'a> {
    /// What is kept of a convolution with the normalisation after it.
    type Unit;
    /// What is kept of a normalisation that stands by itself.
    type Norm;
    /// What is kept of the stem's max pool.
    type Pool;

    fn recording(&mut self) -> &mut Recording;

    /// `relu(norm(conv(x)) + residual)`, without what is not there: `norm` is the name of the normalisation.
    fn unit(
        &mut self,
        conv: &'a ConvBn,
        norm: Option<&'a str>,
        x: FeatureMap,
        residual: Option<FeatureMap>,
        relu: bool,
    ) -> Result<(FeatureMap, Self::Unit)>;

    /// `relu(norm(x))` where there is no convolution before it.
    fn norm_relu(&mut self, name: &'a str, x: FeatureMap) -> Result<(FeatureMap, Self::Norm)>;

    fn max_pool(&mut self, attributes: &PoolAttributes, x: FeatureMap) -> Result<(FeatureMap, Self::Pool)>;

    /// The head's weight and bias, and the kernel that multiplies by them.
    fn head(&mut self) -> Result<([TensorId; 2], LinearKernel)>;
}

/// A network as it was recorded.
pub(super) struct Walked<'a, R: LayerRecorder<'a>> {
    pub stem: R::Unit,
    pub pool: Option<R::Pool>,
    /// Output of the stem, after its pool.
    pub stem_output: FeatureMap,
    pub stages: Vec<Vec<WalkedBlock<'a, R>>>,
    pub last_norm: Option<R::Norm>,
    /// The last feature map, before the average pool.
    pub top: FeatureMap,
    /// `[N, C]` after the average pool, rows padded to vec4s.
    pub features: FeatureMap,
    pub linear: Linear,
    /// `[N, classes]`, rows padded to vec4s.
    pub logits: TensorId,
}

/// A block as it was recorded.
pub(super) struct WalkedBlock<'a, R: LayerRecorder<'a>> {
    pub block: &'a Block,
    pub input: FeatureMap,
    pub output: FeatureMap,
    pub inside: Inside<'a, R>,
}

/// The layers inside of a block as they were recorded.
pub(super) struct Inside<'a, R: LayerRecorder<'a>> {
    /// The normalisation before the first convolution: only before activation.
    pub first_norm: Option<R::Norm>,
    pub units: Vec<R::Unit>,
    pub projection: Option<R::Unit>,
}

/// Records `layers` over `input`.
pub(super) fn walk<'a, R: LayerRecorder<'a>>(
    recorder: &mut R,
    layers: &'a Layers,
    input: FeatureMap,
) -> Result<Walked<'a, R>> {
    let conv = &layers.stem.conv;
    let (mut x, stem) = recorder.unit(conv, conv.bn.as_deref(), input, None, conv.bn.is_some())?;
    let mut pool = None;
    if let Some(attributes) = layers.stem.pool.map(pool_attributes) {
        let (pooled, saved) = recorder.max_pool(&attributes, x)?;
        (x, pool) = (pooled, Some(saved));
    }
    let stem_output = x;
    let mut stages = Vec::new();
    for stage in &layers.stages {
        let mut blocks = Vec::new();
        for block in &stage.blocks {
            let walked = walk_block(recorder, block, x)?;
            x = walked.output;
            blocks.push(walked);
        }
        stages.push(blocks);
    }
    let mut last_norm = None;
    if let Some(bn) = &layers.final_bn {
        let (y, norm) = recorder.norm_relu(&bn.name, x)?;
        (x, last_norm) = (y, Some(norm));
    }
    let features = global_avg_pool(recorder.recording(), "avgpool", x)?;
    let head = &layers.head;
    let linear = Linear { rows: features.n, in_features: head.in_features, out_features: head.out_features };
    let (tensors, kernel) = recorder.head()?;
    let logits = linear.forward(recorder.recording(), &head.name, kernel, features.tensor, tensors)?;
    Ok(Walked { stem, pool, stem_output, stages, last_norm, top: x, features, linear, logits })
}

/// Records a block over `x`. After activation: `a[l+2] = g(z[l+2] + shortcut(a[l]))`. Before it (He et al., 2016): normalise, ReLU, convolve;
/// the addition is the last thing, so that the shortcut stays an identity, and a projection reads the first ReLU's output.
pub(super) fn walk_block<'a, R: LayerRecorder<'a>>(
    recorder: &mut R,
    block: &'a Block,
    x: FeatureMap,
) -> Result<WalkedBlock<'a, R>> {
    let (mut out, mut first_norm) = (x, None);
    if block.preact {
        let name = block.convs.first().and_then(|conv| conv.bn.as_deref());
        let name =
            name.ok_or_else(|| Error::shape(&block.name, "has no normalisation before its first convolution"))?;
        let (activated, norm) = recorder.norm_relu(name, x)?;
        (out, first_norm) = (activated, Some(norm));
    }
    let (shortcut, projection) = match &block.shortcut {
        BlockShortcut::None => (None, None),
        BlockShortcut::Identity => (Some(x), None),
        BlockShortcut::ZeroPad(pad) => {
            (Some(shortcut_pad(recorder.recording(), &block.name, x, block.out_channels(), *pad)?), None)
        }
        BlockShortcut::Projection(conv) => {
            let (y, unit) = recorder.unit(conv, conv.bn.as_deref(), out, None, false)?;
            (Some(y), Some(unit))
        }
    };
    let mut units = Vec::new();
    for (index, conv) in block.convs.iter().enumerate() {
        let next = block.convs.get(index + 1);
        let norm = if block.preact { next } else { Some(conv) }.and_then(|conv| conv.bn.as_deref());
        let residual = if next.is_none() { shortcut } else { None };
        let (y, unit) = recorder.unit(conv, norm, out, residual, next.is_some() || !block.preact)?;
        out = y;
        units.push(unit);
    }
    Ok(WalkedBlock { block, input: x, output: out, inside: Inside { first_norm, units, projection } })
}
