//! A trainable network: each parameter has a buffer of its own, in the layout in which it is trained.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Architecture;
use super::layer_ops::{conv_op, weight_name};
use super::layers::Layers;
use super::network::TensorSource;
use super::parameters::{ParameterKind, ParameterSpec};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu};
use crate::ops::{Conv2d, pack_rows, unpack_rows};

/// One parameter on the GPU.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// torchvision's name and PyTorch's shape.
    pub spec: ParameterSpec,
    pub buffer: Arc<Buffer>,
    /// Floats in the buffer, padding included; the padding is zero and stays zero.
    pub elements: usize,
    layout: Layout,
}

/// How a parameter lies in its buffer.
#[derive(Debug, Clone, Copy)]
enum Layout {
    /// A convolution's weight: KRSC, input channels padded to vec4s.
    Krsc(Conv2d),
    /// A matrix with rows padded to vec4s, a multiple of 4 of them; or a vector, as one row.
    Rows { rows: usize, columns: usize, multiple: usize },
}

impl Layout {
    fn of(spec: &ParameterSpec, convs: &BTreeMap<String, Conv2d>) -> Result<Self> {
        let unknown = || Error::shape(&spec.name, "is not a parameter of the network");
        Ok(match spec.kind {
            ParameterKind::ConvWeight => Self::Krsc(*convs.get(&spec.name).ok_or_else(unknown)?),
            ParameterKind::LinearWeight => Self::Rows { rows: spec.shape[0], columns: spec.shape[1], multiple: 4 },
            _ => Self::Rows { rows: 1, columns: spec.len(), multiple: 1 },
        })
    }

    fn pack(&self, data: &[f32]) -> Vec<f32> {
        match *self {
            Self::Krsc(conv) => conv.pack_krsc(data),
            Self::Rows { rows, columns, multiple } => pack_rows(data, [rows, columns], multiple),
        }
    }

    fn unpack(&self, data: &[f32]) -> Vec<f32> {
        match *self {
            Self::Krsc(conv) => conv.unpack_krsc(data),
            Self::Rows { rows, columns, .. } => unpack_rows(data, [rows, columns]),
        }
    }

    fn elements(&self) -> usize {
        match *self {
            Self::Krsc(conv) => conv.weight_len4() * 4,
            Self::Rows { rows, columns, multiple } => rows.next_multiple_of(multiple) * columns.next_multiple_of(4),
        }
    }
}

impl Parameter {
    /// PyTorch's order from the buffer's.
    pub fn unpack(&self, data: &[f32]) -> Vec<f32> {
        self.layout.unpack(data)
    }

    /// The buffer's order from PyTorch's.
    pub fn pack(&self, data: &[f32]) -> Vec<f32> {
        self.layout.pack(data)
    }
}

/// Weights of a network on the GPU, to be trained.
pub struct TrainableNetwork {
    gpu: Arc<Gpu>,
    architecture: Architecture,
    layers: Layers,
    parameters: BTreeMap<String, Parameter>,
    /// Running means, then running variances, of each normalisation.
    running: BTreeMap<String, (Arc<Buffer>, usize)>,
}

impl TrainableNetwork {
    /// Uploads every parameter.
    pub fn new(gpu: &Arc<Gpu>, architecture: &Architecture, source: &dyn TensorSource) -> Result<Self> {
        architecture.validate()?;
        let layers = architecture.layers();
        let convs: BTreeMap<String, Conv2d> = layers.convs().map(|conv| (weight_name(conv), conv_op(conv))).collect();
        let mut parameters = BTreeMap::new();
        let mut running = BTreeMap::new();
        for spec in architecture.parameters() {
            match spec.kind {
                ParameterKind::BnVar => {}
                ParameterKind::BnMean => {
                    let name = spec.name.trim_end_matches(".running_mean").to_owned();
                    let buffer = gpu.upload(&spec.name, &packed_running(source, &spec.name)?)?;
                    running.insert(name, (Arc::new(buffer), spec.len()));
                }
                _ => {
                    let layout = Layout::of(&spec, &convs)?;
                    let data = layout.pack(&source.tensor(&spec.name)?);
                    let buffer = Arc::new(gpu.upload(&spec.name, &data)?);
                    let elements = layout.elements();
                    parameters.insert(spec.name.clone(), Parameter { spec, buffer, elements, layout });
                }
            }
        }
        let architecture = architecture.clone();
        Ok(Self { gpu: gpu.clone(), architecture, layers, parameters, running })
    }

