//! Forward convolution: one spec, a family of kernels (`shaders/conv2d_*.wgsl`), bias, residual and ReLU fused.

use super::attributes::Conv2dAttributes;
use super::conv2d_blocks::Blocks;
use super::conv2d_epilogue::{Epilogue, GradEpilogue};
use super::conv2d_packing::Direction;
use super::conv2d_split::Conv2dKernel;
use super::conv2d_variant::Conv2dVariant;
use super::elementwise::relu_backward;
use super::feature_map::{FeatureMap, MapShape, RecordMaps, channels4, u32_of};
use crate::error::{Error, Result};
use crate::gpu::shaders::uniforms::conv2d as block;
use crate::gpu::{Cost, Dispatch, Recording, TensorId, fold_workgroups};

/// One convolution: its channels, kernel and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    pub attributes: Conv2dAttributes,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
}

impl Conv2d {
    /// PyTorch's shape of the weight: `[K, C / groups, R, S]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels / self.attributes.groups.max(1), self.kernel[0], self.kernel[1]]
    }

    /// Packs a bias (zeros if there is none) as the epilogue reads it.
    pub fn pack_bias(&self, bias: Option<&[f32]>) -> Vec<f32> {
        let zeros = vec![0.0; self.out_channels];
        super::pack_channels(bias.unwrap_or(&zeros), self.attributes.groups)
    }

    /// Output shape NCHW for an input shape NCHW.
    pub fn output_shape(&self, input: [usize; 4]) -> Result<[usize; 4]> {
        self.attributes.output_shape(input, self.weight_shape())
    }

    /// Appends the convolution of `input` by `kernel`; `weight` and `bias` are packed for its variant, the weight of the
    /// input's precision. The result is
    /// `relu(conv(input) + bias + residual)`, bias, residual and ReLU where asked for.
    pub fn record(
        &self,
        recording: &mut Recording,
        label: &str,
        kernel: impl Into<Conv2dKernel>,
        input: FeatureMap,
        weight: TensorId,
        epilogue: Epilogue,
    ) -> Result<FeatureMap> {
        let shape = self.output_shape([input.n, input.c, input.h, input.w])?;
        let output = MapShape::grouped(shape, self.attributes.groups)?.stored(input.precision);
        self.launch(recording, label, kernel.into(), Direction::Forward, input, output, weight, (epilogue, None))
    }

    /// Appends the gradient by the input, of shape `input` (NCHW), from `grad_output`; `weight` is packed transposed for
    /// `kernel`'s variant.
    #[allow(clippy::too_many_arguments)] // each is one of the operation's own inputs
    pub fn record_backward_input(
        &self,
        recording: &mut Recording,
        label: &str,
        kernel: impl Into<Conv2dKernel>,
        grad_output: FeatureMap,
        input: [usize; 4],
        weight: TensorId,
        epilogue: GradEpilogue,
    ) -> Result<FeatureMap> {
        self.check_grad_output(label, grad_output, input)?;
        let output = MapShape::grouped(input, self.attributes.groups)?.stored(grad_output.precision);
        let GradEpilogue { residual, rectified } = epilogue;
        let ends = (Epilogue { residual, ..Default::default() }, rectified);
        self.launch(recording, label, kernel.into(), Direction::Transposed, grad_output, output, weight, ends)
    }

    pub(super) fn check_grad_output(&self, label: &str, grad_output: FeatureMap, input: [usize; 4]) -> Result<()> {
        let found = [grad_output.n, grad_output.c, grad_output.h, grad_output.w];
        if self.output_shape(input)? == found {
            return Ok(());
        }
        let problem = format!("{label}: grad_output of shape {found:?} does not belong to an input of {input:?}");
        Err(Error::shape("conv2d_backward", problem))
    }

    #[allow(clippy::too_many_arguments)]
    fn launch(
        &self,
        recording: &mut Recording,
        label: &str,
        kernel: Conv2dKernel,
        direction: Direction,
        source: FeatureMap,
        output: MapShape,
        weight: TensorId,
        (epilogue, rectified): (Epilogue, Option<FeatureMap>),
    ) -> Result<FeatureMap> {
        const OP: &str = "conv2d";
        let Conv2dAttributes { stride, padding, dilation, groups } = self.attributes;
        if source.c4 != channels4(source.c, groups) {
            let problem = format!("{label}: {} channels in {groups} groups are not a multiple of 4 each", source.c);
            return Err(Error::shape(OP, problem));
        }
        let output = recording.map(label, output);
        check_residual(label, output.shape, epilogue.residual)?;
        check_residual(label, output.shape, rectified)?;
        let variant = kernel.variant.for_channels_of(self);
        let variant = if self.in_blocks(direction) { variant.for_blocks() } else { variant };
        let blocks = if direction == Direction::Transposed { self.blocks() } else { None };
        let (tile_pixels, tile_channels) = variant.tile();
        // Transposed, the pixels of each of stride x stride phases are tiled by themselves; a phase that starts past the
        // map's end has none.
        let (phases, phase_pixels) = match (direction, &blocks) {
            (Direction::Forward, _) => (1, output.pixels()),
            (_, Some(Blocks { block: [h, w], .. })) => (1, output.n * output.h.div_ceil(*h) * output.w.div_ceil(*w)),
            (Direction::Transposed, None) => (
                stride[0].min(output.h) * stride[1].min(output.w),
                output.n * output.h.div_ceil(stride[0]) * output.w.div_ceil(stride[1]),
            ),
        };
        let pixel_tiles = phases * phase_pixels.div_ceil(tile_pixels);
        let made = blocks.as_ref().map_or(output.c / groups, |blocks| blocks.block.iter().product::<usize>() * 4);
        let channel_tiles = made.div_ceil(tile_channels);
        let workgroup_tiles = variant.tiles_in_turn(channel_tiles, pixel_tiles * groups);
        // Blocks of pixels are added in one.
        let parts = self.parts(direction, if blocks.is_some() { 1 } else { kernel.parts });
        let group_source4 = source.c4 / groups;
        let size = |what, value| u32_of(OP, what, value);
        if direction == Direction::Transposed {
            // So must the products that find a phase's taps, and the distances to them, which are signed.
            for (axis, extent) in [output.h, output.w].into_iter().enumerate() {
                let reach = (2 * stride[axis]).min(self.kernel[axis]).saturating_mul(dilation[axis]);
                size("stride and dilation", reach.saturating_mul(stride[axis]).saturating_add(padding[axis]))?;
                size("a padded input", 2 * (extent + 2 * padding[axis]))?;
            }
        }
        let pair =
            |[a, b]: [usize; 2]| -> Result<[u32; 2]> { Ok([size("an attribute", a)?, size("an attribute", b)?]) };
        let mut params = block::Conv2d {
            source_height: size("height", source.h)?,
            source_width: size("width", source.w)?,
            source_pitch4: size("channels", source.pitch4)?,
            group_source_channels: size("channels", source.c / groups)?,
            height: size("height", output.h)?,
            width: size("width", output.w)?,
            pitch4: size("channels", output.pitch4)?,
            group_channels4: size("channels", output.c4 / groups)?,
            images: size("a batch", output.n)?,
            pixel_tiles: size("a batch", pixel_tiles)?,
            channel_tiles: size("channels", channel_tiles)?,
            groups: size("groups", groups)?,
            kernel: pair(self.kernel)?,
            stride: pair(stride)?,
            padding: pair(padding)?,
            dilation: pair(dilation)?,
            biased: epilogue.bias.is_some().into(),
            relu: (epilogue.relu || rectified.is_some()).into(),
            residual: epilogue.residual.is_some().into(),
            workgroup_tiles: size("channels", workgroup_tiles)?,
            parts: size("parts", parts.count)?,
            part_steps4: size("a reduction", parts.steps4)?,
            end: [0; 2],
        };
        let whole = parts.count == 1;
        let mut shader = variant.kernel(direction)?;
        if !whole {
            size("partial sums", parts.count.saturating_mul(output.len4() * 4))?;
            let none = || Error::shape(OP, format!("{label}: the kernel {} has no parts", variant.name()));
            shader = variant.split_kernel(direction).ok_or_else(none)?;
        }
        let mut of_blocks = None;
        if let Some(blocks) = &blocks {
            let Blocks { block: [h, w], taps, reach, step } = *blocks;
            let pixels = size("a block", h * w)?;
            (params.height, params.width) =
                (size("height", output.h.div_ceil(h))?, size("width", output.w.div_ceil(w))?);
            // A block's pixels are found by its corner and not by a pitch.
            params.group_channels4 = pixels;
            (params.kernel, params.stride, params.padding) = (pair(taps)?, pair(step)?, pair(reach)?);
            let packing = self.packing(variant, direction);
            of_blocks = Some(self.with_blocks(params, blocks, [output.h, output.w], &packing)?);
            shader = variant.blocks_kernel()?;
        }
        let params = of_blocks.as_ref().map_or(bytemuck::bytes_of(&params), bytemuck::bytes_of).to_vec();
        let mut spec = source.precision.kernel(shader)?;
        if variant.is_cooperative() {
            spec = spec.constant("POINTWISE", (self.kernel == [1, 1]).into());
        } else if variant.is_gemm() {
            let pointwise = blocks.is_none() && (self.kernel, padding) == ([1, 1], [0, 0]);
            spec = spec.constant("POINTWISE", pointwise.into());
            spec = spec.constant("WHOLE", group_source4.is_multiple_of(4).into());
        }
        let tiles = (pixel_tiles * channel_tiles.div_ceil(workgroup_tiles) * groups * parts.count) as u64;
        let workgroups = if variant == Conv2dVariant::Register { tiles.div_ceil(64) } else { tiles };
        let multiply_adds = match direction {
            Direction::Forward => output.pixels(),
            Direction::Transposed => source.pixels(),
        } as f64
            * self.weight_shape().iter().product::<usize>() as f64;
        let touched = 1 + u64::from(epilogue.residual.is_some()) + u64::from(rectified.is_some());
        let partial_bytes = parts.count as u64 * output.len4() as u64 * 16;
        let stored = if whole { output.bytes() * touched } else { partial_bytes };
        let bytes = source.bytes() + stored + recording.bytes(weight);
        // They are always bound; where there is none, the weight stands in and is never read as such.
        let bias = rectified.map(|map| map.tensor).or(epilogue.bias).unwrap_or(weight);
        let residual = epilogue.residual.map_or(weight, |map| map.tensor);
        let partials = (!whole).then(|| recording.temporary(label, partial_bytes));
        let mut tensors = match partials {
            None => vec![source.tensor, weight, bias, residual, output.tensor],
            Some(partials) => vec![source.tensor, weight, partials],
        };
        // A kernel of blocks that never reads a bias has no binding for it.
        if whole && spec.reflect()?.bindings.len() == tensors.len() {
            tensors.remove(2);
        }
        recording.dispatch(Dispatch {
            label: label.to_owned(),
            kernel: spec,
            tensors,
            params: params.clone(),
            workgroups: fold_workgroups(workgroups),
            cost: Cost { flops: 2.0 * multiply_adds, bytes: bytes as f64 },
        });
        if let Some(partials) = partials {
            let tensors = [partials, bias, residual, output.tensor];
            Self::record_sum_parts(recording, label, direction, output, parts.count, tensors, &params)?;
        }
        if blocks.is_some() {
            Self::record_repair(recording, label, source, weight, epilogue.residual, output, params)?;
            // A block's kernel has no such end: few networks have a ReLU before so few channels.
            if let Some(rectified) = rectified {
                return relu_backward(recording, label, rectified, output);
            }
        }
        Ok(output)
    }
}

/// Whether `residual` can be added to `output`, which the convolution `label` makes.
pub(super) fn check_residual(label: &str, output: MapShape, residual: Option<FeatureMap>) -> Result<()> {
    let Some(other) = residual.filter(|other| other.shape != output) else { return Ok(()) };
    let (f, e) = (other, output);
    let problem = format!("{label}: the residual is {}x{}x{} and the output {}x{}x{}", f.c, f.h, f.w, e.c, e.h, e.w);
    Err(Error::shape("conv2d", problem))
}
