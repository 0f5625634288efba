//! The Winograd passes: transform maps to points, multiply with the kernels of the direct convolutions, transform back.

use super::direct::Direct;
use super::epilogue::Ending;
use super::pass::Direction;
use super::weight_gradient::WeightGradient;
use super::winograd::{Part, Winograd};
use crate::error::Result;
use crate::gpu::shaders::uniforms::winograd_grad_weight;
use crate::gpu::shaders::uniforms::winograd_tiles::Tiles;
use crate::gpu::{Cost, Recording, TensorId};
use crate::ops::feature_map::{FeatureMap, MapShape, RecordMaps, u32_of};
use crate::ops::{Precision, dispatch_items};

fn size(value: usize) -> Result<u32> {
    u32_of("conv2d", "a map", value)
}

/// The tiles of one pass.
#[derive(Debug, Clone, Copy)]
struct Tiling {
    /// Tiles of each image along both axes.
    rows: usize,
    columns: usize,
    /// Padding before the map when it is transformed to points.
    padding: [usize; 2],
}

impl Winograd {
    /// Tiles that cover a map like `made`.
    fn tiling(&self, made: &MapShape, padding: [usize; 2]) -> Tiling {
        let [rows, columns] = [made.h, made.w].map(|extent| extent.div_ceil(self.tile.outputs()));
        Tiling { rows, columns, padding }
    }

    /// The shape of `map` at its points, always f32: one column, one row per tile, the points as groups of channels.
    fn at_its_points(&self, map: &MapShape, tiling: Tiling) -> Result<MapShape> {
        let tiles = map.n.saturating_mul(tiling.rows).saturating_mul(tiling.columns);
        MapShape::new([1, self.tile.points() * map.c4 * 4, tiles, 1])
    }

    /// Appends the transform of `map` to its points.
    fn transform(
        &self,
        r: &mut Recording,
        label: &str,
        part: Part,
        map: FeatureMap,
        (points, tiling): (MapShape, Tiling),
    ) -> Result<FeatureMap> {
        let out = r.map(label, points);
        let params = uniforms(&map, &points, tiling)?;
        let cost = Cost { flops: 0.0, bytes: (map.bytes() + out.bytes()) as f64 };
        let kernel = map.precision.kernel(self.kernel(part))?;
        let tensors = [map.tensor, out.tensor];
        dispatch_items(r, label, kernel, &tensors, bytemuck::bytes_of(&params), points.h * map.c4, cost)?;
        Ok(out)
    }
}

fn uniforms(map: &MapShape, points: &MapShape, Tiling { rows, columns, padding }: Tiling) -> Result<Tiles> {
    Ok(Tiles {
        height: size(map.h)?,
        width: size(map.w)?,
        channels4: size(map.c4)?,
        rows: size(rows)?,
        columns: size(columns)?,
        tiles: size(map.n * rows * columns)?,
        padding: [size(padding[0])?, size(padding[1])?],
        biased: 0,
        relu: 0,
        residual: 0,
        pitch4: size(map.pitch4)?,
        points_pitch4: size(points.pitch4)?,
        rectified: 0,
        end: [0; 2],
    })
}

/// The forward pass, or the input gradient.
#[derive(Debug, Clone)]
pub(super) struct WinogradPass {
    winograd: Winograd,
    direction: Direction,
    output: MapShape,
    tiling: Tiling,
    /// The shape of the source at its points.
    points: MapShape,
    product: Direct,
}

impl WinogradPass {
    /// The pass from `source` to `output`, whose shapes belong to the convolution.
    pub fn new(winograd: Winograd, direction: Direction, [source, output]: [MapShape; 2]) -> Result<Self> {
        let padding = winograd.conv.attributes.padding;
        let padding = match direction {
            Direction::Forward => padding,
            Direction::Transposed => padding.map(|padding| 2 - padding),
        };
        let tiling = winograd.tiling(&output, padding);
        let points = winograd.at_its_points(&source, tiling)?;
        let made = winograd.at_its_points(&output, tiling)?;
        let product = Direct::new(&winograd.products(), winograd.variant, direction, [points, made])?;
        Ok(Self { winograd, direction, output, tiling, points, product })
    }

