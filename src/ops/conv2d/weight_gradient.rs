//! The direct weight gradient of a convolution: partial sums over slices of the pixels, then their sum.

use super::spec::Conv2d;
use super::sums::sum_partials;
use crate::error::Result;
use crate::gpu::shaders::uniforms::conv2d_backward_weight::BackwardWeight;
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};
use crate::ops::conv2d_kernels::WeightKernel;
use crate::ops::conv2d_variant::Conv2dVariant;
use crate::ops::dispatch_items;
use crate::ops::feature_map::{FeatureMap, MapShape, U32s, u32_of};

const OP: &str = "conv2d_backward";

/// Pixels of a slice on processors: few enough for precision and parallelism, enough to pay for the stores.
const SLICE: usize = 256;
/// The longest slice if there are enough workgroups; longer ones would lose precision.
const LONG_SLICE: usize = 1024;
/// Enough workgroups for a processor. More would only add partial results to store and sum.
const ENOUGH_FOR_PROCESSORS: usize = 512;
/// More partial results than this are added in two steps on hardware. The first step leaves [`SUMMED_FIRST`].
const MANY: usize = 64;
const SUMMED_FIRST: usize = 16;
/// The most bytes of partial results. Larger weights get longer slices.
const PARTIALS_BYTES: u64 = 64 << 20;

/// Enough workgroups for a weight gradient on hardware: four for each core of a large GPU.
const ENOUGH_BY_WEIGHT: usize = 4 * 132;
/// The least and most pixels of a slice on hardware: enough to pay for its store and sum, few enough for precision.
const SLICES: [usize; 2] = [64, 1024];

/// A kernel's tile of the gradient: output channels (rows), vec4s of taps and input channels (columns), and the invocations that compute it.
#[derive(Debug, Clone, Copy)]
struct Tile {
    rows: usize,
    columns: usize,
    invocations: usize,
}

/// How the pixels are divided.
#[derive(Debug, Clone, Copy)]
struct Slices {
    /// Pixels of each slice: a multiple of 4, for the kernels that read two or four at a time.
    pixels: usize,
    count: usize,
}

/// The pass with its kernel, built once and recorded any number of times.
#[derive(Debug, Clone)]
pub(super) struct WeightGradient {
    conv: Conv2d,
    input: MapShape,
    grad_output: MapShape,
    /// In KRSC.
    grad: MapShape,
    kernel: KernelSpec,
    is_gemm: bool,
    tile: Tile,
    slices: Slices,
}

impl WeightGradient {
    /// The gradient from maps of `input` and `grad_output`, whose shapes belong to `conv`.
    ///
    /// # Errors
    /// Sizes that a shader can't index.
    pub fn new(conv: &Conv2d, variant: Conv2dVariant, [input, grad_output]: [MapShape; 2]) -> Result<Self> {
        let variant = variant.by_weight();
        let pixels = grad_output.pixels();
        // A pixel of grad_output is one of the input.
        let attributes = &conv.attributes;
        let pointwise = (conv.kernel, attributes.stride, attributes.padding) == ([1, 1], [1, 1], [0, 0]);
        let WeightKernel { file, flags, tile: [rows, columns], invocations, .. } =
            variant.weight_kernel(pointwise, pixels)?;
        let tile = Tile { rows, columns, invocations };
        let mut kernel = input.precision.kernel(KernelSpec::new(file).with(flags))?;
        if variant.is_gemm() {
            kernel = kernel.constant("POINTWISE", pointwise.into());
        }
        let grad = conv.krsc_shape()?;
        let is_gemm = variant.is_gemm();
        let slices = Slices { pixels, count: 1 };
        let mut pass = Self { conv: *conv, input, grad_output, grad, kernel, is_gemm, tile, slices };
        pass.slices = pass.sliced(variant);
        u32_of(OP, "partial sums", pass.slices.count.saturating_mul(grad.len4() * 4))?;
        Ok(pass)
    }

    /// Tiles of columns and of rows of one group.
    fn tiles(&self) -> [usize; 2] {
        let rows = self.conv.out_channels / self.conv.attributes.groups;
        [self.columns().div_ceil(self.tile.columns), rows.div_ceil(self.tile.rows)]
    }

    /// vec4s of the taps and input channels of one output channel.
    fn columns(&self) -> usize {
        self.grad.h * self.grad.w * self.grad.c4
    }

    fn all_tiles(&self) -> usize {
        self.tiles().iter().product::<usize>() * self.conv.attributes.groups
    }

