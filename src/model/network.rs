//! A network on the GPU: weights packed and uploaded once, and the recording of its forward pass, which reads like the
//! paper: stem, stages, blocks, head. Batch normalisation is folded into the convolution before it (in f64); bias,
//! residual and ReLU are fused into the convolution's epilogue.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use super::Architecture;
use super::fold::fold_bn;
use super::layer_ops::{conv_op, weight_name};
use super::layers::{BatchNorm, ConvBn, Layers};
use super::walk::{LayerRecorder, walk};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Recording, TensorId};
use crate::ops::attributes::{BatchNormAttributes, PoolAttributes};
use crate::ops::batch_norm::{
    BatchNormSaved, BatchNormTensors, NormEpilogue, batch_norm, batch_norm_backward, batch_norm_fused,
};
use crate::ops::linear::{Linear, LinearKernel};
use crate::ops::pool::{global_avg_pool_backward, max_pool2d};
use crate::ops::{
    Conv2dAlgorithm, Conv2dPass, ConvOperands, ConvPlan, Epilogue, FeatureMap, MapShape, Precision, RecordMaps,
    WeightLayout, elementwise, pack_rows,
};

/// Where a network's tensors come from, by torchvision's names.
pub trait TensorSource: Sync {
    /// The values of tensor `name` in row-major order.
    fn tensor(&self, name: &str) -> Result<Cow<'_, [f32]>>;
}

/// A convolution with its normalisation folded in.
struct FoldedConv {
    /// OIHW, on the host, since its packing depends on the size of the maps.
    weight: Vec<f32>,
    bias: Arc<Buffer>,
    packed: Mutex<HashMap<WeightLayout, Arc<Buffer>>>,
}

struct PackedLinear {
    weight: Arc<Buffer>,
    bias: Arc<Buffer>,
}

struct PackedNorm {
    weight: Arc<Buffer>,
    bias: Arc<Buffer>,
    running: Arc<Buffer>,
}

/// A network's weights on the GPU, ready for inference at any batch and image size.
pub struct Network {
    gpu: Arc<Gpu>,
    architecture: Architecture,
    precision: Precision,
    layers: Layers,
    convs: HashMap<String, FoldedConv>,
    norms: HashMap<String, PackedNorm>,
    head: PackedLinear,
}

/// The tensors of a recorded forward pass.
pub struct ForwardTensors {
    /// Output of the stem (after its pool) and of each stage, by name.
    pub stages: Vec<(String, FeatureMap)>,
    /// `[N, C]` after the global average pool, rows padded to vec4s.
    pub features: FeatureMap,
    /// `[N, classes]`, rows padded to vec4s.
    pub logits: TensorId,
}

impl Network {
    /// Folds the weights, one layer per core at a time. They are packed and uploaded once the maps' size is known.
    pub async fn new(gpu: &Arc<Gpu>, architecture: &Architecture, source: &dyn TensorSource) -> Result<Self> {
        Self::with_precision(gpu, architecture, source, Precision::F32).await
    }

    /// The same with activations and weights stored as `precision`.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if the adapter does not support that precision.
    pub async fn with_precision(
        gpu: &Arc<Gpu>,
        architecture: &Architecture,
        source: &dyn TensorSource,
        precision: Precision,
    ) -> Result<Self> {
        architecture.validate()?;
        precision.check(gpu.report())?;
        let layers = architecture.layers();
        let upload = |label: &str, data: &[f32]| Ok::<_, Error>(Arc::new(gpu.upload(label, data)?));
        let mut norms = HashMap::new();
        let pack = |(conv, folded): (&ConvBn, Option<&str>)| {
            let weight = source.tensor(&weight_name(conv))?;
            let (weight, bias) = match folded {
                None => (weight, None),
                Some(bn) => {
                    let [gamma, beta, mean, var] = bn_tensors(source, bn)?;
                    let (weight, bias) = fold_bn(&weight, &gamma, &beta, &mean, &var, architecture.bn_eps)?;
                    (Cow::Owned(weight), Some(bias))
                }
            };
            let bias = upload(&conv.conv, &conv_op(conv).pack_bias(bias.as_deref()))?;
            Ok((conv.conv.clone(), FoldedConv { weight: weight.into_owned(), bias, packed: Mutex::default() }))
        };
        let convs = folded_norms(&layers).into_par_iter().map(pack).collect::<Result<HashMap<_, _>>>()?;
        for BatchNorm { name, .. } in standing_norms(&layers) {
            let [gamma, beta, mean, var] = bn_tensors(source, &name)?;
            let pad = |values: &[f32]| pack_rows(values, [1, values.len()], 1);
            let packed = PackedNorm {
                weight: upload(&name, &pad(&gamma))?,
                bias: upload(&name, &pad(&beta))?,
                running: upload(&name, &[pad(&mean), pad(&var)].concat())?,
            };
            norms.insert(name, packed);
        }
        let head = &layers.head;
        let weight = source.tensor(&format!("{}.weight", head.name))?;
        let bias = source.tensor(&format!("{}.bias", head.name))?;
        let packed_head = PackedLinear {
            weight: upload(&head.name, &pack_rows(&weight, [head.out_features, head.in_features], 4))?,
            bias: upload(&head.name, &pack_rows(&bias, [1, head.out_features], 1))?,
        };
        gpu.wait().await?;
        let architecture = architecture.clone();
        Ok(Self { gpu: gpu.clone(), architecture, precision, layers, convs, norms, head: packed_head })
    }

    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// How activations and weights are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Appends the whole forward pass over `input` (NHWC, three channels padded to four, of the network's precision).
    pub fn record(&self, recording: &mut Recording, input: FeatureMap) -> Result<ForwardTensors> {
        // Weights are packed on all cores once their layouts are known.
        let mut used = Vec::new();
        let mut sizes = Recording::new();
        let stand_in = sizes.map("input", input.shape);
        self.record_with(&mut sizes, stand_in, Some(&mut used))?;
        used.into_par_iter().try_for_each(|(conv, layout)| self.packed(conv, &layout).map(drop))?;
        self.record_with(recording, input, None)
    }

