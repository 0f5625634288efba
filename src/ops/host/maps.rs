//! Operations on feature maps, and elementwise ones.

use super::Array;
use super::session::{On, Session};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Recording, TensorId};
use crate::ops::attributes::{BatchNormAttributes, Conv2dAttributes, PoolAttributes};
use crate::ops::batch_norm::{BatchNormTensors, NormEpilogue, batch_norm_fused as batch_norm_fused_into};
use crate::ops::feature_map::{channels4, pack_channels, unpack_rows};
use crate::ops::shortcut_pad::ZeroPad;
use crate::ops::{
    self, Conv2d, Conv2dAlgorithm, Conv2dPass, Conv2dVariant, ConvOperands, ConvPlan, Epilogue, FeatureMap, Precision,
    WeightLayout,
};

pub(super) const NCHW: &str = "[N, C, H, W]";

/// `conv2d`: `input` `[N, C, H, W]`, `weight` `[K, C / groups, R, S]`, `bias` `[K]`, giving `[N, K, P, Q]`; by
/// `algorithm`, or the adapter's kernel for all attributes.
///
/// # Errors
/// [`Error::Shape`] where shapes and attributes don't fit together, and an algorithm that the adapter or the convolution is not for.
pub async fn conv2d<'a>(
    on: impl Into<On<'a>>,
    algorithm: Option<Conv2dAlgorithm>,
    input: &Array,
    weight: &Array,
    bias: Option<&Array>,
    attributes: &Conv2dAttributes,
) -> Result<Array> {
    conv2d_fused(on, algorithm, [input, weight], bias, None, false, attributes).await
}

/// [`conv2d`] with its whole epilogue: `relu(conv2d(input, weight, bias) + residual)`, each part where asked for.
pub async fn conv2d_fused<'a>(
    on: impl Into<On<'a>>,
    algorithm: Option<Conv2dAlgorithm>,
    [input, weight]: [&Array; 2],
    bias: Option<&Array>,
    residual: Option<&Array>,
    relu: bool,
    attributes: &Conv2dAttributes,
) -> Result<Array> {
    const OP: &str = "conv2d";
    let input_shape: [usize; 4] = input.dims(OP, "input", NCHW)?;
    let weight_shape: [usize; 4] = weight.dims(OP, "weight", "[K, C / groups, R, S]")?;
    let shape = attributes.output_shape(input_shape, weight_shape)?;
    let [out_channels, _, r, s] = weight_shape;
    if let Some(bias) = bias {
        bias.expect(OP, "bias", &[out_channels], "one for each output channel")?;
    }
    if let Some(residual) = residual {
        residual.expect(OP, "residual", &shape, "the output's shape")?;
    }
    let groups = attributes.groups;
    let conv = Conv2d { attributes: *attributes, in_channels: input_shape[1], out_channels, kernel: [r, s] };
    let On { gpu, precision } = on.into();
    let algorithm = runnable(gpu, OP, &conv, algorithm, precision)?;
    let mut session = Session::new((gpu, precision), OP);
    session.room("output", &[shape[0], channels4(out_channels, groups), 4, shape[2], shape[3]])?;
    let layout = WeightLayout::new(&conv, Conv2dPass::Forward, algorithm, precision)?;
    session.room("weight", &layout.extents())?;
    let map = session.map("input", &input.data, input_shape, groups)?;
    let plan = ConvPlan::new(&conv, Conv2dPass::Forward, algorithm, map.shape)?;
    let weight = session.words("weight", &layout.pack_words(&weight.data));
    let epilogue = Epilogue {
        bias: bias.map(|bias| session.input("bias", &conv.pack_bias(Some(&bias.data)))),
        residual: residual.map(|residual| session.map("residual", &residual.data, shape, groups)).transpose()?,
        relu,
    };
    let operands = ConvOperands::Forward { input: map, weight, epilogue };
    let output = plan.record(&mut session.recording, OP, operands)?;
    let data = session.run(&[]).await?.map(output, groups).await?;
    Ok(Array { shape: shape.to_vec(), data })
}

