//! Winograd convolutions F(m x m, 3 x 3), forward and both gradients, around the kernels that the other convolutions use.
//!
//! Maps are cut into tiles; each is transformed to (m + 2)² points (`shaders/winograd_*.wgsl`), at each of which the
//! convolution is a product of matrices: a 1x1 convolution with a group for each point. So 9 multiplications for an output become
//! 4 (m = 2) or 2.25 (m = 4), for transforms that grow with the channels and not with their product. After Lavin and Gray,
//! 2016, "Fast algorithms for convolutional neural networks", with points that lose less precision.
//!
//! A NaN or an infinity reaches all of its tile, not only the outputs that it belongs to: an infinity becomes NaN there.

use super::attributes::Conv2dAttributes;
use super::conv2d::{Conv2d, check_residual};
use super::conv2d_epilogue::{Epilogue, GradEpilogue};
use super::conv2d_packing::Direction;
use super::conv2d_variant::Conv2dVariant;
use super::feature_map::{FeatureMap, MapShape, RecordMaps, u32_of};
use super::{Precision, dispatch_items};
use crate::error::Result;
use crate::gpu::shaders::files::{self, winograd_grad_output, winograd_input, winograd_output};
use crate::gpu::shaders::uniforms::winograd_tiles::Tiles;
use crate::gpu::shaders::uniforms::{winograd_grad_weight, winograd_weight};
use crate::gpu::shaders::{Flags, flags};
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

const OP: &str = "conv2d";
const TAPS: usize = 9;

/// The size of a tile of outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WinogradTile {
    /// F(2x2, 3x3): 2.25 times fewer multiplications.
    Two,
    /// F(4x4, 3x3): 4 times fewer; about twice the error of a direct convolution.
    Four,
}

impl WinogradTile {
    pub const ALL: [Self; 2] = [Self::Two, Self::Four];

