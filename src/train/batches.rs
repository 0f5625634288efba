//! The examples on the device, and the batch that each step takes from them.
//!
//! Features that fit one binding are uploaded once, and a step gathers its rows by the epoch's order. Others are
//! uploaded a window of steps at a time, already in that order. Both give a step the same batch, to the bit.

use std::borrow::Cow;
use std::sync::Arc;

use super::head::HeadShape;
use super::scaler::Scaler;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Recording};
use crate::ops::cross_entropy::IGNORE;
use crate::ops::head_step::HeadStepTensors;

/// Feature vectors with their classes.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    /// `[N, features]`, row-major.
    pub features: &'a [f32],
    /// `[N]`, each below the number of classes.
    pub labels: &'a [u32],
}

impl Examples<'_> {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// # Errors
    /// [`Error::Shape`] if there are none, the features are not `[N, features]` or not finite, or a label is too large.
    pub fn check(&self, shape: HeadShape) -> Result<()> {
        let HeadShape { features, classes } = shape;
        let refuse = |problem: String| Err(Error::shape("head training", problem));
        if self.is_empty() || features == 0 || classes == 0 {
            return refuse(format!(
                "{} examples of {features} features in {classes} classes are too few to train on",
                self.len()
            ));
        }
        if Some(self.features.len()) != self.len().checked_mul(features) {
            let found = self.features.len();
            return refuse(format!("{} examples of {features} features don't make {found} numbers", self.len()));
        }
        if u32::try_from(self.len()).is_err() {
            return refuse(format!("{} examples are more than a shader can index; train on fewer", self.len()));
        }
        if let Some(label) = self.labels.iter().find(|&&label| label as usize >= classes) {
            return refuse(format!("the label {label} is not below the number of classes, {classes}"));
        }
        match self.features.iter().position(|value| !value.is_finite()) {
            Some(at) => refuse(format!(
                "feature {} of example {} is {}; the network's weights or its input are broken",
                at % features,
                at / features,
                self.features[at]
            )),
            None => Ok(()),
        }
    }
}

/// A window's size where features are uploaded as they are needed.
const WINDOW_BYTES: u64 = 32 << 20;

pub(super) struct Batches<'a> {
    gpu: Arc<Gpu>,
    examples: Examples<'a>,
    columns: usize,
    rows: usize,
    scaler: Option<Arc<Scaler>>,
    resident: bool,
    window: usize,
    order: Vec<u32>,
    buffers: Buffers,
}

struct Buffers {
    features: Arc<Buffer>,
    labels: Arc<Buffer>,
    order: Arc<Buffer>,
    cursor: Arc<Buffer>,
    history: Arc<Buffer>,
}

impl<'a> Batches<'a> {
    /// Batches of at most `batch_size` rows; features of more than `resident_bytes` don't stay on the device.
    pub fn new(
        gpu: &Arc<Gpu>,
        examples: Examples<'a>,
        shape: HeadShape,
        batch_size: usize,
        scaler: Option<Arc<Scaler>>,
        resident_bytes: u64,
    ) -> Result<Self> {
        examples.check(shape)?;
        let rows = batch_size.min(examples.len());
        let steps = examples.len().div_ceil(rows);
        let report = gpu.report();
        let limit = report.max_buffer_bytes.min(report.max_binding_bytes);
        let row_bytes = shape.features.div_ceil(4) as u64 * 16;
        let resident = row_bytes * examples.len() as u64 <= limit.min(resident_bytes);
        let step_bytes = (row_bytes * rows as u64).max(1);
        let window = if resident { steps } else { ((limit.min(WINDOW_BYTES) / step_bytes) as usize).clamp(1, steps) };
        let held = if resident { examples.len() } else { window * rows };
        let buffers = Buffers {
            features: Arc::new(gpu.buffer("features", row_bytes * held as u64)?),
            labels: Arc::new(gpu.buffer("labels", held as u64 * 4)?),
            order: Arc::new(gpu.buffer("order", (window * rows) as u64 * 4)?),
            cursor: Arc::new(gpu.buffer("cursor", 8)?),
            history: Arc::new(gpu.buffer("history", window as u64 * 16)?),
        };
        let mut batches = Self {
            gpu: gpu.clone(),
            examples,
            columns: shape.features,
            rows,
            scaler,
            resident,
            window,
            order: Vec::new(),
            buffers,
        };
        if resident {
            let everything: Vec<u32> = (0..examples.len() as u32).collect();
            batches.upload(&everything)?;
        } else {
            // A window is uploaded in the epoch's order already.
            let order: Vec<u32> = (0..held as u32).collect();
            gpu.write(&batches.buffers.order, &order)?;
        }
        batches.order = Vec::with_capacity(examples.len());
        Ok(batches)
    }

