//! The gradients of a convolution by its weight and bias (that by its input is [`Conv2d::record_backward_input`]), and
//! the order in which weights are trained: KRSC, input channels padded to vec4s.

use super::attributes::Conv2dAttributes;
use super::conv2d::Conv2d;
use super::conv2d_kernels::WeightKernel;
use super::conv2d_packing::Direction;
use super::conv2d_policy::weight_slice;
use super::conv2d_variant::Conv2dVariant;
use super::feature_map::{FeatureMap, channels4, u32_of};
use super::{Precision, dispatch_items};
use crate::error::{Error, Result};
use crate::gpu::shaders::files;
use crate::gpu::shaders::uniforms::conv2d_backward_weight::BackwardWeight;
use crate::gpu::shaders::uniforms::{pack_weight, pack_weight_rows, sum_pixels};
use crate::gpu::{Cost, KernelSpec, Recording, TensorId};

const OP: &str = "conv2d_backward";

/// Pixels of one partial result of kernels for processors: short enough for precision and parallel work, long enough to pay for its stores.
const SLICE: usize = 256;
/// The longest slice where there are workgroups enough, which keeps precision.
const LONG_SLICE: usize = 1024;
/// Workgroups that are enough for a CPU: more partial results would only have to be stored and added.
const ENOUGH: usize = 512;
/// More partial results than this are added in two steps on hardware, the first of which leaves so many.
const MANY: usize = 64;
const SUMMED_FIRST: usize = 16;
/// The most that partial results may take; larger weights get longer slices.
const PARTIALS_BYTES: u64 = 64 << 20;

impl Conv2d {
    /// vec4s of the weight in KRSC: `K * R * S * ceil(C / groups / 4)`.
    pub fn weight_len4(&self) -> usize {
        let [k, c, r, s] = self.weight_shape();
        k * r * s * c.div_ceil(4)
    }

    /// OIHW to KRSC with padded input channels.
    pub fn pack_krsc(&self, weight: &[f32]) -> Vec<f32> {
        self.map_krsc(weight, self.weight_len4() * 4, |oihw, krsc| (krsc, oihw))
    }

    /// KRSC with padded input channels to OIHW.
    pub fn unpack_krsc(&self, weight: &[f32]) -> Vec<f32> {
        self.map_krsc(weight, self.weight_shape().iter().product(), |oihw, krsc| (oihw, krsc))
    }

    /// Copies each element; `places(oihw, krsc)` gives its place in the result and in `weight`.
    fn map_krsc(&self, weight: &[f32], len: usize, places: impl Fn(usize, usize) -> (usize, usize)) -> Vec<f32> {
        let [k, c, r, s] = self.weight_shape();
        let stride = c.next_multiple_of(4);
        let mut out = vec![0.0; len];
        for channel in 0..k {
            for input in 0..c {
                for tap in 0..r * s {
                    let (to, at) =
                        places((channel * c + input) * r * s + tap, (channel * r * s + tap) * stride + input);
                    out[to] = weight[at];
                }
            }
        }
        out
    }

    /// Appends the packing of a KRSC weight of f32 for the forward kernels of `variant` over maps of `precision`.
    pub fn record_pack(
        &self,
        r: &mut Recording,
        label: &str,
        variant: Conv2dVariant,
        weight: TensorId,
        precision: Precision,
    ) -> Result<TensorId> {
        self.packed_on_gpu(r, label, variant, weight, Direction::Forward, precision)
    }

    /// The same for [`Conv2d::record_backward_input`].
    pub fn record_pack_transposed(
        &self,
        r: &mut Recording,
        label: &str,
        variant: Conv2dVariant,
        weight: TensorId,
        precision: Precision,
    ) -> Result<TensorId> {
        self.packed_on_gpu(r, label, variant, weight, Direction::Transposed, precision)
    }

