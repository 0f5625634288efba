//! The head and the optimiser's state in GPU memory.

use std::sync::Arc;

use super::head::{Head, HeadShape};
use super::options::Optimizer;
use super::state::Moment;
use super::update::{Updated, update};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Recording, TensorId};
use crate::ops::head_step::{HeadStep, HeadStepTensors};
use crate::ops::{pack_rows, unpack_rows};

pub(super) struct Parameters {
    gpu: Arc<Gpu>,
    shape: HeadShape,
    /// Weight and after it bias, packed as [`HeadStep`] takes them.
    pub head: Arc<Buffer>,
    /// One for each of [`Optimizer::moments`], packed alike.
    moments: Vec<Arc<Buffer>>,
}

impl Parameters {
    pub fn new(gpu: &Arc<Gpu>, shape: HeadShape, optimizer: &Optimizer) -> Result<Self> {
        let buffer = |name: &str| Ok::<_, Error>(Arc::new(gpu.buffer(name, elements(shape) as u64 * 4)?));
        Ok(Self {
            gpu: gpu.clone(),
            shape,
            head: buffer("head")?,
            moments: optimizer.moments().iter().map(|name| buffer(name)).collect::<Result<_>>()?,
        })
    }

    /// The optimiser's update by the gradient.
    pub fn update(
        &self,
        recording: &mut Recording,
        optimizer: &Optimizer,
        t: &HeadStepTensors,
        schedule: TensorId,
        grad: TensorId,
    ) -> Result<()> {
        let moments: Vec<_> = self.moments.iter().map(|buffer| recording.external("moment", buffer.clone())).collect();
        let tensors =
            Updated { grad, schedule, cursor: t.cursor, param: t.parameters, moments: &moments, loss_scale: None };
        update(recording, "update", optimizer, elements(self.shape), tensors)
    }

    /// Sets the head, and the optimiser's state (zero if there is none).
    pub fn write(&self, head: &Head, moments: &[Moment]) -> Result<()> {
        self.write_one(&self.head, &head.weight, &head.bias)?;
        let zero = Moment::zero(self.shape);
        for (i, buffer) in self.moments.iter().enumerate() {
            let moment = moments.get(i).unwrap_or(&zero);
            self.write_one(buffer, &moment.weight, &moment.bias)?;
        }
        Ok(())
    }

    fn write_one(&self, buffer: &Buffer, weight: &[f32], bias: &[f32]) -> Result<()> {
        let HeadShape { features, classes } = self.shape;
        let weight = pack_rows(weight, [classes, features], 4);
        self.gpu.write(buffer, &[weight, pack_rows(bias, [1, classes], 1)].concat())
    }

    /// The head as it is now.
    pub async fn read_head(&self) -> Result<Head> {
        let (weight, bias) = self.read_one(&self.head).await?;
        Ok(Head { shape: self.shape, weight, bias })
    }

    /// The optimiser's state as it is now.
    pub async fn read_moments(&self) -> Result<Vec<Moment>> {
        let mut moments = Vec::new();
        for buffer in &self.moments {
            let (weight, bias) = self.read_one(buffer).await?;
            moments.push(Moment { weight, bias });
        }
        Ok(moments)
    }

    async fn read_one(&self, buffer: &Buffer) -> Result<(Vec<f32>, Vec<f32>)> {
        let HeadShape { features, classes } = self.shape;
        let packed: Vec<f32> = self.gpu.read(buffer, elements(self.shape)).await?;
        let bias = &packed[elements(self.shape) - classes.next_multiple_of(4)..][..classes];
        Ok((unpack_rows(&packed, [classes, features]), bias.to_vec()))
    }
}

/// Elements of the packed parameters.
fn elements(shape: HeadShape) -> usize {
    HeadStep { layer: shape.layer(1) }.parameters()
}