    /// Outputs along one side, m.
    pub fn outputs(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Points of a tile.
    pub fn points(self) -> usize {
        (self.outputs() + 2).pow(2)
    }

    /// `winograd2`, `winograd4`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Two => "winograd2",
            Self::Four => "winograd4",
        }
    }

    /// The kernel of a part; `wide` accesses maps and points 64 bits at a time.
    fn kernel(self, part: Part, wide: bool) -> KernelSpec {
        let (file, flags) = match part {
            Part::Input => (winograd_input::FILE, Flags::NONE),
            Part::Output => (winograd_output::FILE, Flags::NONE),
            Part::GradInput => (winograd_output::FILE, winograd_output::GRADIENT),
            Part::GradOutput => (winograd_grad_output::FILE, Flags::NONE),
            Part::Weight => (files::winograd_weight::FILE, Flags::NONE),
            Part::GradWeight => (files::winograd_grad_weight::FILE, Flags::NONE),
        };
        let wide = wide && !matches!(part, Part::Weight | Part::GradWeight);
        let width = if wide { flags::WIDE } else { Flags::NONE };
        let tile = if self == Self::Four { flags::F4 } else { Flags::NONE };
        KernelSpec::new(file).with(flags).with(width).with(tile)
    }

    /// G: a 3-tap weight's values at the points, in f64.
    fn weight_points(self, [a, b, c]: [f64; 3]) -> Vec<f64> {
        match self {
            Self::Two => vec![-a, 0.5 * (a + b + c), 0.5 * (a - b + c), c],
            Self::Four => {
                let (p, q): (f64, f64) = (0.75, 1.5);
                let (p2, q2) = (p * p, q * q);
                let (n, m) = (2.0 * p2 * (p2 - q2), 2.0 * q2 * (q2 - p2));
                vec![
                    a / (p2 * q2),
                    (a + p * b + p2 * c) / n,
                    (a - p * b + p2 * c) / n,
                    (a + q * b + q2 * c) / m,
                    (a - q * b + q2 * c) / m,
                    c,
                ]
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Input,
    Output,
    /// What [`Self::Output`] does for gradients, where they are not f32.
    GradInput,
    GradOutput,
    Weight,
    GradWeight,
}

/// A convolution by Winograd's way; `variant` multiplies at the points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Winograd {
    conv: Conv2d,
    tile: WinogradTile,
    variant: Conv2dVariant,
}

impl Winograd {
    /// `conv` by tiles of `tile`.
    ///
    /// # Errors
    /// The reason in words if it is no 3x3 convolution of stride 1, without dilation and groups.
    pub fn new(conv: Conv2d, tile: WinogradTile, variant: Conv2dVariant) -> Result<Self, String> {
        let Conv2dAttributes { stride, padding, dilation, groups } = conv.attributes;
        if conv.kernel != [3, 3] || stride != [1, 1] || dilation != [1, 1] || groups != 1 {
            return Err(format!("{} is for 3x3 kernels of stride 1, without dilation and groups", tile.name()));
        }
        if padding.iter().any(|&padding| padding > 2) {
            return Err(format!("{} is for paddings of up to 2", tile.name()));
        }
        Ok(Self { conv, tile, variant })
    }

    /// The product at the points as a 1x1 convolution, with a group for each.
    fn products(&self) -> Conv2d {
        let points = self.tile.points();
        let attributes = Conv2dAttributes { groups: points, ..Default::default() };
        let channels = |count: usize| points * count.next_multiple_of(4);
        Conv2d {
            attributes,
            in_channels: channels(self.conv.in_channels),
            out_channels: channels(self.conv.out_channels),
            kernel: [1, 1],
        }
    }

    /// Packs an OIHW weight at its points (in f64) for [`Self::record`].
    pub fn pack_weight(&self, weight: &[f32]) -> Vec<f32> {
        self.pack(weight, Direction::Forward)
    }

    /// The same for [`Self::record_backward_input`].
    pub fn pack_weight_transposed(&self, weight: &[f32]) -> Vec<f32> {
        self.pack(weight, Direction::Transposed)
    }

    fn pack(&self, weight: &[f32], direction: Direction) -> Vec<f32> {
        let packing = self.products().packing(self.variant, direction);
        let mut out = vec![0.0; packing.elements()];
        let inputs = self.conv.in_channels;
        for (at, taps) in weight.chunks_exact(TAPS).enumerate() {
            let (k, c) = (at / inputs, at % inputs);
            let (row, column) = if direction == Direction::Forward { (c, k) } else { (k, c) };
            for (point, value) in self.at_points(taps, direction).into_iter().enumerate() {
                out[packing.index(point, 0, row, column)] = value as f32;
            }
        }
        out
    }

    /// `G g G'` of nine taps, turned by half a circle for the gradient by the input.
    fn at_points(&self, taps: &[f32], direction: Direction) -> Vec<f64> {
        let tap = |i: usize| f64::from(taps[if direction == Direction::Forward { i } else { TAPS - 1 - i }]);
        let rows = [0, 3, 6].map(|row| self.tile.weight_points([tap(row), tap(row + 1), tap(row + 2)]));
        let side = self.tile.outputs() + 2;
        let columns =
            (0..side).map(|column| self.tile.weight_points([rows[0][column], rows[1][column], rows[2][column]]));
        let columns: Vec<Vec<f64>> = columns.collect();
        (0..side * side).map(|point| columns[point % side][point / side]).collect()
    }

    /// Extents whose product is the length of [`Self::pack_weight`].
    pub fn packed_weight_shape(&self) -> [usize; 5] {
        self.products().packing(self.variant, Direction::Forward).extents()
    }

    /// The same for [`Self::pack_weight_transposed`].
    pub fn packed_weight_transposed_shape(&self) -> [usize; 5] {
        self.products().packing(self.variant, Direction::Transposed).extents()
    }

    /// Appends the packing of a KRSC weight for [`Self::record`].
    pub fn record_pack(&self, r: &mut Recording, label: &str, weight: TensorId) -> Result<TensorId> {
        self.packed_on_gpu(r, label, weight, Direction::Forward)
    }

    /// The same for [`Self::record_backward_input`].
    pub fn record_pack_transposed(&self, r: &mut Recording, label: &str, weight: TensorId) -> Result<TensorId> {
        self.packed_on_gpu(r, label, weight, Direction::Transposed)
    }

    fn packed_on_gpu(
        &self,
        r: &mut Recording,
        label: &str,
        weight: TensorId,
        direction: Direction,
    ) -> Result<TensorId> {
        let packing = self.products().packing(self.variant, direction);
        let elements = packing.elements();
        let packed = r.temporary(label, (elements * 4) as u64);
        let size = |value| u32_of(OP, "a weight", value);
        size(elements)?;
        let params = winograd_weight::Pack {
            tiles: size(packing.tiles)?,
            rows: size(packing.rows)?,
            side4: size(packing.side / 4)?,
            outputs: size(self.conv.out_channels)?,
            inputs: size(self.conv.in_channels)?,
            transposed: u32::from(direction == Direction::Transposed),
            end: [0; 2],
        };
        let cost = Cost { flops: 0.0, bytes: (elements * 4) as f64 };
        let kernel = self.kernel(Part::Weight);
        let items = packing.tiles * packing.rows * packing.side / 4;
        dispatch_items(r, label, kernel, &[weight, packed], bytemuck::bytes_of(&params), items, cost)?;
        Ok(packed)
    }

    /// Appends `relu(conv(input) + bias + residual)`, as [`Conv2d::record`]; but the weight is f32 whatever the input is.
    pub fn record(
        &self,
        r: &mut Recording,
        label: &str,
        input: FeatureMap,
        weight: TensorId,
        epilogue: Epilogue,
    ) -> Result<FeatureMap> {
        let [n, c, h, w] = self.conv.output_shape([input.n, input.c, input.h, input.w])?;
        let output = MapShape::new([n, c, h, w])?.stored(input.precision);
        self.convolve(
            r,
            label,
            input,
            self.conv.attributes.padding,
            weight,
            output,
            Direction::Forward,
            (epilogue, None),
        )
    }

    /// Appends the gradient by the input, as [`Conv2d::record_backward_input`].
    pub fn record_backward_input(
        &self,
        r: &mut Recording,
        label: &str,
        grad_output: FeatureMap,
        input: [usize; 4],
        weight: TensorId,
        epilogue: GradEpilogue,
    ) -> Result<FeatureMap> {
        self.conv.check_grad_output(label, grad_output, input)?;
        let grad_input = MapShape::new(input)?.stored(grad_output.precision);
        let padding = self.conv.attributes.padding.map(|padding| 2 - padding);
        let ends = (Epilogue { residual: epilogue.residual, ..Default::default() }, epilogue.rectified);
        self.convolve(r, label, grad_output, padding, weight, grad_input, Direction::Transposed, ends)
    }

    /// Appends the gradient by the weight, in KRSC, as [`Conv2d::record_backward_weight`].
    pub fn record_backward_weight(
        &self,
        r: &mut Recording,
        label: &str,
        input: FeatureMap,
        grad_output: FeatureMap,
    ) -> Result<TensorId> {
        self.conv.check_grad_output(label, grad_output, [input.n, input.c, input.h, input.w])?;
        grad_output.check_precision(OP, label, input.precision)?;
        let (padding, tiling) = (self.conv.attributes.padding, self.tiling(grad_output.shape));
        let x = self.transformed(r, label, input, Part::Input, padding, tiling)?;
        let g = self.transformed(r, label, grad_output, Part::GradOutput, [0, 0], tiling)?;
        let points = self.products().record_backward_weight(r, label, self.variant, x, g)?;
        let (outputs, inputs4) = (self.conv.out_channels, self.conv.in_channels.div_ceil(4));
        let size = |value| u32_of(OP, "a weight", value);
        let params = winograd_grad_weight::Size {
            outputs: size(outputs)?,
            padded_outputs: size(outputs.next_multiple_of(4))?,
            inputs4: size(inputs4)?,
            end: 0,
        };
        let grad = r.temporary(label, self.conv.weight_len4() as u64 * 16);
        let bytes = (outputs * inputs4 * 16 * (TAPS + self.tile.points())) as f64;
        let kernel = self.kernel(Part::GradWeight);
        let cost = Cost { flops: 0.0, bytes };
        dispatch_items(r, label, kernel, &[points, grad], bytemuck::bytes_of(&params), outputs * inputs4, cost)?;
        Ok(grad)
    }

    fn kernel(&self, part: Part) -> KernelSpec {
        self.tile.kernel(part, self.variant.is_wide())
    }

    /// Tiles of each image along both axes, for outputs like `map`.
    fn tiling(&self, map: MapShape) -> [usize; 2] {
        [map.h, map.w].map(|extent| extent.div_ceil(self.tile.outputs()))
    }

    #[allow(clippy::too_many_arguments)] // each is one of the operation's own inputs
    fn convolve(
        &self,
        r: &mut Recording,
        label: &str,
        source: FeatureMap,
        padding: [usize; 2],
        weight: TensorId,
        output: MapShape,
        direction: Direction,
        (epilogue, rectified): (Epilogue, Option<FeatureMap>),
    ) -> Result<FeatureMap> {
        check_residual(label, output, epilogue.residual)?;
        check_residual(label, output, rectified)?;
        let tiling = self.tiling(output);
        let x = self.transformed(r, label, source, Part::Input, padding, tiling)?;
        let (products, none) = (self.products(), Epilogue::default());
        let y = match direction {
            Direction::Forward => products.record(r, label, self.variant, x, weight, none)?,
            Direction::Transposed => {
                let made = [1, products.in_channels, x.h, 1];
                products.record_backward_input(r, label, self.variant, x, made, weight, GradEpilogue::default())?
            }
        };
        let output = r.map(label, output);
        let bias = epilogue.bias.unwrap_or(y.tensor);
        let [residual, through] = [epilogue.residual, rectified].map(|map| map.map_or(y.tensor, |map| map.tensor));
        let tiles = Tiles {
            biased: epilogue.bias.is_some().into(),
            relu: epilogue.relu.into(),
            residual: epilogue.residual.is_some().into(),
            rectified: rectified.is_some().into(),
            ..self.tiles(output.shape, y.shape, [0, 0], tiling)?
        };
        let part = match (direction, output.precision) {
            (Direction::Transposed, Precision::F16) => Part::GradInput,
            _ => Part::Output,
        };
        let kernel = output.precision.kernel(self.kernel(part))?;
        let touched = 1 + u64::from(epilogue.residual.is_some()) + u64::from(rectified.is_some());
        let cost = Cost { flops: 0.0, bytes: (y.bytes() + output.bytes() * touched) as f64 };
        let tensors = [y.tensor, bias, residual, through, output.tensor];
        dispatch_items(r, label, kernel, &tensors, bytemuck::bytes_of(&tiles), y.h * output.c4, cost)?;
        Ok(output)
    }

    /// Appends the transform of `map` to its points, of f32 whatever the map is: a map of one column, a row for each tile, the points as groups of channels.
    fn transformed(
        &self,
        r: &mut Recording,
        label: &str,
        map: FeatureMap,
        part: Part,
        padding: [usize; 2],
        tiling: [usize; 2],
    ) -> Result<FeatureMap> {
        let (tiles, points) = (map.n * tiling[0] * tiling[1], self.tile.points());
        let out = r.map(label, MapShape::new([1, points * map.c4 * 4, tiles, 1])?);
        let params = self.tiles(map.shape, out.shape, padding, tiling)?;
        let cost = Cost { flops: 0.0, bytes: (map.bytes() + out.bytes()) as f64 };
        let kernel = map.precision.kernel(self.kernel(part))?;
        let tensors = [map.tensor, out.tensor];
        dispatch_items(r, label, kernel, &tensors, bytemuck::bytes_of(&params), tiles * map.c4, cost)?;
        Ok(out)
    }

    fn tiles(
        &self,
        map: MapShape,
        points: MapShape,
        padding: [usize; 2],
        [rows, columns]: [usize; 2],
    ) -> Result<Tiles> {
        let size = |value| u32_of(OP, "a map", value);
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
}