    fn packed_on_gpu(
        &self,
        recording: &mut Recording,
        label: &str,
        variant: Conv2dVariant,
        weight: TensorId,
        direction: Direction,
        precision: Precision,
    ) -> Result<TensorId> {
        let layout = self.packing(variant, direction);
        let elements = layout.elements();
        let packed = recording.temporary(label, (elements / 4) as u64 * precision.bytes4());
        let size = |value| u32_of(OP, "a weight", value);
        size(elements)?;
        if direction == Direction::Transposed
            && let Some(blocks) = self.blocks()
        {
            self.record_pack_blocks(recording, label, &blocks, &layout, [weight, packed], precision)?;
            return Ok(packed);
        }
        let [k, c, ..] = self.weight_shape();
        let cost = Cost { flops: 0.0, bytes: (elements * 4) as f64 + recording.bytes(packed) as f64 };
        let transposed = u32::from(direction == Direction::Transposed);
        let (group_out, group_in) = (size(k / self.attributes.groups)?, size(c)?);
        if variant.is_cooperative() {
            let params = pack_weight_rows::Pack {
                groups: size(layout.groups)?,
                columns: size(layout.tiles)?,
                taps: size(layout.taps)?,
                rows4: size(layout.rows / 4)?,
                group_out,
                group_in,
                transposed,
                end: [0],
            };
            let (kernel, tensors) = (precision.kernel(files::pack_weight_rows::FILE)?, [weight, packed]);
            let params = bytemuck::bytes_of(&params);
            dispatch_items(recording, label, kernel, &tensors, params, elements / 4, cost)?;
            return Ok(packed);
        }
        let params = pack_weight::Pack {
            groups: size(layout.groups)?,
            tiles: size(layout.tiles)?,
            taps: size(layout.taps)?,
            rows: size(layout.rows)?,
            side4: size(layout.side / 4)?,
            group_out,
            group_in,
            transposed,
        };
        let kernel = precision.kernel(files::pack_weight::FILE)?;
        // An invocation packs eight rows.
        let items = layout.groups * layout.tiles * layout.taps * layout.rows.div_ceil(8) * layout.side / 4;
        dispatch_items(recording, label, kernel, &[weight, packed], bytemuck::bytes_of(&params), items, cost)?;
        Ok(packed)
    }

    /// Appends the gradient by the weight, in KRSC with padded input channels: of f32 whatever the maps are.
    pub fn record_backward_weight(
        &self,
        recording: &mut Recording,
        label: &str,
        variant: Conv2dVariant,
        input: FeatureMap,
        grad_output: FeatureMap,
    ) -> Result<TensorId> {
        let Conv2dAttributes { stride, padding, dilation, groups } = self.attributes;
        self.check_grad_output(label, grad_output, [input.n, input.c, input.h, input.w])?;
        grad_output.check_precision(OP, label, input.precision)?;
        if (input.c4, grad_output.c4) != (channels4(input.c, groups), channels4(grad_output.c, groups)) {
            let problem =
                format!("{label}: the channels of each of the {groups} groups are not padded to a multiple of 4");
            return Err(Error::shape(OP, problem));
        }
        let pixels = grad_output.pixels();
        // A pixel of grad_output is one of the input.
        let pointwise = (self.kernel, stride, padding) == ([1, 1], [1, 1], [0, 0]);
        let variant = variant.by_weight();
        let WeightKernel { file, flags, tile: [rows, columns], invocations, .. } =
            variant.weight_kernel(pointwise, pixels)?;
        let [k, c, r, s] = self.weight_shape();
        let group_columns = r * s * c.div_ceil(4);
        let weight_bytes = self.weight_len4() as u64 * 16;
        let most_slices = (PARTIALS_BYTES / weight_bytes).max(1) as usize;
        let (column_tiles, row_tiles) = (group_columns.div_ceil(columns), (k / groups).div_ceil(rows));
        let tiles = column_tiles * row_tiles * groups;
        let usual = match variant {
            Conv2dVariant::Register => SLICE,
            variant if variant.is_gemm() => weight_slice(pixels, tiles),
            _ => (pixels * tiles / ENOUGH).clamp(SLICE, LONG_SLICE),
        };
        // For the kernels that take two pixels at a time, or four.
        let slice = pixels.div_ceil(most_slices).max(usual).next_multiple_of(4);
        let slices = match pixels.div_ceil(slice) {
            // Slices past the last pixel are zeros.
            many if variant.is_gemm() && many > MANY => many.next_multiple_of(SUMMED_FIRST),
            few => few,
        };
        let size = |value| u32_of(OP, "a tensor or attribute", value);
        size(slices * self.weight_len4() * 4)?;
        let pair = |[a, b]: [usize; 2]| -> Result<[u32; 2]> { Ok([size(a)?, size(b)?]) };
        let params = BackwardWeight {
            in_height: size(input.h)?,
            in_width: size(input.w)?,
            in_pitch4: size(input.pitch4)?,
            group_in4: size(input.c4 / groups)?,
            out_height: size(grad_output.h)?,
            out_width: size(grad_output.w)?,
            out_pitch4: size(grad_output.pitch4)?,
            group_out_channels: size(k / groups)?,
            pixels: size(pixels)?,
            slice: size(slice)?,
            slices: size(slices)?,
            columns: size(group_columns)?,
            column_tiles: size(column_tiles)?,
            row_tiles: size(row_tiles)?,
            groups: size(groups)?,
            kernel_width: size(s)?,
            stride: pair(stride)?,
            padding: pair(padding)?,
            dilation: pair(dilation)?,
            end: [0; 2],
        };
        let partials = recording.temporary(label, slices as u64 * weight_bytes);
        let multiply_adds = pixels as f64 * (k * c * r * s) as f64;
        let bytes = input.bytes() + grad_output.bytes() + slices as u64 * weight_bytes;
        let cost = Cost { flops: 2.0 * multiply_adds, bytes: bytes as f64 };
        let items = tiles * slices * invocations;
        let tensors = [input.tensor, grad_output.tensor, partials];
        let mut kernel = input.precision.kernel(KernelSpec::new(file).with(flags))?;
        if variant.is_gemm() {
            kernel = kernel.constant("POINTWISE", pointwise.into());
        }
        dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), items, cost)?;
        if variant.is_gemm() && slices > MANY {
            // Every sixteenth of them first, so that a small weight's sums don't wait for one another.
            let len4 = SUMMED_FIRST * self.weight_len4();
            let first = sum_partials(recording, label, partials, len4, slices / SUMMED_FIRST)?;
            return sum_partials(recording, label, first, self.weight_len4(), SUMMED_FIRST);
        }
        sum_partials(recording, label, partials, self.weight_len4(), slices)
    }
}

