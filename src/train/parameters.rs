//! The head and the optimiser's state in GPU memory.

use std::sync::Arc;

use super::head::{Head, HeadShape};
use super::options::Optimizer;
use super::state::Moment;
use super::update::{Updated, update};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Recording, TensorId};
use crate::ops::{pack_rows, unpack_rows};

/// A weight and a bias on the device, packed as `ops::linear` takes them.
pub(super) struct Pair {
    pub weight: Arc<Buffer>,
    pub bias: Arc<Buffer>,
}

pub(super) struct Parameters {
    gpu: Arc<Gpu>,
    shape: HeadShape,
    pub head: Pair,
    /// One pair for each of [`Optimizer::moments`].
    moments: Vec<Pair>,
}

impl Parameters {
    pub fn new(gpu: &Arc<Gpu>, shape: HeadShape, optimizer: &Optimizer) -> Result<Self> {
        let [weight, bias] = sizes(shape);
        let pair = |name: &str| -> Result<Pair> {
            Ok(Pair {
                weight: Arc::new(gpu.buffer(&format!("{name} (weight)"), weight as u64 * 4)?),
                bias: Arc::new(gpu.buffer(&format!("{name} (bias)"), bias as u64 * 4)?),
            })
        };
        Ok(Self {
            gpu: gpu.clone(),
            shape,
            head: pair("head")?,
            moments: optimizer.moments().iter().map(|name| pair(name)).collect::<Result<_>>()?,
        })
    }

    /// Weight and bias as tensors of `recording`.
    pub fn head_tensors(&self, recording: &mut Recording) -> [TensorId; 2] {
        [recording.external("weight", self.head.weight.clone()), recording.external("bias", self.head.bias.clone())]
    }

    /// The optimiser's update of weight and bias by their gradients.
    pub fn update(
        &self,
        recording: &mut Recording,
        optimizer: &Optimizer,
        params: [TensorId; 2],
        grads: [TensorId; 2],
        [schedule, cursor]: [TensorId; 2],
    ) -> Result<()> {
        let elements = sizes(self.shape);
        for (i, label) in ["update of the weight", "update of the bias"].into_iter().enumerate() {
            let buffers = self.moments.iter().map(|pair| if i == 0 { &pair.weight } else { &pair.bias });
            let moments: Vec<_> = buffers.map(|buffer| recording.external("moment", buffer.clone())).collect();
            let tensors = Updated { grad: grads[i], schedule, cursor, param: params[i], moments: &moments };
            update(recording, label, optimizer, elements[i], tensors)?;
        }
        Ok(())
    }

    /// Sets the head, and the optimiser's state (zero if there is none).
    pub fn write(&self, head: &Head, moments: &[Moment]) -> Result<()> {
        self.write_pair(&self.head, &head.weight, &head.bias)?;
        let zero = Moment::zero(self.shape);
        for (i, pair) in self.moments.iter().enumerate() {
            let moment = moments.get(i).unwrap_or(&zero);
            self.write_pair(pair, &moment.weight, &moment.bias)?;
        }
        Ok(())
    }

    fn write_pair(&self, pair: &Pair, weight: &[f32], bias: &[f32]) -> Result<()> {
        let HeadShape { features, classes } = self.shape;
        self.gpu.write(&pair.weight, &pack_rows(weight, [classes, features], 4))?;
        self.gpu.write(&pair.bias, &pack_rows(bias, [1, classes], 1))
    }

    /// The head as it is now.
    pub fn read_head(&self) -> Result<Head> {
        let (weight, bias) = self.read_pair(&self.head)?;
        Ok(Head { shape: self.shape, weight, bias })
    }

    /// The optimiser's state as it is now.
    pub fn read_moments(&self) -> Result<Vec<Moment>> {
        let moments = self.moments.iter().map(|pair| {
            let (weight, bias) = self.read_pair(pair)?;
            Ok(Moment { weight, bias })
        });
        moments.collect()
    }

    fn read_pair(&self, pair: &Pair) -> Result<(Vec<f32>, Vec<f32>)> {
        let HeadShape { features, classes } = self.shape;
        let [weight, _] = sizes(self.shape);
        let weight: Vec<f32> = self.gpu.read(&pair.weight, weight)?;
        Ok((unpack_rows(&weight, [classes, features]), self.gpu.read(&pair.bias, classes)?))
    }
}

/// Elements of the packed weight and bias.
fn sizes(shape: HeadShape) -> [usize; 2] {
    let rows = shape.classes.next_multiple_of(4);
    [rows * shape.features.next_multiple_of(4), rows]
}
