//! A forward pass that is ready to run: one plan for a batch size, an image size and a kind of input.

use super::input::InputKind;
use super::network::{ForwardTensors, Network};
use crate::error::{Error, Result};
use crate::gpu::{Flight, Plan, PlanSummary, Recording, TensorId};
use crate::ops::{FeatureMap, Precision, pack_nhwc, unpack_nhwc, unpack_rows};

/// The outputs, row-major.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// `[N, classes]`.
    pub logits: Vec<f32>,
    /// `[N, C]`, the input of the head.
    pub features: Vec<f32>,
}

impl Output {
    /// Appends the rows of `other`.
    pub fn append(&mut self, other: Output) {
        self.logits.extend(other.logits);
        self.features.extend(other.features);
    }
}

/// A forward pass in flight: submitted, its results not read yet.
pub struct Pending {
    flight: Flight,
    /// Rows and columns of the logits and of the features.
    shapes: [[usize; 2]; 2],
}

impl Pending {
    /// Waits for the pass and returns its outputs.
    pub async fn wait(self) -> Result<Output> {
        let rows = self.flight.wait().await?;
        let mut rows = rows.into_iter().zip(self.shapes).map(|(rows, shape)| unpack_rows(&rows, shape));
        Ok(Output { logits: rows.next().unwrap_or_default(), features: rows.next().unwrap_or_default() })
    }
}

/// A feature map read back, in NCHW.
#[derive(Debug, Clone, PartialEq)]
pub struct StageOutput {
    /// `stem`, `layer1`, …
    pub name: String,
    pub shape: [usize; 4],
    pub data: Vec<f32>,
}

/// A plan over one batch.
pub struct Forward {
    plan: Plan,
    kind: InputKind,
    input: TensorId,
    shape: [usize; 4],
    classes: usize,
    precision: Precision,
    tensors: ForwardTensors,
}

impl Forward {
    /// Plans `network` for `batch` images of `height` x `width`; `stages` keeps every stage's output readable.
    pub fn new(network: &Network, kind: InputKind, batch: usize, [h, w]: [usize; 2], stages: bool) -> Result<Self> {
        let (mut recording, input, tensors) = record(network, kind, [batch, 3, h, w], Network::record)?;
        recording.keep(tensors.features.tensor);
        recording.keep(tensors.logits);
        if stages {
            tensors.stages.iter().for_each(|(_, map)| recording.keep(map.tensor));
        }
        let plan = Plan::new(network.gpu(), &recording)?;
        let classes = network.architecture().classes;
        let precision = network.precision();
        Ok(Self { plan, kind, input, shape: [batch, 3, h, w], classes, precision, tensors })
    }

    /// The largest batch whose tensors fit the adapter's binding limit; at least 1.
    pub fn max_batch(network: &Network, kind: InputKind, [h, w]: [usize; 2]) -> Result<usize> {
        let (recording, ..) = record(network, kind, [1, 3, h, w], Network::record_sizes)?;
        let report = network.gpu().report();
        let most = report.max_binding_bytes.min(report.max_buffer_bytes);
        // Shaders index single floats with 32 bits.
        let most = most.min(u64::from(u32::MAX) * 4);
        Ok((most / recording.largest_activation().max(1)).max(1) as usize)
    }

    /// Images of one run.
    pub fn batch(&self) -> usize {
        self.shape[0]
    }

    /// Dispatches, operations and memory.
    pub fn summary(&self) -> PlanSummary {
        self.plan.summary()
    }

    /// The plan itself, for profiling.
    pub fn plan_mut(&mut self) -> &mut Plan {
        &mut self.plan
    }

    /// Runs on a whole batch of HWC RGB bytes.
    pub async fn run_pixels(&mut self, pixels: &[u8]) -> Result<Output> {
        self.start_pixels(pixels).await?.wait().await
    }

    /// Uploads a whole batch of HWC RGB bytes and submits its pass, behind what was submitted before.
    pub async fn start_pixels(&mut self, pixels: &[u8]) -> Result<Pending> {
        self.check(pixels.len(), matches!(self.kind, InputKind::Pixels { .. }))?;
        self.plan.write(self.input, pixels)?;
        self.start().await
    }

    /// Runs on a whole batch of NCHW floats.
    pub async fn run_tensor(&mut self, input: &[f32]) -> Result<Output> {
        self.check(input.len(), self.kind == InputKind::Tensor)?;
        self.plan.write(self.input, &self.precision.words(&pack_nhwc(input, self.shape, 1)))?;
        self.start().await?.wait().await
    }

    fn check(&self, found: usize, right_kind: bool) -> Result<()> {
        let expected: usize = self.shape.iter().product();
        if right_kind && found == expected {
            return Ok(());
        }
        Err(Error::shape("forward", format!("the plan takes {:?} and was given {found} values", self.shape)))
    }

    async fn start(&mut self) -> Result<Pending> {
        let n = self.shape[0];
        let features = self.tensors.features;
        let shapes = [[n, self.classes], [n, features.c]];
        let reads = [self.tensors.logits, features.tensor].into_iter().zip(shapes);
        let reads: Vec<_> = reads.map(|(tensor, [n, columns])| (tensor, n * columns.next_multiple_of(4))).collect();
        Ok(Pending { flight: self.plan.start(&reads).await?, shapes })
    }

    /// The shape of the last stage's output, NCHW.
    pub fn top_shape(&self) -> Option<[usize; 4]> {
        self.tensors.stages.last().map(|(_, map)| map.nchw())
    }

    /// The stages' outputs of the last run; needs `stages` at planning.
    pub async fn stages(&self) -> Result<Vec<StageOutput>> {
        let mut outputs = Vec::new();
        for (name, map) in &self.tensors.stages {
            let shape = map.nchw();
            let count = map.len4() * 4;
            let words = self.plan.read::<u32>(map.tensor, map.precision.word_count(count)).await?;
            let data = map.precision.values(&words, count);
            outputs.push(StageOutput { name: name.clone(), shape, data: unpack_nhwc(&data, shape, 1) });
        }
        Ok(outputs)
    }
}

fn record(
    network: &Network,
    kind: InputKind,
    shape: [usize; 4],
    forward: fn(&Network, &mut Recording, FeatureMap) -> Result<ForwardTensors>,
) -> Result<(Recording, TensorId, ForwardTensors)> {
    let [n, _, h, w] = shape;
    if n == 0 || h == 0 || w == 0 {
        return Err(Error::shape("forward", format!("a batch of {n} images of {h} x {w} is empty")));
    }
    let mut recording = Recording::new();
    let (input, map) = kind.record(&mut recording, [n, h, w], network.precision())?;
    let tensors = forward(network, &mut recording, map)?;
    Ok((recording, input, tensors))
}