/// Appends the sum over N, H and W of each channel: the gradient of a bias, of f32 whatever the map is.
pub fn sum_pixels(recording: &mut Recording, label: &str, input: FeatureMap) -> Result<TensorId> {
    let slices = input.pixels().div_ceil(SLICE);
    let size = |value| u32_of("sum_pixels", "a tensor", value);
    let (pixels, channels4) = (size(input.pixels())?, size(input.c4)?);
    let params = sum_pixels::Size {
        pixels,
        channels4,
        slice: size(SLICE)?,
        slices: size(slices)?,
        pitch4: size(input.pitch4)?,
        end: [0; 3],
    };
    let partials = recording.temporary(label, (slices * input.c4 * 16) as u64);
    let cost = Cost { flops: (input.len4() * 4) as f64, bytes: input.bytes() as f64 };
    let tensors = [input.tensor, partials];
    let items = slices * input.c4;
    let kernel = input.precision.kernel(files::sum_pixels::FILE)?;
    dispatch_items(recording, label, kernel, &tensors, bytemuck::bytes_of(&params), items, cost)?;
    sum_partials(recording, label, partials, input.c4, slices)
}

/// The sum of `count` partial results of `len4` vec4s each.
pub(super) fn sum_partials(
    recording: &mut Recording,
    label: &str,
    partials: TensorId,
    len4: usize,
    count: usize,
) -> Result<TensorId> {
    if count == 1 {
        return Ok(partials);
    }
    let output = recording.temporary(label, (len4 * 16) as u64);
    let params = [u32_of(OP, "a weight", len4)?, u32_of(OP, "a batch", count)?, 0, 0];
    let cost = Cost { flops: (len4 * 4 * count) as f64, bytes: (len4 * 16 * (count + 1)) as f64 };
    let kernel = KernelSpec::new(files::sum_partials::FILE);
    dispatch_items(recording, label, kernel, &[partials, output], bytemuck::bytes_of(&params), len4, cost)?;
    Ok(output)
}