    /// The same for sizes alone: no weight is packed, and the recording can't be run.
    pub fn record_sizes(&self, recording: &mut Recording, input: FeatureMap) -> Result<ForwardTensors> {
        self.record_with(recording, input, Some(&mut Vec::new()))
    }

    /// With `used`, the convolutions and their weight layouts are recorded there, and placeholders stand for the weights.
    fn record_with<'a>(
        &'a self,
        recording: &mut Recording,
        input: FeatureMap,
        used: Option<&mut Vec<(&'a ConvBn, WeightLayout)>>,
    ) -> Result<ForwardTensors> {
        let walked = walk(&mut Recorder { network: self, recording, used }, &self.layers, input)?;
        let outputs = walked.stages.iter().zip(&self.layers.stages);
        let outputs = outputs.filter_map(|(blocks, stage)| Some((stage.name.clone(), blocks.last()?.output)));
        let stages = std::iter::once(("stem".to_owned(), walked.stem_output)).chain(outputs).collect();
        Ok(ForwardTensors { stages, features: walked.features, logits: walked.logits })
    }

    fn folded(&self, conv: &ConvBn) -> Result<&FoldedConv> {
        let missing = || Error::shape(&conv.conv, "is not among the loaded convolutions");
        self.convs.get(&conv.conv).ok_or_else(missing)
    }

    /// The convolution's weight in that layout, uploaded at its first use. Tiles of other sizes, for other batches, share it.
    fn packed(&self, conv: &ConvBn, layout: &WeightLayout) -> Result<Arc<Buffer>> {
        let folded = self.folded(conv)?;
        let poisoned = |_| Error::Gpu("another thread failed while it packed a weight".into());
        let mut packed = folded.packed.lock().map_err(poisoned)?;
        if let Some(buffer) = packed.get(layout) {
            return Ok(buffer.clone());
        }
        let buffer = Arc::new(self.gpu.upload(&conv.conv, &layout.pack_words(&folded.weight))?);
        packed.insert(*layout, buffer.clone());
        Ok(buffer)
    }

    /// Records the backward pass of the head: the gradient of the last stage's output `top`, given the gradient of the logits (`[N,
    /// classes]`, rows padded to vec4s).
    pub fn record_head_backward(
        &self,
        recording: &mut Recording,
        top: FeatureMap,
        grad_logits: TensorId,
    ) -> Result<FeatureMap> {
        let head = &self.layers.head;
        let linear = Linear { rows: top.n, in_features: head.in_features, out_features: head.out_features };
        let weight = recording.external("fc.weight", self.head.weight.clone());
        let grad = linear.grad_input(recording, &head.name, weight, grad_logits)?;
        let grad = MapShape::rows([top.n, top.c])?.at(grad);
        let grad = global_avg_pool_backward(recording, "avgpool", top.shape, grad)?;
        let Some(bn) = &self.layers.final_bn else { return Ok(grad) };
        let mut record = Recorder { network: self, recording, used: None };
        let (tensors, attributes) = record.norm(&bn.name)?;
        let epilogue = NormEpilogue { residual: None, relu: true };
        let (y, statistics) = batch_norm_fused(recording, &bn.name, top, tensors, &attributes, epilogue)?;
        let saved = BatchNormSaved { input: top, statistics, rectified: Some(y.tensor) };
        Ok(batch_norm_backward(recording, &bn.name, saved, grad, false)?.grad_input)
    }
}

struct Recorder<'r, 'a> {
    network: &'a Network,
    recording: &'r mut Recording,
    used: Option<&'r mut Vec<(&'a ConvBn, WeightLayout)>>,
}

