//! The gradients of a convolution, and the packing of its weight on the GPU.

use super::maps::runnable;
use super::session::{On, Session};
use super::{Array, Gradients};
use crate::error::Result;
use crate::ops::attributes::Conv2dAttributes;
use crate::ops::conv2d::sum_pixels;
use crate::ops::feature_map::{channels4, unpack_channels};
use crate::ops::{Conv2d, Conv2dAlgorithm, Conv2dPass, ConvOperands, ConvPlan, GradEpilogue, WeightLayout};

const OP: &str = "conv2d_backward";

/// `conv2d_backward`: the gradients by `input` `[N, C, H, W]`, `weight` `[K, C / groups, R, S]` and the bias from
/// `grad_output` `[N, K, P, Q]`; by `algorithm`, or the adapter's
/// kernels for all attributes.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) where shapes and attributes don't fit together, and an algorithm that the adapter or the
/// convolution is not for.
pub async fn conv2d_backward<'a>(
    on: impl Into<On<'a>>,
    algorithm: Option<Conv2dAlgorithm>,
    input_and_weight: [&Array; 2],
    grad_output: &Array,
    attributes: &Conv2dAttributes,
) -> Result<Gradients> {
    conv2d_backward_fused(on, algorithm, input_and_weight, grad_output, (None, false), attributes).await
}

/// [`conv2d_backward`] with the kernel's epilogue: `residual`, of the input's shape, is added to the gradient by the input; with
/// `relu` the input came out of one, and that gradient goes through it.
pub async fn conv2d_backward_fused<'a>(
    on: impl Into<On<'a>>,
    algorithm: Option<Conv2dAlgorithm>,
    [input, weight]: [&Array; 2],
    grad_output: &Array,
    (residual, relu): (Option<&Array>, bool),
    attributes: &Conv2dAttributes,
) -> Result<Gradients> {
    let (conv, [input_shape, shape]) = checked(OP, [input, weight], grad_output, residual, attributes)?;
    let (groups, out_channels) = (attributes.groups, conv.out_channels);
    let On { gpu, precision } = on.into();
    let algorithm = runnable(gpu, OP, &conv, algorithm, precision)?;
    let mut session = Session::new((gpu, precision), OP);
    let layout = WeightLayout::new(&conv, Conv2dPass::ByInput, algorithm, precision)?;
    session.room("weight", &layout.extents())?;
    session.room("weight", &[conv.weight_len4(), 4])?;
    let x = session.map("input", &input.data, input_shape, groups)?;
    let g = session.map("grad_output", &grad_output.data, shape, groups)?;
    let residual = residual.map(|array| session.map("residual", &array.data, input_shape, groups)).transpose()?;
    let krsc = session.input("weight", &conv.pack_krsc(&weight.data));
    let recording = &mut session.recording;
    let weight_on_gpu = layout.record_pack(recording, OP, krsc)?;
    let epilogue = GradEpilogue { residual, rectified: relu.then_some(x) };
    let by_input = ConvOperands::InputGradient { grad_output: g, weight: weight_on_gpu, epilogue };
    let by_weight = ConvOperands::WeightGradient { input: x, grad_output: g };
    let mut record = |pass, operands| ConvPlan::new(&conv, pass, algorithm, x.shape)?.record(recording, OP, operands);
    let grad_input = record(Conv2dPass::ByInput, by_input)?;
    let grad_weight = record(Conv2dPass::ByWeight, by_weight)?;
    let grad_bias = sum_pixels(recording, OP, g)?;
    let done = session.run(&[]).await?;
    let bias = done.read(grad_bias, channels4(out_channels, groups) * 4).await?;
    Ok(Gradients {
        grad_input: Array { shape: input.shape.clone(), data: done.map(grad_input, groups).await? },
        grad_weight: Array {
            shape: weight.shape.clone(),
            data: conv.unpack_krsc(&done.read(grad_weight.tensor, conv.weight_len4() * 4).await?),
        },
        grad_bias: Array { shape: vec![out_channels], data: unpack_channels(&bias, out_channels, groups) },
    })
}

/// The convolution that these tensors of a gradient are of, and the shapes of its input and output.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) of `op` where they don't fit together.
pub(super) fn checked(
    op: &'static str,
    [input, weight]: [&Array; 2],
    grad_output: &Array,
    residual: Option<&Array>,
    attributes: &Conv2dAttributes,
) -> Result<(Conv2d, [[usize; 4]; 2])> {
    let input_shape: [usize; 4] = input.dims(op, "input", "[N, C, H, W]")?;
    let weight_shape: [usize; 4] = weight.dims(op, "weight", "[K, C / groups, R, S]")?;
    let shape = attributes.output_shape(input_shape, weight_shape)?;
    grad_output.expect(op, "grad_output", &shape, "the output's shape")?;
    if let Some(residual) = residual {
        residual.expect(op, "residual", &input_shape, "the input's shape")?;
    }
    let [out_channels, _, r, s] = weight_shape;
    let conv = Conv2d { attributes: *attributes, in_channels: input_shape[1], out_channels, kernel: [r, s] };
    Ok((conv, [input_shape, shape]))
}

/// Packs `weight` (`conv`'s, as PyTorch has it) on the GPU for `algorithm`, as training does after each step:
/// for the forward ones, or `transposed` for the gradient by the input. The same bits as
/// [`WeightLayout::pack`], but for the rounding of Winograd's points, and to f16.
pub async fn pack_weight<'a>(
    on: impl Into<On<'a>>,
    conv: &Conv2d,
    algorithm: Conv2dAlgorithm,
    transposed: bool,
    weight: &Array,
) -> Result<Vec<f32>> {
    weight.expect("pack_weight", "weight", &conv.weight_shape(), "[K, C / groups, R, S]")?;
    let mut session = Session::new(on, "pack_weight");
    let pass = if transposed { Conv2dPass::ByInput } else { Conv2dPass::Forward };
    let layout = WeightLayout::new(conv, pass, algorithm, session.precision)?;
    session.room("weight", &layout.extents())?;
    session.room("weight", &[conv.weight_len4(), 4])?;
    let krsc = session.input("weight", &conv.pack_krsc(&weight.data));
    let packed = layout.record_pack(&mut session.recording, OP, krsc)?;
    session.run(&[]).await?.stored(packed, layout.extents().iter().product(), layout.precision()).await
}
