//! One pass over one convolution as a planned object: checked once and recorded any number of times.

use super::algorithm::Conv2dAlgorithm;
use super::depth::{SpaceToDepth, SpaceToDepthPass};
use super::direct::Direct;
use super::epilogue::{Ending, Epilogue, GradEpilogue};
use super::pass::{Conv2dPass, Direction};
use super::spec::Conv2d;
use super::split::Conv2dKernel;
use super::weight::WeightLayout;
use super::weight_gradient::WeightGradient;
use super::winograd::Winograd;
use super::winograd_pass::{WinogradPass, WinogradWeightGradient};
use crate::error::{Error, Result};
use crate::gpu::{Recording, TensorId};
use crate::ops::feature_map::{FeatureMap, MapShape, channels4};

/// The operands of a pass.
#[derive(Debug, Clone, Copy)]
pub enum ConvOperands {
    /// Computes `relu(conv(input) + bias + residual)`; bias, residual and ReLU are optional. `weight` is packed by the plan's layout.
    Forward { input: FeatureMap, weight: TensorId, epilogue: Epilogue },
    /// Computes the input gradient. `weight` is packed by the plan's layout.
    InputGradient { grad_output: FeatureMap, weight: TensorId, epilogue: GradEpilogue },
    /// Computes the weight gradient in KRSC ([`Conv2d::krsc_shape`]), always f32.
    WeightGradient { input: FeatureMap, grad_output: FeatureMap },
}

/// One pass over one convolution on maps of one shape by one algorithm.
#[derive(Debug, Clone)]
pub struct ConvPlan {
    pass: Conv2dPass,
    /// Shapes of the convolution's input and output.
    input: MapShape,
    output: MapShape,
    /// The layout of the weight, if the pass reads one.
    weight: Option<WeightLayout>,
    steps: Steps,
}

/// The pass as the algorithm computes it.
#[derive(Debug, Clone)]
enum Steps {
    Direct(Direct),
    Winograd(WinogradPass),
    SpaceToDepth(SpaceToDepthPass),
    WeightGradient(WeightGradient),
    WinogradWeightGradient(WinogradWeightGradient),
}

/// Maps and tensors of one recording, with their shapes checked.
enum Reads {
    Weight(FeatureMap, TensorId, Ending),
    Maps(FeatureMap, FeatureMap),
}

const OP: &str = "conv2d";
const BACKWARD: &str = "conv2d_backward";

impl ConvPlan {
    /// `pass` over `conv` by `algorithm` on inputs of the shape `input`, whose channels are padded group by group.
    ///
    /// # Errors
    /// An algorithm that does not apply to the convolution, shapes that do not fit it, and sizes that a shader cannot index.
    pub fn new(conv: &Conv2d, pass: Conv2dPass, algorithm: Conv2dAlgorithm, input: MapShape) -> Result<Self> {
        let groups = conv.attributes.groups;
        let output = MapShape::grouped(conv.output_shape(input.nchw())?, groups)?.stored(input.precision);
        if input.c4 != channels4(input.c, groups) {
            let problem = format!("{} channels in {groups} groups are not padded to a multiple of 4 each", input.c);
            return Err(Error::shape(OP, problem));
        }
        algorithm.fits(conv).map_err(|why| Error::shape(OP, why))?;
        let weight = match pass {
            Conv2dPass::ByWeight => None,
            _ => Some(WeightLayout::new(conv, pass, algorithm, input.precision)?),
        };
        let steps = match pass {
            Conv2dPass::Forward => Steps::of_maps(conv, algorithm, Direction::Forward, [input, output])?,
            Conv2dPass::ByInput => Steps::of_maps(conv, algorithm, Direction::Transposed, [output, input])?,
            Conv2dPass::ByWeight => Steps::by_weight(conv, algorithm, [input, output])?,
        };
        Ok(Self { pass, input, output, weight, steps })
    }

    /// The shape of the convolution's output.
    pub fn output(&self) -> MapShape {
        self.output
    }

    /// The layout of the packed weight.
    ///
    /// # Errors
    /// The weight gradient reads none.
    pub fn weight(&self) -> Result<&WeightLayout> {
        self.weight.as_ref().ok_or_else(|| Error::shape(BACKWARD, "a weight gradient reads no weight"))
    }

