//! The parts of blocks: a convolution, a normalisation, and both together, each with its backward pass.

use crate::error::Result;
use crate::gpu::{Recording, TensorId};
use crate::model::layer_ops::{conv_op, weight_name};
use crate::model::layers::ConvBn;
use crate::model::trainable::TrainableNetwork;
use crate::model::walk::LayerRecorder;
use crate::ops::attributes::{BatchNormAttributes, PoolAttributes};
use crate::ops::batch_norm::{BatchNormSaved, BatchNormTensors, NormEpilogue, batch_norm_backward, batch_norm_fused};
use crate::ops::linear::LinearKernel;
use crate::ops::loss_scale;
use crate::ops::pool::{max_pool2d, max_pool2d_indices};
use crate::ops::{
    Conv2d, Conv2dAlgorithm, Conv2dPass, ConvOperands, ConvPlan, Epilogue, FeatureMap, GradEpilogue, MapShape,
};

use super::options::PassOptions;

/// The gradient of a map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grad {
    pub map: FeatureMap,
    /// Whether the gradient has already passed through the ReLU that made the map, in the epilogue of the convolution that read it.
    pub through_relu: bool,
}

impl Grad {
    /// The gradient of the map itself.
    pub fn of(map: FeatureMap) -> Self {
        Self { map, through_relu: false }
    }
}

/// How a convolution's input gradient is computed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    /// Added to it.
    pub residual: Option<FeatureMap>,
    /// Whether the input is the output of a ReLU, which the gradient passes through too.
    pub through_relu: bool,
}

/// A convolution as it was run.
pub(super) struct SavedConv<'a> {
    conv: &'a ConvBn,
    op: Conv2d,
    input: FeatureMap,
}

/// A normalisation as it was run.
pub(super) struct SavedNorm {
    name: String,
    saved: BatchNormSaved,
}

/// A convolution and the normalisation after it, if there is one.
pub(super) struct Unit<'a> {
    pub conv: SavedConv<'a>,
    pub norm: Option<SavedNorm>,
}

/// A pass that is being recorded.
pub(super) struct Pass<'a> {
    pub network: &'a TrainableNetwork,
    pub recording: &'a mut Recording,
    pub options: PassOptions,
    /// Whether a part of the forward pass is recomputed; running statistics were updated the first time.
    pub replaying: bool,
    gradients: Vec<(String, TensorId)>,
}

impl<'a> Pass<'a> {
    pub fn new(network: &'a TrainableNetwork, recording: &'a mut Recording, options: &PassOptions) -> Self {
        Self { network, recording, options: *options, replaying: false, gradients: Vec::new() }
    }

    /// Notes the gradient of parameter `name`.
    pub fn gradient(&mut self, name: String, grad: TensorId) {
        self.gradients.push((name, grad));
    }

    pub fn into_gradients(self) -> Vec<(String, TensorId)> {
        self.gradients
    }

    /// The gradient of the loss, with which the backward pass begins.
    pub fn scaled(&mut self, grad: TensorId) -> Result<TensorId> {
        let Some(state) = self.options.loss_scale else { return Ok(grad) };
        let elements = (self.recording.bytes(grad) / 4) as usize;
        loss_scale::scale(self.recording, "loss", elements, state, grad)
    }

    pub fn parameter(&mut self, name: &str) -> Result<TensorId> {
        let buffer = self.network.parameter(name)?.buffer.clone();
        Ok(self.recording.external(name, buffer))
    }

    pub fn conv(
        &mut self,
        conv: &'a ConvBn,
        x: FeatureMap,
        residual: Option<FeatureMap>,
    ) -> Result<(FeatureMap, SavedConv<'a>)> {
        let op = conv_op(conv);
        let (gpu, map) = (self.network.gpu(), [x.n, x.h, x.w]);
        let algorithm = Conv2dAlgorithm::choose(gpu, Conv2dPass::Forward, &op, map, x.precision);
        let master = self.parameter(&weight_name(conv))?;
        let plan = ConvPlan::new(&op, Conv2dPass::Forward, algorithm, x.shape)?;
        let weight = plan.weight()?.record_pack(self.recording, &conv.conv, master)?;
        let epilogue = Epilogue { residual, ..Default::default() };
        let z = plan.record(self.recording, &conv.conv, ConvOperands::Forward { input: x, weight, epilogue })?;
        Ok((z, SavedConv { conv, op, input: x }))
    }