/// The algorithm that is asked for, if the adapter can run `conv` so; the adapter's direct one if none is.
pub(super) fn runnable(
    gpu: &Gpu,
    op: &str,
    conv: &Conv2d,
    algorithm: Option<Conv2dAlgorithm>,
    precision: Precision,
) -> Result<Conv2dAlgorithm> {
    let algorithm = algorithm.unwrap_or_else(|| Conv2dVariant::choose(gpu).into());
    let named = |why| Error::shape(op, format!("kernel {}: {why}", algorithm.name()));
    algorithm.supported(gpu.report(), conv, precision).map_err(named)?;
    Ok(algorithm)
}

/// What [`batch_norm`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormOutput {
    /// In the input's shape.
    pub output: Array,
    /// Running mean and variance `[C]`, moved by the batch; only in training.
    pub running: Option<[Array; 2]>,
}

/// What is fused to the end of an operation: `relu(… + residual)`, each part where asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct MapEpilogue<'a> {
    /// Of the output's shape.
    pub residual: Option<&'a Array>,
    /// `max(x, 0)` at the end.
    pub relu: bool,
}

/// `batch_norm`: `input` `[N, C, …]`; weight, bias, running mean and running variance `[C]`.
pub async fn batch_norm<'a>(
    on: impl Into<On<'a>>,
    input: &Array,
    parameters: [&Array; 4],
    attributes: &BatchNormAttributes,
) -> Result<BatchNormOutput> {
    batch_norm_fused(on, input, parameters, MapEpilogue::default(), attributes).await
}

/// [`batch_norm`] with its whole epilogue.
pub async fn batch_norm_fused<'a>(
    on: impl Into<On<'a>>,
    input: &Array,
    parameters: [&Array; 4],
    epilogue: MapEpilogue<'_>,
    attributes: &BatchNormAttributes,
) -> Result<BatchNormOutput> {
    const OP: &str = "batch_norm";
    let mut session = Session::new(on, OP);
    let norm = BatchNorm::record(&mut session, OP, input, parameters, epilogue, attributes)?;
    let running = norm.tensors.running;
    let done = session.run(&[running]).await?;
    let output = Array { shape: input.shape.clone(), data: done.map(norm.output, 1).await? };
    let running = if attributes.training {
        let c = norm.input.c;
        let stride = c.next_multiple_of(4);
        let running = done.read(running, 2 * stride).await?;
        let part = |at: usize| Array { shape: vec![c], data: running[at..at + c].to_vec() };
        Some([part(0), part(stride)])
    } else {
        None
    };
    Ok(BatchNormOutput { output, running })
}

/// A forward batch normalisation in a recording.
pub(super) struct BatchNorm {
    /// The input's, all axes after the second as one.
    pub shape: [usize; 4],
    pub input: FeatureMap,
    pub output: FeatureMap,
    pub tensors: BatchNormTensors,
    /// What the backward pass reads.
    pub statistics: TensorId,
}

impl BatchNorm {
    /// Checks the arguments, uploads them, and appends the operation.
    pub fn record(
        session: &mut Session,
        op: &str,
        input: &Array,
        [weight, bias, mean, variance]: [&Array; 4],
        epilogue: MapEpilogue,
        attributes: &BatchNormAttributes,
    ) -> Result<Self> {
        input.check(op, "input")?;
        let &[n, c, ..] = &input.shape[..] else {
            return Err(Error::shape(op, format!("input has the shape {:?}; it must be [N, C, …]", input.shape)));
        };
        let named = [("weight", weight), ("bias", bias), ("running_mean", mean), ("running_var", variance)];
        for (name, array) in named {
            array.expect(op, name, &[c], "one for each channel")?;
        }
        let area = input.shape[2..].iter().product();
        attributes.check(n * area)?;
        let shape = [n, c, area, 1];
        let map = session.map("input", &input.data, shape, 1)?;
        let mut residual = None;
        if let Some(array) = epilogue.residual {
            array.expect(op, "residual", &input.shape, "the output's shape")?;
            residual = Some(session.map("residual", &array.data, shape, 1)?);
        }
        let vector = |array: &Array| pack_channels(&array.data, 1);
        let tensors = BatchNormTensors {
            weight: session.input("weight", &vector(weight)),
            bias: session.input("bias", &vector(bias)),
            running: session.state("running statistics", &[vector(mean), vector(variance)].concat()),
        };
        let epilogue = NormEpilogue { residual, relu: epilogue.relu };
        let recording = &mut session.recording;
        let (output, statistics) = batch_norm_fused_into(recording, op, map, tensors, attributes, epilogue)?;
        Ok(Self { shape, input: map, output, tensors, statistics })
    }
}

