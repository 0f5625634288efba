//! The gradients of a convolution, and the packing of its weight on the GPU.

use std::sync::Arc;

use super::session::Session;
use super::{Array, Gradients};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::ops::attributes::Conv2dAttributes;
use crate::ops::conv2d_backward::sum_pixels;
use crate::ops::feature_map::{channels4, unpack_nhwc};
use crate::ops::{Conv2d, Conv2dVariant};

const OP: &str = "conv2d_backward";

/// `conv2d_backward`: the gradients by `input` `[N, C, H, W]`, `weight` `[K, C / groups, R, S]` and the bias from
/// `grad_output` `[N, K, P, Q]`; by the kernels of `variant`, or those for the adapter.
///
/// # Errors
/// [`Error::Shape`] where shapes and attributes don't fit together, and a variant that the adapter can't run.
pub fn conv2d_backward(
    gpu: &Arc<Gpu>,
    variant: Option<Conv2dVariant>,
    input_and_weight: [&Array; 2],
    grad_output: &Array,
    attributes: &Conv2dAttributes,
) -> Result<Gradients> {
    conv2d_backward_fused(gpu, variant, input_and_weight, grad_output, None, attributes)
}

/// [`conv2d_backward`] with the kernel's epilogue: `residual`, of the input's shape, is added to the gradient by the input.
pub fn conv2d_backward_fused(
    gpu: &Arc<Gpu>,
    variant: Option<Conv2dVariant>,
    [input, weight]: [&Array; 2],
    grad_output: &Array,
    residual: Option<&Array>,
    attributes: &Conv2dAttributes,
) -> Result<Gradients> {
    let variant = variant.unwrap_or_else(|| Conv2dVariant::choose(gpu.report()));
    variant.supported(gpu.report()).map_err(|why| Error::shape(OP, format!("kernel {}: {why}", variant.name())))?;
    let input_shape: [usize; 4] = input.dims(OP, "input", "[N, C, H, W]")?;
    let weight_shape: [usize; 4] = weight.dims(OP, "weight", "[K, C / groups, R, S]")?;
    let shape = attributes.output_shape(input_shape, weight_shape)?;
    grad_output.expect(OP, "grad_output", &shape, "the output's shape")?;
    if let Some(residual) = residual {
        residual.expect(OP, "residual", &input_shape, "the input's shape")?;
    }
    let [out_channels, _, r, s] = weight_shape;
    let groups = attributes.groups;
    let conv = Conv2d { attributes: *attributes, in_channels: input_shape[1], out_channels, kernel: [r, s] };
    let mut session = Session::new(gpu, OP);
    session.room("weight", &conv.packed_weight_transposed_shape(variant))?;
    session.room("weight", &[conv.weight_len4(), 4])?;
    let x = session.map("input", &input.data, input_shape, groups)?;
    let g = session.map("grad_output", &grad_output.data, shape, groups)?;
    let residual = residual.map(|array| session.map("residual", &array.data, input_shape, groups)).transpose()?;
    let krsc = session.input("weight", &conv.pack_krsc(&weight.data));
    let recording = &mut session.recording;
    let packed = conv.record_pack_transposed(recording, OP, variant, krsc)?;
    let grad_input = conv.record_backward_input(recording, OP, variant, g, input_shape, packed, residual)?;
    let grad_weight = conv.record_backward_weight(recording, OP, variant, x, g)?;
    let grad_bias = sum_pixels(recording, OP, g)?;
    let done = session.run(&[])?;
    let bias = done.read(grad_bias, channels4(out_channels, groups) * 4)?;
    Ok(Gradients {
        grad_input: Array { shape: input.shape.clone(), data: done.map(grad_input, groups)? },
        grad_weight: Array {
            shape: weight.shape.clone(),
            data: conv.unpack_krsc(&done.read(grad_weight, conv.weight_len4() * 4)?),
        },
        grad_bias: Array { shape: vec![out_channels], data: unpack_nhwc(&bias, [1, out_channels, 1, 1], groups) },
    })
}

/// Packs `weight` (`conv`'s, as PyTorch has it) on the GPU for the kernels of `variant`, as training does after each step:
/// for the forward ones, or `transposed` for the gradient by the input. The same bits as [`Conv2d::pack_weight`] and
/// [`Conv2d::pack_weight_transposed`].
pub fn pack_weight(
    gpu: &Arc<Gpu>,
    conv: &Conv2d,
    variant: Conv2dVariant,
    transposed: bool,
    weight: &Array,
) -> Result<Vec<f32>> {
    weight.expect("pack_weight", "weight", &conv.weight_shape(), "[K, C / groups, R, S]")?;
    let shape = match transposed {
        true => conv.packed_weight_transposed_shape(variant),
        false => conv.packed_weight_shape(variant),
    };
    let mut session = Session::new(gpu, "pack_weight");
    session.room("weight", &shape)?;
    session.room("weight", &[conv.weight_len4(), 4])?;
    let krsc = session.input("weight", &conv.pack_krsc(&weight.data));
    let packed = match transposed {
        true => conv.record_pack_transposed(&mut session.recording, OP, variant, krsc)?,
        false => conv.record_pack(&mut session.recording, OP, variant, krsc)?,
    };
    session.run(&[])?.read(packed, shape.iter().product())
}