impl<'a> Recorder<'_, 'a> {
    /// `relu(conv(x) + residual)`, the normalisation folded in.
    fn conv(
        &mut self,
        conv: &'a ConvBn,
        x: FeatureMap,
        relu: bool,
        residual: Option<FeatureMap>,
    ) -> Result<FeatureMap> {
        let (network, op) = (self.network, conv_op(conv));
        let folded = network.folded(conv)?;
        let algorithm =
            Conv2dAlgorithm::choose(&network.gpu, Conv2dPass::Forward, &op, [x.n, x.h, x.w], network.precision);
        let plan = ConvPlan::new(&op, Conv2dPass::Forward, algorithm, x.shape)?;
        let packed = match &mut self.used {
            None => network.packed(conv, plan.weight()?)?,
            Some(used) => {
                used.push((conv, *plan.weight()?));
                folded.bias.clone()
            }
        };
        let weight = self.recording.external(weight_name(conv), packed);
        let bias = self.recording.external(format!("{}.bias", conv.conv), folded.bias.clone());
        let epilogue = Epilogue { bias: Some(bias), residual, relu };
        plan.record(self.recording, &conv.conv, ConvOperands::Forward { input: x, weight, epilogue })
    }

    /// A normalisation that is not folded into a convolution.
    fn norm(&mut self, name: &str) -> Result<(BatchNormTensors, BatchNormAttributes)> {
        let missing = || Error::shape(name, "is not among the loaded normalisations");
        let packed = self.network.norms.get(name).ok_or_else(missing)?;
        let tensors = BatchNormTensors {
            weight: self.recording.external(name, packed.weight.clone()),
            bias: self.recording.external(name, packed.bias.clone()),
            running: self.recording.external(name, packed.running.clone()),
        };
        Ok((tensors, BatchNormAttributes { eps: self.network.architecture.bn_eps, ..Default::default() }))
    }
}

impl<'a> LayerRecorder<'a> for Recorder<'_, 'a> {
    type Unit = ();
    type Norm = ();
    type Pool = ();

    fn recording(&mut self) -> &mut Recording {
        self.recording
    }

    /// The normalisation is folded into the weights; addition and ReLU happen in the epilogue.
    fn unit(
        &mut self,
        conv: &'a ConvBn,
        _norm: Option<&'a str>,
        x: FeatureMap,
        residual: Option<FeatureMap>,
        relu: bool,
    ) -> Result<(FeatureMap, ())> {
        Ok((self.conv(conv, x, relu, residual)?, ()))
    }

    fn norm_relu(&mut self, name: &'a str, x: FeatureMap) -> Result<(FeatureMap, ())> {
        let (tensors, attributes) = self.norm(name)?;
        let normed = batch_norm(self.recording, name, x, tensors, &attributes)?;
        Ok((elementwise::relu(self.recording, name, normed)?, ()))
    }

    fn max_pool(&mut self, attributes: &PoolAttributes, x: FeatureMap) -> Result<(FeatureMap, ())> {
        Ok((max_pool2d(self.recording, "maxpool", x, attributes)?, ()))
    }

    fn head(&mut self) -> Result<([TensorId; 2], LinearKernel)> {
        let head = &self.network.head;
        let weight = self.recording.external("fc.weight", head.weight.clone());
        let bias = self.recording.external("fc.bias", head.bias.clone());
        Ok(([weight, bias], LinearKernel::choose(self.network.gpu.report())))
    }
}

/// Every convolution with the normalisation that is folded into it: its own, or, before activation, the next one's.
fn folded_norms(layers: &Layers) -> Vec<(&ConvBn, Option<&str>)> {
    let mut out = vec![(&layers.stem.conv, layers.stem.conv.bn.as_deref())];
    for block in layers.blocks() {
        for (index, conv) in block.convs.iter().enumerate() {
            let norm = if block.preact { block.convs.get(index + 1) } else { Some(conv) };
            out.push((conv, norm.and_then(|conv| conv.bn.as_deref())));
        }
        if let Some(projection) = block.projection() {
            out.push((projection, projection.bn.as_deref()));
        }
    }
    out
}

/// Normalisations that have no convolution before them: each pre-activation block's first, and the final one.
fn standing_norms(layers: &Layers) -> Vec<BatchNorm> {
    let firsts = layers.blocks().filter(|block| block.preact).filter_map(|block| {
        let conv = block.convs.first()?;
        Some(BatchNorm { name: conv.bn.clone()?, channels: conv.in_channels })
    });
    firsts.chain(layers.final_bn.clone()).collect()
}

fn bn_tensors<'a>(source: &'a dyn TensorSource, name: &str) -> Result<[Cow<'a, [f32]>; 4]> {
    let tensor = |suffix| source.tensor(&format!("{name}.{suffix}"));
    Ok([tensor("weight")?, tensor("bias")?, tensor("running_mean")?, tensor("running_var")?])
}