/// `relu`: `max(input, 0)` of any shape; NaN stays NaN.
pub async fn relu<'a>(on: impl Into<On<'a>>, input: &Array) -> Result<Array> {
    elementwise(on, "relu", &[("input", input)], |r, maps| ops::elementwise::relu(r, "relu", maps[0])).await
}

/// `add`: `input + other` of equal shapes.
pub async fn add<'a>(on: impl Into<On<'a>>, input: &Array, other: &Array) -> Result<Array> {
    let inputs = [("input", input), ("other", other)];
    elementwise(on, "add", &inputs, |r, maps| ops::elementwise::add(r, "add", maps[0], maps[1])).await
}

/// `add_relu`: `max(input + other, 0)` of equal shapes.
pub async fn add_relu<'a>(on: impl Into<On<'a>>, input: &Array, other: &Array) -> Result<Array> {
    let inputs = [("input", input), ("other", other)];
    elementwise(on, "add_relu", &inputs, |r, maps| ops::elementwise::add_relu(r, "add_relu", maps[0], maps[1])).await
}

/// These kernels are layout-free, so the values go up as they lie: as the channels of a single pixel.
pub(super) async fn elementwise<'a>(
    on: impl Into<On<'a>>,
    op: &'static str,
    inputs: &[(&str, &Array)],
    record: impl Fn(&mut Recording, &[FeatureMap]) -> Result<FeatureMap>,
) -> Result<Array> {
    let (_, first) = inputs[0];
    let mut session = Session::new(on, op);
    let mut maps = Vec::new();
    for (name, array) in inputs {
        array.check(op, name)?;
        array.expect(op, name, &first.shape, "the shape of input")?;
        maps.push(session.map(name, &array.data, [1, array.data.len(), 1, 1], 1)?);
    }
    let output = record(&mut session.recording, &maps)?;
    Ok(Array { shape: first.shape.clone(), data: session.run(&[]).await?.map(output, 1).await? })
}

/// `max_pool2d`: `[N, C, H, W]` to `[N, C, P, Q]`; NaN wins, padding never does.
pub async fn max_pool2d<'a>(on: impl Into<On<'a>>, input: &Array, attributes: &PoolAttributes) -> Result<Array> {
    pool(on, "max_pool2d", input, attributes, ops::pool::max_pool2d).await
}

/// `avg_pool2d`: `[N, C, H, W]` to `[N, C, P, Q]`; the zeros of the padding count.
pub async fn avg_pool2d<'a>(on: impl Into<On<'a>>, input: &Array, attributes: &PoolAttributes) -> Result<Array> {
    pool(on, "avg_pool2d", input, attributes, ops::pool::avg_pool2d).await
}

type Pool = fn(&mut Recording, &str, FeatureMap, &PoolAttributes) -> Result<FeatureMap>;

async fn pool<'a>(
    on: impl Into<On<'a>>,
    op: &'static str,
    input: &Array,
    attributes: &PoolAttributes,
    record: Pool,
) -> Result<Array> {
    let shape: [usize; 4] = input.dims(op, "input", NCHW)?;
    let [n, c, h, w] = shape;
    let (p, q) = attributes.output_size(h, w)?;
    let mut session = Session::new(on, op);
    session.room("output", &[n, c.div_ceil(4), 4, p, q])?;
    let map = session.map("input", &input.data, shape, 1)?;
    let output = record(&mut session.recording, op, map, attributes)?;
    Ok(Array { shape: vec![n, c, p, q], data: session.run(&[]).await?.map(output, 1).await? })
}

