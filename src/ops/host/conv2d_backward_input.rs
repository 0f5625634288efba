//! The gradient of a convolution by its input alone, on maps of either precision.

use super::conv2d_backward::checked;
use super::maps::runnable;
use super::session::{On, Session};
use super::{Array, MapEpilogue};
use crate::error::Result;
use crate::ops::attributes::Conv2dAttributes;
use crate::ops::feature_map::channels4;
use crate::ops::{Conv2dAlgorithm, Conv2dPass, ConvOperands, ConvPlan, GradEpilogue, MapShape, WeightLayout};

const OP: &str = "conv2d_backward_input";

/// The gradient by `input` `[N, C, H, W]` from `grad_output` `[N, K, P, Q]` and `weight` `[K, C / groups, R, S]`, plus the
/// residual; with `relu` the input came out of one, and the gradient goes through it.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) where shapes and attributes don't fit together, and an algorithm that the adapter or the
/// convolution is not for.
pub async fn conv2d_backward_input<'a>(
    on: impl Into<On<'a>>,
    algorithm: Option<Conv2dAlgorithm>,
    [input, weight]: [&Array; 2],
    grad_output: &Array,
    end: MapEpilogue<'_>,
    attributes: &Conv2dAttributes,
) -> Result<Array> {
    let (conv, [input_shape, shape]) = checked(OP, [input, weight], grad_output, end.residual, attributes)?;
    let groups = attributes.groups;
    let On { gpu, precision } = on.into();
    let algorithm = runnable(gpu, OP, &conv, algorithm, precision)?;
    let mut session = Session::new((gpu, precision), OP);
    let [n, c, h, w] = input_shape;
    session.room("grad_input", &[n, channels4(c, groups), 4, h, w])?;
    let layout = WeightLayout::new(&conv, Conv2dPass::ByInput, algorithm, precision)?;
    session.room("weight", &layout.extents())?;
    let grad = session.map("grad_output", &grad_output.data, shape, groups)?;
    let maps = MapShape::grouped(input_shape, groups)?.stored(precision);
    let plan = ConvPlan::new(&conv, Conv2dPass::ByInput, algorithm, maps)?;
    let weight = session.words("weight", &layout.pack_words(&weight.data));
    let mut map = |label, array: Option<&Array>| {
        array.map(|array| session.map(label, &array.data, input_shape, groups)).transpose()
    };
    let epilogue =
        GradEpilogue { residual: map("residual", end.residual)?, rectified: map("input", end.relu.then_some(input))? };
    let operands = ConvOperands::InputGradient { grad_output: grad, weight, epilogue };
    let grad_input = plan.record(&mut session.recording, OP, operands)?;
    let data = session.run(&[]).await?.map(grad_input, groups).await?;
    Ok(Array { shape: input.shape.clone(), data })
}