    fn sliced(&self, variant: Conv2dVariant) -> Slices {
        let (pixels, tiles) = (self.grad_output.pixels(), self.all_tiles());
        let most = (PARTIALS_BYTES / self.grad.bytes()).max(1) as usize;
        let usual = match variant {
            Conv2dVariant::Register => SLICE,
            _ if self.is_gemm => weight_slice(pixels, tiles),
            _ => (pixels * tiles / ENOUGH_FOR_PROCESSORS).clamp(SLICE, LONG_SLICE),
        };
        let slice = pixels.div_ceil(most).max(usual).next_multiple_of(4);
        let count = match pixels.div_ceil(slice) {
            // Slices past the last pixel are zeros.
            many if self.is_gemm && many > MANY => many.next_multiple_of(SUMMED_FIRST),
            few => few,
        };
        Slices { pixels: slice, count }
    }

    fn params(&self) -> Result<BackwardWeight> {
        let Self { conv, input, grad_output, slices, .. } = self;
        let attributes = &conv.attributes;
        let groups = attributes.groups;
        let sizes = U32s { op: OP, what: "a tensor or attribute" };
        let [column_tiles, row_tiles] = self.tiles();
        Ok(BackwardWeight {
            in_height: sizes.of(input.h)?,
            in_width: sizes.of(input.w)?,
            in_pitch4: sizes.of(input.pitch4)?,
            group_in4: sizes.of(input.c4 / groups)?,
            out_height: sizes.of(grad_output.h)?,
            out_width: sizes.of(grad_output.w)?,
            out_pitch4: sizes.of(grad_output.pitch4)?,
            group_out_channels: sizes.of(conv.out_channels / groups)?,
            pixels: sizes.of(grad_output.pixels())?,
            slice: sizes.of(slices.pixels)?,
            slices: sizes.of(slices.count)?,
            columns: sizes.of(self.columns())?,
            column_tiles: sizes.of(column_tiles)?,
            row_tiles: sizes.of(row_tiles)?,
            groups: sizes.of(groups)?,
            kernel_width: sizes.of(conv.kernel[1])?,
            stride: sizes.pair(attributes.stride)?,
            padding: sizes.pair(attributes.padding)?,
            dilation: sizes.pair(attributes.dilation)?,
            end: [0; 2],
        })
    }

    /// Appends the gradient in KRSC with padded input channels, always f32.
    pub fn record(&self, r: &mut Recording, label: &str, input: TensorId, grad_output: TensorId) -> Result<FeatureMap> {
        let (count, len4) = (self.slices.count, self.grad.len4());
        let partial_bytes = count as u64 * self.grad.bytes();
        let partials = r.temporary(label, partial_bytes);
        let multiply_adds =
            self.grad_output.pixels() as f64 * self.conv.weight_shape().iter().product::<usize>() as f64;
        let bytes = self.input.bytes() + self.grad_output.bytes() + partial_bytes;
        let cost = Cost { flops: 2.0 * multiply_adds, bytes: bytes as f64 };
        let items = self.all_tiles() * count * self.tile.invocations;
        let (params, tensors) = (self.params()?, [input, grad_output, partials]);
        dispatch_items(r, label, self.kernel.clone(), &tensors, bytemuck::bytes_of(&params), items, cost)?;
        if self.is_gemm && count > MANY {
            // Every sixteenth is added first, so that the sums of a small weight run in parallel.
            let first = sum_partials(r, label, partials, SUMMED_FIRST * len4, count / SUMMED_FIRST)?;
            return Ok(self.grad.at(sum_partials(r, label, first, len4, SUMMED_FIRST)?));
        }
        Ok(self.grad.at(sum_partials(r, label, partials, len4, count)?))
    }
}

/// Pixels of a slice on hardware, for `tiles` workgroups per slice over `pixels`. A weight gradient is one sum over the batch, so the number
/// may depend on the batch; it does not depend on the adapter.
fn weight_slice(pixels: usize, tiles: usize) -> usize {
    let [shortest, longest] = SLICES;
    (pixels * tiles / ENOUGH_BY_WEIGHT).clamp(shortest, longest).next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_a_weight_gradient_keep_a_large_gpu_busy_and_are_bounded() {
        // Tiles of 64 outputs x 64 inputs under a tap, for ResNet-50's layers at a batch of 32.
        for (pixels, tiles) in [(100_352, 1), (100_352, 9), (25_088, 36), (6_272, 144), (1_568, 576), (1_568, 256)] {
            let slice = weight_slice(pixels, tiles);
            assert!(slice.is_multiple_of(16) && (64..=1024).contains(&slice));
            let workgroups = pixels.div_ceil(slice) * tiles;
            assert!((264..2_000).contains(&workgroups), "{pixels} pixels, {tiles} tiles: {workgroups} workgroups");
        }
        assert_eq!([weight_slice(1, 1), weight_slice(1 << 30, 1 << 10)], [64, 1024]);
    }
}