/// `global_avg_pool`: `[N, C, H, W]` to `[N, C]`.
pub async fn global_avg_pool<'a>(on: impl Into<On<'a>>, input: &Array) -> Result<Array> {
    const OP: &str = "global_avg_pool";
    let shape: [usize; 4] = input.dims(OP, "input", NCHW)?;
    let mut session = Session::new(on, OP);
    let map = session.map("input", &input.data, shape, 1)?;
    let output = ops::pool::global_avg_pool(&mut session.recording, OP, map)?;
    let rows = session.run(&[]).await?.read(output.tensor, output.len4() * 4).await?;
    Ok(Array { shape: shape[..2].to_vec(), data: unpack_rows(&rows, [output.n, output.c]) })
}

/// `shortcut_pad`: `[N, C, H, W]` to `[N, out_channels, ceil(H / stride), ceil(W / stride)]`, the new channels zero. A
/// stride alone puts them after the input's.
pub async fn shortcut_pad<'a>(
    on: impl Into<On<'a>>,
    input: &Array,
    out_channels: usize,
    pad: impl Into<ZeroPad>,
) -> Result<Array> {
    const OP: &str = "shortcut_pad";
    let pad @ ZeroPad { stride, .. } = pad.into();
    let shape: [usize; 4] = input.dims(OP, "input", NCHW)?;
    let [n, _, h, w] = shape;
    let mut session = Session::new(on, OP);
    session.room("output", &[n, out_channels, h.div_ceil(stride.max(1)), w.div_ceil(stride.max(1))])?;
    let map = session.map("input", &input.data, shape, 1)?;
    let output = ops::shortcut_pad::shortcut_pad(&mut session.recording, OP, map, out_channels, pad)?;
    let shape = vec![n, output.c, output.h, output.w];
    Ok(Array { shape, data: session.run(&[]).await?.map(output, 1).await? })
}

/// `space_to_depth`: `[N, C, H, W]` to `[N, stride * stride * C, size]`, the pixels of blocks as channels, the blocks beginning
/// `padding` before the map. Pairs are height, width.
pub async fn space_to_depth<'a>(
    on: impl Into<On<'a>>,
    input: &Array,
    stride: [usize; 2],
    padding: [usize; 2],
    size: [usize; 2],
) -> Result<Array> {
    const OP: &str = "space_to_depth";
    let shape: [usize; 4] = input.dims(OP, "input", NCHW)?;
    let mut session = Session::new(on, OP);
    session.room("output", &[shape[0], shape[1].div_ceil(4), 4, stride[0], stride[1], size[0], size[1]])?;
    let map = session.map("input", &input.data, shape, 1)?;
    let output = ops::space_to_depth::space_to_depth(&mut session.recording, OP, map, stride, padding, size)?;
    let shape = vec![output.n, output.c, output.h, output.w];
    Ok(Array { shape, data: session.run(&[]).await?.map(output, 1).await? })
}

/// `preprocess`: 8-bit RGB images `[N, H, W, 3]` to `[N, 3, H, W]`, `(value / 255 - mean) / std`.
pub async fn preprocess<'a>(
    on: impl Into<On<'a>>,
    pixels: &[u8],
    nhw: [usize; 3],
    mean: [f32; 3],
    std: [f32; 3],
) -> Result<Array> {
    const OP: &str = "preprocess";
    let [n, h, w] = nhw;
    let mut session = Session::new(on, OP);
    let precision = session.precision;
    session.room("output", &[n, 4, h, w])?;
    if pixels.is_empty() || pixels.len() != n * h * w * 3 {
        let found = pixels.len();
        return Err(Error::shape(OP, format!("{found} bytes are no images of [{n}, {h}, {w}, 3]; give one per value")));
    }
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
    let words: Vec<u32> = pixels.chunks(4).map(word).collect();
    let tensor = session.words("pixels", &words);
    let output = ops::preprocess::preprocess(&mut session.recording, OP, tensor, nhw, mean, std, precision)?;
    Ok(Array { shape: vec![n, 3, h, w], data: session.run(&[]).await?.map(output, 1).await? })
}