    /// The weight gradient, and the input gradient if it is `wanted`.
    pub fn conv_backward(&mut self, saved: &SavedConv, g: FeatureMap, wanted: Option<Wanted>) -> Result<Option<Grad>> {
        let SavedConv { conv, op, input } = saved;
        let (gpu, map, maps) = (self.network.gpu(), [input.n, input.h, input.w], input.precision);
        let plan = |pass| ConvPlan::new(op, pass, Conv2dAlgorithm::choose(gpu, pass, op, map, maps), input.shape);
        let operands = ConvOperands::WeightGradient { input: *input, grad_output: g };
        let grad = plan(Conv2dPass::ByWeight)?.record(self.recording, &conv.conv, operands)?;
        self.gradients.push((weight_name(conv), grad.tensor));
        let Some(Wanted { residual, through_relu }) = wanted else {
            return Ok(None);
        };
        let master = self.parameter(&weight_name(conv))?;
        let by_input = plan(Conv2dPass::ByInput)?;
        let weight = by_input.weight()?.record_pack(self.recording, &conv.conv, master)?;
        let epilogue = GradEpilogue { residual, rectified: through_relu.then_some(*input) };
        let operands = ConvOperands::InputGradient { grad_output: g, weight, epilogue };
        let map = by_input.record(self.recording, &conv.conv, operands)?;
        Ok(Some(Grad { map, through_relu }))
    }

    pub fn norm(
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
        let mut attributes = BatchNormAttributes { eps, training: self.options.bn_training, ..Default::default() };
        if self.replaying {
            attributes.momentum = 0.0;
        }
        let epilogue = NormEpilogue { residual, relu };
        let (y, statistics) = batch_norm_fused(self.recording, name, x, tensors, &attributes, epilogue)?;
        // With a residual, the gradient passes through the ReLU first, since the shortcut needs that gradient too.
        let rectified = (relu && residual.is_none()).then_some(y.tensor);
        Ok((y, SavedNorm { name: name.to_owned(), saved: BatchNormSaved { input: x, statistics, rectified } }))
    }

    pub fn norm_backward(&mut self, norm: &SavedNorm, g: Grad) -> Result<FeatureMap> {
        let saved = BatchNormSaved { rectified: norm.saved.rectified.filter(|_| !g.through_relu), ..norm.saved };
        let grads = batch_norm_backward(self.recording, &norm.name, saved, g.map, self.options.bn_training)?;
        self.gradients.push((format!("{}.weight", norm.name), grads.grad_weight));
        self.gradients.push((format!("{}.bias", norm.name), grads.grad_bias));
        Ok(grads.grad_input)
    }

    pub fn conv_norm_backward(&mut self, unit: &Unit, g: Grad, wanted: Option<Wanted>) -> Result<Option<Grad>> {
        let g = match &unit.norm {
            Some(norm) => self.norm_backward(norm, g)?,
            None => g.map,
        };
        self.conv_backward(&unit.conv, g, wanted)
    }
}

impl<'a> LayerRecorder<'a> for Pass<'a> {
    type Unit = Unit<'a>;
    type Norm = SavedNorm;
    /// Its attributes, its input, and the index of each maximum; none if no gradient reaches it.
    type Pool = Option<(PoolAttributes, MapShape, TensorId)>;

    fn recording(&mut self) -> &mut Recording {
        self.recording
    }

    fn unit(
        &mut self,
        conv: &'a ConvBn,
        norm: Option<&'a str>,
        x: FeatureMap,
        residual: Option<FeatureMap>,
        relu: bool,
    ) -> Result<(FeatureMap, Unit<'a>)> {
        let Some(name) = norm else {
            let (z, conv) = self.conv(conv, x, residual)?;
            return Ok((z, Unit { conv, norm: None }));
        };
        let (z, conv) = self.conv(conv, x, None)?;
        let (y, norm) = self.norm(name, z, residual, relu)?;
        Ok((y, Unit { conv, norm: Some(norm) }))
    }

    fn norm_relu(&mut self, name: &'a str, x: FeatureMap) -> Result<(FeatureMap, SavedNorm)> {
        self.norm(name, x, None, true)
    }

    fn max_pool(&mut self, attributes: &PoolAttributes, x: FeatureMap) -> Result<(FeatureMap, Self::Pool)> {
        if self.options.train_from > 0 {
            return Ok((max_pool2d(self.recording, "maxpool", x, attributes)?, None));
        }
        let (pooled, indices) = max_pool2d_indices(self.recording, "maxpool", x, attributes)?;
        Ok((pooled, Some((*attributes, x.shape, indices))))
    }

    fn head(&mut self) -> Result<([TensorId; 2], LinearKernel)> {
        let name = &self.network.layers().head.name;
        let weight = self.parameter(&format!("{name}.weight"))?;
        let bias = self.parameter(&format!("{name}.bias"))?;
        Ok(([weight, bias], LinearKernel::choose(self.network.gpu().report())))
    }
}
