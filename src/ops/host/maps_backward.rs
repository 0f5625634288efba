//! The gradients of operations on feature maps, and of elementwise ones.

use super::maps::{BatchNorm, NCHW, elementwise};
use super::session::{On, Session};
use super::{Array, Gradients, MapEpilogue};
use crate::error::Result;
use crate::ops::attributes::{BatchNormAttributes, PoolAttributes};
use crate::ops::batch_norm::{BatchNormSaved, batch_norm_backward as record_batch_norm_backward};
use crate::ops::shortcut_pad::ZeroPad;
use crate::ops::{self, FeatureMap, MapShape, pack_rows};

/// `batch_norm_backward`: the gradients with respect to `input` `[N, C, …]`, weight and bias from `grad_output` of the input's shape;
/// weight, running mean and running variance are `[C]`. In training the statistics are the batch's own.
pub async fn batch_norm_backward<'a>(
    on: impl Into<On<'a>>,
    input: &Array,
    [weight, mean, variance]: [&Array; 3],
    grad_output: &Array,
    attributes: &BatchNormAttributes,
) -> Result<Gradients> {
    // No gradient depends on the bias.
    let bias = Array { shape: weight.shape.clone(), data: vec![0.0; weight.data.len()] };
    let epilogue = MapEpilogue::default();
    batch_norm_fused_backward(on, input, [weight, &bias, mean, variance], epilogue, grad_output, attributes).await
}

/// The same through a ReLU that [`super::batch_norm_fused`] ended with; the gradient of its residual, which is not given,
/// is that by the ReLU's input.
pub async fn batch_norm_fused_backward<'a>(
    on: impl Into<On<'a>>,
    input: &Array,
    parameters: [&Array; 4],
    epilogue: MapEpilogue<'_>,
    grad_output: &Array,
    attributes: &BatchNormAttributes,
) -> Result<Gradients> {
    const OP: &str = "batch_norm_backward";
    let mut session = Session::new(on, OP);
    let norm = BatchNorm::record(&mut session, OP, input, parameters, epilogue, attributes)?;
    grad_output.expect(OP, "grad_output", &input.shape, "the output's shape")?;
    let g = session.map("grad_output", &grad_output.data, norm.shape, 1)?;
    let saved = BatchNormSaved {
        input: norm.input,
        statistics: norm.statistics,
        rectified: epilogue.relu.then_some(norm.output.tensor),
    };
    let found = record_batch_norm_backward(&mut session.recording, OP, saved, g, attributes.training)?;
    let done = session.run(&[norm.tensors.running]).await?;
    let channels = norm.input.c;
    let vector = async |tensor| -> Result<Array> {
        let mut data = done.read(tensor, channels.next_multiple_of(4)).await?;
        data.truncate(channels);
        Ok(Array { shape: vec![channels], data })
    };
    Ok(Gradients {
        grad_input: Array { shape: input.shape.clone(), data: done.map(found.grad_input, 1).await? },
        grad_weight: vector(found.grad_weight).await?,
        grad_bias: vector(found.grad_bias).await?,
    })
}

/// `relu_backward`: `grad_output` where `input` is above zero or NaN, else 0; any shape.
pub async fn relu_backward<'a>(on: impl Into<On<'a>>, input: &Array, grad_output: &Array) -> Result<Array> {
    const OP: &str = "relu_backward";
    let inputs = [("input", input), ("grad_output", grad_output)];
    elementwise(on, OP, &inputs, |r, maps| ops::elementwise::relu_backward(r, OP, maps[0], maps[1])).await
}

/// `add_relu_backward`: `grad_output` where `input + other` is above zero or NaN, else 0: the gradient of either.
pub async fn add_relu_backward<'a>(
    on: impl Into<On<'a>>,
    input: &Array,
    other: &Array,
    grad_output: &Array,
) -> Result<Array> {
    const OP: &str = "add_relu_backward";
    let inputs = [("input", input), ("other", other), ("grad_output", grad_output)];
    elementwise(on, OP, &inputs, |r, maps| ops::elementwise::add_relu_backward(r, OP, [maps[0], maps[1]], maps[2]))
        .await
}