    /// Appends the pass over `operands`. Returns the output, the input gradient, or the weight gradient in KRSC.
    ///
    /// # Errors
    /// Operands of another pass, or of other shapes than planned.
    pub fn record(&self, r: &mut Recording, label: &str, operands: ConvOperands) -> Result<FeatureMap> {
        match (&self.steps, self.checked(label, operands)?) {
            (Steps::Direct(pass), Reads::Weight(source, weight, ending)) => {
                pass.record(r, label, source.tensor, weight, ending)
            }
            (Steps::Winograd(pass), Reads::Weight(source, weight, ending)) => {
                pass.record(r, label, source, weight, ending)
            }
            (Steps::SpaceToDepth(pass), Reads::Weight(source, weight, ending)) => {
                pass.record(r, label, source, weight, ending)
            }
            (Steps::WeightGradient(pass), Reads::Maps(input, grad)) => pass.record(r, label, input.tensor, grad.tensor),
            (Steps::WinogradWeightGradient(pass), Reads::Maps(input, grad)) => pass.record(r, label, input, grad),
            _ => Err(self.of_another_pass(label)),
        }
    }

    /// The operands after a check against the plan.
    fn checked(&self, label: &str, operands: ConvOperands) -> Result<Reads> {
        Ok(match (self.pass, operands) {
            (Conv2dPass::Forward, ConvOperands::Forward { input, weight, epilogue }) => {
                self.check_input(label, input)?;
                Reads::Weight(input, weight, epilogue.into())
            }
            (Conv2dPass::ByInput, ConvOperands::InputGradient { grad_output, weight, epilogue }) => {
                self.check_grad_output(label, grad_output)?;
                Reads::Weight(grad_output, weight, epilogue.into())
            }
            (Conv2dPass::ByWeight, ConvOperands::WeightGradient { input, grad_output }) => {
                self.check_input(label, input)?;
                self.check_grad_output(label, grad_output)?;
                Reads::Maps(input, grad_output)
            }
            _ => return Err(self.of_another_pass(label)),
        })
    }

    fn of_another_pass(&self, label: &str) -> Error {
        Error::shape(OP, format!("{label}: the operands are not those of the planned pass, {}", self.pass.name()))
    }

    fn check_input(&self, label: &str, input: FeatureMap) -> Result<()> {
        if input.shape == self.input {
            return Ok(());
        }
        let (found, planned) = (input.nchw(), self.input.nchw());
        let types = [input.precision, self.input.precision].map(|precision| precision.name());
        let [found_type, planned_type] = types;
        let problem = format!(
            "{label}: an input of {found:?} {found_type} is not the one of {planned:?} {planned_type} that was planned for"
        );
        Err(Error::shape(OP, problem))
    }

    fn check_grad_output(&self, label: &str, grad_output: FeatureMap) -> Result<()> {
        grad_output.check_precision(BACKWARD, label, self.input.precision)?;
        if grad_output.shape == self.output {
            return Ok(());
        }
        let (found, input) = (grad_output.nchw(), self.input.nchw());
        let problem = format!("{label}: grad_output of shape {found:?} does not belong to an input of {input:?}");
        Err(Error::shape(BACKWARD, problem))
    }
}

impl Steps {
    /// From maps to maps.
    fn of_maps(conv: &Conv2d, algorithm: Conv2dAlgorithm, direction: Direction, maps: [MapShape; 2]) -> Result<Self> {
        let refused = |why| Error::shape(OP, why);
        Ok(match algorithm {
            Conv2dAlgorithm::Winograd(tile, variant) => {
                let winograd = Winograd::new(*conv, tile, variant).map_err(refused)?;
                Self::Winograd(WinogradPass::new(winograd, direction, maps)?)
            }
            Conv2dAlgorithm::SpaceToDepth(variant) if direction == Direction::Forward => {
                let blocks = SpaceToDepth::new(*conv, variant).map_err(refused)?;
                Self::SpaceToDepth(SpaceToDepthPass::new(blocks, maps)?)
            }
            Conv2dAlgorithm::Split(variant, parts) => {
                Self::Direct(Direct::new(conv, Conv2dKernel { variant, parts }, direction, maps)?)
            }
            // Space-to-depth is for the forward pass only.
            Conv2dAlgorithm::Direct(variant) | Conv2dAlgorithm::SpaceToDepth(variant) => {
                Self::Direct(Direct::new(conv, variant, direction, maps)?)
            }
        })
    }

    fn by_weight(conv: &Conv2d, algorithm: Conv2dAlgorithm, maps: [MapShape; 2]) -> Result<Self> {
        Ok(match algorithm {
            Conv2dAlgorithm::Winograd(tile, variant) => {
                let winograd = Winograd::new(*conv, tile, variant).map_err(|why| Error::shape(OP, why))?;
                Self::WinogradWeightGradient(WinogradWeightGradient::new(winograd, maps)?)
            }
            _ => Self::WeightGradient(WeightGradient::new(conv, algorithm.variant(), maps)?),
        })
    }
}