    /// Writes every tensor of `source`, which must be complete, into the existing buffers, so that plans remain valid.
    pub fn load(&self, source: &dyn TensorSource) -> Result<()> {
        for spec in self.architecture.parameters() {
            match spec.kind {
                ParameterKind::BnVar => {}
                ParameterKind::BnMean => {
                    let name = spec.name.trim_end_matches(".running_mean");
                    let running = packed_running(source, &spec.name)?;
                    self.gpu.write(self.running(name)?.as_ref(), &running)?;
                }
                _ => {
                    let parameter = self.parameter(&spec.name)?;
                    self.gpu.write(&parameter.buffer, &parameter.pack(&source.tensor(&spec.name)?))?;
                }
            }
        }
        Ok(())
    }

    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// The trained parameters by name.
    pub fn parameters(&self) -> &BTreeMap<String, Parameter> {
        &self.parameters
    }

    /// The trained parameter `name`.
    pub fn parameter(&self, name: &str) -> Result<&Parameter> {
        self.parameters.get(name).ok_or_else(|| Error::shape(name, "is not a parameter of the network"))
    }

    /// Running means, then running variances, of each normalisation by its name: padded vectors in one buffer.
    pub fn running_statistics(&self) -> impl Iterator<Item = (&str, &Arc<Buffer>)> {
        self.running.iter().map(|(name, (buffer, _))| (name.as_str(), buffer))
    }

    /// Bytes of all parameters and running statistics.
    pub fn bytes(&self) -> u64 {
        let parameters: u64 = self.parameters.values().map(|parameter| parameter.buffer.bytes()).sum();
        parameters + self.running.values().map(|(buffer, _)| buffer.bytes()).sum::<u64>()
    }

    pub(super) fn running(&self, norm: &str) -> Result<Arc<Buffer>> {
        let missing = || Error::shape(norm, "is not a normalisation of the network");
        Ok(self.running.get(norm).ok_or_else(missing)?.0.clone())
    }

    /// Every tensor of the state dict in torchvision's order and PyTorch's layout, read back.
    pub async fn state_dict(&self) -> Result<Vec<(ParameterSpec, Vec<f32>)>> {
        let mut out = Vec::new();
        for spec in self.architecture.parameters() {
            let data = match spec.kind {
                ParameterKind::BnMean | ParameterKind::BnVar => {
                    let name = spec.name.trim_end_matches(".running_mean").trim_end_matches(".running_var");
                    let (buffer, channels) = self
                        .running
                        .get(name)
                        .ok_or_else(|| Error::shape(name, "is not a normalisation of the network"))?;
                    let padded = channels.next_multiple_of(4);
                    let both: Vec<f32> = self.gpu.read(buffer, 2 * padded).await?;
                    let at = if spec.kind == ParameterKind::BnMean { 0 } else { padded };
                    both[at..at + channels].to_vec()
                }
                _ => {
                    let parameter = self.parameter(&spec.name)?;
                    parameter.unpack(&self.gpu.read(&parameter.buffer, parameter.elements).await?)
                }
            };
            out.push((spec, data));
        }
        Ok(out)
    }
}

/// The running mean called `mean` and the variance that goes with it, each padded to vec4s.
fn packed_running(source: &dyn TensorSource, mean: &str) -> Result<Vec<f32>> {
    let pad = |values: &[f32]| pack_rows(values, [1, values.len()], 1);
    let variance = source.tensor(&mean.replace(".running_mean", ".running_var"))?;
    Ok([pad(&source.tensor(mean)?), pad(&variance)].concat())
}