/// `max_pool2d_backward`: the gradient with respect to `input` `[N, C, H, W]` from `grad_output` `[N, C, P, Q]`: each goes to the first
/// of the largest values of its window, or to the last NaN.
pub async fn max_pool2d_backward<'a>(
    on: impl Into<On<'a>>,
    input: &Array,
    grad_output: &Array,
    attributes: &PoolAttributes,
) -> Result<Array> {
    const OP: &str = "max_pool2d_backward";
    let mut session = Session::new(on, OP);
    let (shape, g) = grad_of_windows(&mut session, OP, input, grad_output, attributes)?;
    let x = session.map("input", &input.data, shape, 1)?;
    let (_, indices) = ops::pool::max_pool2d_indices(&mut session.recording, OP, x, attributes)?;
    let output = ops::pool::max_pool2d_backward(&mut session.recording, OP, x.shape, g, indices, attributes)?;
    Ok(Array { shape: input.shape.clone(), data: session.run(&[]).await?.map(output, 1).await? })
}

/// `avg_pool2d_backward`: the gradient with respect to `input` `[N, C, H, W]`, of which only the shape matters, from `grad_output`
/// `[N, C, P, Q]`.
pub async fn avg_pool2d_backward<'a>(
    on: impl Into<On<'a>>,
    input: &Array,
    grad_output: &Array,
    attributes: &PoolAttributes,
) -> Result<Array> {
    const OP: &str = "avg_pool2d_backward";
    let mut session = Session::new(on, OP);
    let (shape, g) = grad_of_windows(&mut session, OP, input, grad_output, attributes)?;
    let like = MapShape::new(shape)?.stored(g.precision);
    let output = ops::pool::avg_pool2d_backward(&mut session.recording, OP, like, g, attributes)?;
    Ok(Array { shape: input.shape.clone(), data: session.run(&[]).await?.map(output, 1).await? })
}

/// The input's shape, and `grad_output` once it is known to fit.
fn grad_of_windows(
    session: &mut Session,
    op: &str,
    input: &Array,
    grad_output: &Array,
    attributes: &PoolAttributes,
) -> Result<([usize; 4], FeatureMap)> {
    let shape: [usize; 4] = input.dims(op, "input", NCHW)?;
    let [n, c, h, w] = shape;
    let (p, q) = attributes.output_size(h, w)?;
    grad_output.expect(op, "grad_output", &[n, c, p, q], "the output's shape")?;
    session.room("input", &[n, c.div_ceil(4), 4, h, w])?;
    Ok((shape, session.map("grad_output", &grad_output.data, [n, c, p, q], 1)?))
}

/// `global_avg_pool_backward`: the gradient with respect to `input` `[N, C, H, W]`, of which only the shape matters, from `grad_output`
/// `[N, C]`.
pub async fn global_avg_pool_backward<'a>(on: impl Into<On<'a>>, input: &Array, grad_output: &Array) -> Result<Array> {
    const OP: &str = "global_avg_pool_backward";
    let shape: [usize; 4] = input.dims(OP, "input", NCHW)?;
    let [n, c, h, w] = shape;
    grad_output.expect(OP, "grad_output", &[n, c], "the output's shape")?;
    let mut session = Session::new(on, OP);
    session.room("input", &[n, c.div_ceil(4), 4, h, w])?;
    let rows = session.input("grad_output", &pack_rows(&grad_output.data, [n, c], 1));
    let g = MapShape::rows([n, c])?.at(rows);
    let like = MapShape::new(shape)?.stored(session.precision);
    let output = ops::pool::global_avg_pool_backward(&mut session.recording, OP, like, g)?;
    Ok(Array { shape: shape.to_vec(), data: session.run(&[]).await?.map(output, 1).await? })
}

/// `shortcut_pad_backward`: the input gradient of `shortcut_pad` from `grad_output`
/// `[N, K, ceil(H / stride), ceil(W / stride)]`, added to `residual` `[N, C, H, W]`.
pub async fn shortcut_pad_backward<'a>(
    on: impl Into<On<'a>>,
    grad_output: &Array,
    residual: &Array,
    pad: impl Into<ZeroPad>,
) -> Result<Array> {
    const OP: &str = "shortcut_pad_backward";
    let output_shape = grad_output.dims(OP, "grad_output", NCHW)?;
    let shape = residual.dims(OP, "residual", NCHW)?;
    let mut session = Session::new(on, OP);
    let g = session.map("grad_output", &grad_output.data, output_shape, 1)?;
    let residual = session.map("residual", &residual.data, shape, 1)?;
    let output = ops::shortcut_pad::shortcut_pad_backward(&mut session.recording, OP, g, residual, pad.into())?;
    Ok(Array { shape: shape.to_vec(), data: session.run(&[]).await?.map(output, 1).await? })
}