    /// Appends the pass over `source`; `weight` is packed at its points, always f32.
    pub fn record(
        &self,
        r: &mut Recording,
        label: &str,
        source: FeatureMap,
        weight: TensorId,
        ending: Ending,
    ) -> Result<FeatureMap> {
        let Self { winograd, direction, tiling, points, .. } = self;
        ending.check(label, self.output)?;
        let x = winograd.transform(r, label, Part::Input, source, (*points, *tiling))?;
        let y = self.product.record(r, label, x.tensor, weight, Ending::default())?;
        let output = r.map(label, self.output);
        let params = Tiles {
            biased: ending.bias.is_some().into(),
            relu: ending.relu.into(),
            residual: ending.residual.is_some().into(),
            rectified: ending.rectified.is_some().into(),
            ..uniforms(&output, &y, Tiling { padding: [0, 0], ..*tiling })?
        };
        let part = match (direction, output.precision) {
            (Direction::Transposed, Precision::F16) => Part::GradInput,
            _ => Part::Output,
        };
        let kernel = output.precision.kernel(winograd.kernel(part))?;
        let cost = Cost { flops: 0.0, bytes: (y.bytes() + output.bytes() * ending.maps()) as f64 };
        // A missing operand is bound to another buffer and not read.
        let bias = ending.bias.unwrap_or(y.tensor);
        let [residual, rectified] =
            [ending.residual, ending.rectified].map(|map| map.map_or(y.tensor, |map| map.tensor));
        let tensors = [y.tensor, bias, residual, rectified, output.tensor];
        dispatch_items(r, label, kernel, &tensors, bytemuck::bytes_of(&params), y.h * output.c4, cost)?;
        Ok(output)
    }
}

/// The weight gradient.
#[derive(Debug, Clone)]
pub(super) struct WinogradWeightGradient {
    winograd: Winograd,
    grad: MapShape,
    /// Of the input and of grad_output.
    tilings: [Tiling; 2],
    points: [MapShape; 2],
    product: WeightGradient,
}

impl WinogradWeightGradient {
    /// The gradient from maps of `input` and `grad_output`, whose shapes belong to the convolution.
    pub fn new(winograd: Winograd, [input, grad_output]: [MapShape; 2]) -> Result<Self> {
        let padded = winograd.tiling(&grad_output, winograd.conv.attributes.padding);
        let tilings = [padded, Tiling { padding: [0, 0], ..padded }];
        let points = [winograd.at_its_points(&input, padded)?, winograd.at_its_points(&grad_output, padded)?];
        let product = WeightGradient::new(&winograd.products(), winograd.variant, points)?;
        Ok(Self { winograd, grad: winograd.conv.krsc_shape()?, tilings, points, product })
    }

    /// Appends the gradient, in KRSC.
    pub fn record(
        &self,
        r: &mut Recording,
        label: &str,
        input: FeatureMap,
        grad_output: FeatureMap,
    ) -> Result<FeatureMap> {
        let Self { winograd, tilings, points, grad, .. } = self;
        let x = winograd.transform(r, label, Part::Input, input, (points[0], tilings[0]))?;
        let g = winograd.transform(r, label, Part::GradOutput, grad_output, (points[1], tilings[1]))?;
        let product = self.product.record(r, label, x.tensor, g.tensor)?;
        let outputs = winograd.conv.out_channels;
        let params = winograd_grad_weight::Size {
            outputs: size(outputs)?,
            padded_outputs: size(outputs.next_multiple_of(4))?,
            inputs4: size(grad.c4)?,
            end: 0,
        };
        let grad = r.map(label, *grad);
        let bytes = (outputs * grad.c4 * 16 * (grad.h * grad.w + winograd.tile.points())) as f64;
        let kernel = winograd.kernel(Part::GradWeight);
        let (tensors, cost) = ([product.tensor, grad.tensor], Cost { flops: 0.0, bytes });
        dispatch_items(r, label, kernel, &tensors, bytemuck::bytes_of(&params), outputs * grad.c4, cost)?;
        Ok(grad)
    }
}