    /// Rows of a step.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Steps of an epoch.
    pub fn steps(&self) -> usize {
        self.examples.len().div_ceil(self.rows)
    }

    /// Examples of an epoch.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Most steps between two calls of [`Self::prepare`].
    pub fn window(&self) -> usize {
        self.window
    }

    /// What a step's recording works on, with the `parameters` of its head.
    pub fn tensors(&self, recording: &mut Recording, parameters: &Arc<Buffer>) -> HeadStepTensors {
        let mut external = |label: &str, buffer: &Arc<Buffer>| recording.external(label, buffer.clone());
        HeadStepTensors {
            features: external("features", &self.buffers.features),
            labels: external("labels", &self.buffers.labels),
            order: external("order", &self.buffers.order),
            cursor: external("cursor", &self.buffers.cursor),
            parameters: external("parameters", parameters),
            history: external("history", &self.buffers.history),
        }
    }

    /// Starts an epoch that visits examples in `order`, as many as there are; one may come several times.
    pub fn begin(&mut self, order: impl IntoIterator<Item = usize>) -> Result<()> {
        let total = self.examples.len();
        self.order.clear();
        for index in order {
            if index >= total {
                return Err(Error::shape("head training", format!("the order names example {index} of {total}")));
            }
            self.order.push(index as u32);
        }
        if self.order.len() != total {
            let found = self.order.len();
            return Err(Error::shape("head training", format!("the order has {found} examples of {total}")));
        }
        if !self.resident {
            return Ok(());
        }
        let mut order = self.order.clone();
        order.resize(self.steps() * self.rows, IGNORE);
        self.gpu.write(&self.buffers.order, &order)
    }

    /// Prepares the device for `count` steps of the epoch, from step `first` on.
    pub fn prepare(&mut self, first: usize, count: usize) -> Result<()> {
        if self.resident {
            return self.gpu.write(&self.buffers.cursor, &[first as u32; 2]);
        }
        let start = first * self.rows;
        let end = ((first + count) * self.rows).min(self.order.len());
        let part = self.order[start..end].to_vec();
        self.upload(&part)?;
        self.gpu.write(&self.buffers.cursor, &[first as u32, 0])
    }

    /// The summary of the `count` steps from `first` on: mean loss, correct rows, counted rows, 0.
    pub async fn results(&self, first: usize, count: usize) -> Result<Vec<[f32; 4]>> {
        let before = if self.resident { first } else { 0 };
        let mut history: Vec<[f32; 4]> = self.gpu.read(&self.buffers.history, before + count).await?;
        Ok(history.split_off(before))
    }

    /// Writes the examples at `indices` to the start of the device's buffers. After them come rows that do not count.
    fn upload(&self, indices: &[u32]) -> Result<()> {
        let stride = self.columns.next_multiple_of(4);
        let in_place = indices.len() == self.examples.len() && indices.iter().zip(0..).all(|(&index, i)| index == i);
        let features = if in_place && stride == self.columns && self.scaler.is_none() {
            Cow::Borrowed(self.examples.features)
        } else {
            let mut packed = vec![0.0; indices.len() * stride];
            for (row, &index) in packed.chunks_exact_mut(stride).zip(indices) {
                let row = &mut row[..self.columns];
                row.copy_from_slice(&self.examples.features[index as usize * self.columns..][..self.columns]);
                if let Some(scaler) = &self.scaler {
                    scaler.apply(row);
                }
            }
            Cow::Owned(packed)
        };
        self.gpu.write(&self.buffers.features, &features)?;
        let mut labels: Vec<u32> = indices.iter().map(|&index| self.examples.labels[index as usize]).collect();
        if !self.resident {
            labels.resize(self.window * self.rows, IGNORE);
        }
        self.gpu.write(&self.buffers.labels, &labels)
    }
}
