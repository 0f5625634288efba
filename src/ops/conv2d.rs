//! Forward convolution: one spec, a family of kernels (`shaders/conv2d_*.wgsl`), bias, residual and ReLU fused.

use super::Precision;
use super::attributes::Conv2dAttributes;
use super::conv2d_blocks::Blocks;
use super::conv2d_epilogue::{Epilogue, GradEpilogue};
use super::elementwise::relu_backward;
use super::feature_map::{FeatureMap, channels4, u32_of};
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Cost, Dispatch, Recording, TensorId, fold_workgroups};

/// The kernels that can compute a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conv2dVariant {
    /// Implicit GEMM with workgroup tiles: hardware GPUs.
    Gemm,
    /// The same with tiles of other sizes (pixels x channels), read as vec4s and fetched ahead: for a tuner to choose.
    Gemm32x32,
    Gemm64x64,
    Gemm128x64,
    Gemm128x128,
    /// Register blocks without workgroup memory or subgroups: runs everywhere.
    Register,
    /// Register blocks with weights broadcast through subgroups of exactly eight: lavapipe.
    Subgroup,
    /// The same, two source channels at a time and memory accessed 64 bits at once: lavapipe with 64-bit integers.
    SubgroupWide,
    /// Register blocks with activations broadcast through subgroups of exactly four: SwiftShader.
    Subgroup4,
    /// Forward by cooperative matrices, of f16 operands or of f32: hardware that has them.
    Cooperative,
}

/// What a variant is: one line of [`Conv2dVariant::traits`].
struct Traits {
    name: &'static str,
    /// Pixels and output channels that one workgroup (gemm, subgroup) or invocation (register) makes.
    tile: (usize, usize),
    /// Forward, by input, and by input in blocks.
    shaders: [&'static str; 3],
}

impl Conv2dVariant {
    /// Those that compute the convolution and its gradient by the input.
    pub const ALL: [Self; 9] = [
        Self::Gemm,
        Self::Gemm32x32,
        Self::Gemm64x64,
        Self::Gemm128x64,
        Self::Gemm128x128,
        Self::Register,
        Self::Subgroup,
        Self::SubgroupWide,
        Self::Subgroup4,
    ];

    /// Those that compute the convolution.
    pub const FORWARD: [Self; 10] = {
        let [a, b, c, d, e, f, g, h, i] = Self::ALL;
        [a, b, c, d, e, f, g, h, i, Self::Cooperative]
    };

    fn traits(self) -> Traits {
        macro_rules! of {
            ($name:literal, $shader:literal, $tile:expr) => {
                Traits {
                    name: $name,
                    tile: $tile,
                    shaders: [
                        concat!("conv2d_", $shader),
                        concat!("conv2d_backward_input_", $shader),
                        concat!("conv2d_backward_input_blocks_", $shader),
                    ],
                }
            };
        }
        match self {
            Self::Gemm => of!("gemm", "gemm", (64, 64)),
            Self::Gemm32x32 => of!("gemm-32x32", "gemm_32x32", (32, 32)),
            Self::Gemm64x64 => of!("gemm-64x64", "gemm_64x64", (64, 64)),
            Self::Gemm128x64 => of!("gemm-128x64", "gemm_128x64", (128, 64)),
            Self::Gemm128x128 => of!("gemm-128x128", "gemm_128x128", (128, 128)),
            Self::Register => of!("register", "register", (8, 8)),
            Self::Subgroup => of!("subgroup", "subgroup", (32, 32)),
            Self::SubgroupWide => of!("subgroup-wide", "subgroup_wide", (32, 32)),
            Self::Subgroup4 => of!("subgroup4", "subgroup4", (16, 32)),
            Self::Cooperative => of!("cooperative", "cooperative", (32, 64)),
        }
    }

    /// Whether the adapter can run it; the reason if not.
    pub fn supported(self, adapter: &AdapterReport) -> Result<(), String> {
        let (pixels, channels) = self.tile();
        let memory = match self {
            _ if !self.is_gemm() => 0,
            Self::Cooperative => (pixels + channels) * 32 + pixels * channels * 4,
            _ => (pixels + channels) * 64,
        };
        let exactly = |lanes: u32| {
            let [least, most] = adapter.subgroup_size;
            if [least, most] == [lanes; 2] {
                return Ok(());
            }
            Err(format!("it needs subgroups of exactly {lanes} and the adapter's are {least} to {most}"))
        };
        match self {
            Self::SubgroupWide if !adapter.features.int64 => {
                Err("the adapter has no 64-bit integers in shaders".into())
            }
            Self::SubgroupWide => Self::Subgroup.supported(adapter),
            Self::Subgroup | Self::Subgroup4 if !adapter.features.subgroups => {
                Err("the adapter has no subgroup operations".into())
            }
            Self::Subgroup => exactly(8),
            Self::Subgroup4 => exactly(4),
            Self::Cooperative if !adapter.features.matrices_f32 && !adapter.features.matrices_f16 => {
                Err("the adapter has no cooperative matrices of 8x8x8 f32 or 16x16x16 f16 with f32 sums".into())
            }
            Self::Cooperative if exactly(32).is_err() && !adapter.features.emulated_matrices => exactly(32),
            _ if memory > adapter.max_workgroup_memory_bytes as usize => {
                let most = adapter.max_workgroup_memory_bytes;
                Err(format!("it needs {memory} bytes of workgroup memory and the adapter has {most}"))
            }
            _ => Ok(()),
        }
    }

    /// The variant for this class of device, or the one that the environment variable `GPU_RESNET_CONV2D` names
    /// (`gemm`, `register`, …), to bisect a driver bug.
    pub fn choose(adapter: &AdapterReport) -> Self {
        let asked = std::env::var("GPU_RESNET_CONV2D").unwrap_or_default().to_lowercase();
        let named = Self::FORWARD.into_iter().find(|v| v.name() == asked && v.supported(adapter).is_ok());
        let by_class = match adapter.kind.as_str() {
            "cpu" => &[Self::SubgroupWide, Self::Subgroup, Self::Subgroup4][..],
            _ => &[Self::Gemm],
        };
        let able = || by_class.iter().copied().find(|variant| variant.supported(adapter).is_ok());
        named.or_else(able).unwrap_or(Self::Register)
    }

    pub fn name(self) -> &'static str {
        self.traits().name
    }

    fn shader(self, direction: Direction) -> &'static str {
        match direction {
            Direction::Forward => self.traits().shaders[0],
            Direction::Transposed => self.traits().shaders[1],
        }
    }

    /// The kernel of the gradient by the input that makes blocks.
    pub(super) fn blocks_shader(self) -> &'static str {
        self.traits().shaders[2]
    }

    /// Pixels and output channels that one workgroup (gemm, subgroup) or invocation (register) makes.
    pub(super) fn tile(self) -> (usize, usize) {
        self.traits().tile
    }

    /// Whether the adapter can run it on maps of `precision`; the reason if not.
    pub fn supported_in(self, adapter: &AdapterReport, precision: Precision) -> Result<(), String> {
        let matrices = match precision {
            Precision::F32 => (adapter.features.matrices_f32, "8x8x8 f32"),
            Precision::F16 => (adapter.features.matrices_f16, "16x16x16 f16 with f32 sums"),
        };
        match (self, matrices) {
            (Self::Cooperative, (false, shape)) => Err(format!("the adapter has no cooperative matrices of {shape}")),
            _ => self.supported(adapter),
        }
    }

    /// Whether it goes through workgroup memory.
    pub(super) fn is_gemm(self) -> bool {
        !matches!(self, Self::Register | Self::Subgroup | Self::SubgroupWide | Self::Subgroup4)
    }
}

/// One convolution: its channels, kernel and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    pub attributes: Conv2dAttributes,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
}

/// The uniform block of `shaders/shared/conv2d.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    source_height: u32,
    source_width: u32,
    source_pitch4: u32,
    group_source_channels: u32,
    height: u32,
    width: u32,
    pitch4: u32,
    group_channels4: u32,
    images: u32,
    pixel_tiles: u32,
    channel_tiles: u32,
    groups: u32,
    kernel: [u32; 2],
    stride: [u32; 2],
    padding: [u32; 2],
    dilation: [u32; 2],
    biased: u32,
    relu: u32,
    residual: u32,
    end: u32,
}

/// Which way a kernel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    /// From grad_output to grad_input.
    Transposed,
}

/// The order of a packed weight: `[group][tile][tap][row][column within the tile]`, where rows are the channels that are
/// summed over and columns those that are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packing {
    pub groups: usize,
    pub tiles: usize,
    pub taps: usize,
    pub rows: usize,
    pub side: usize,
}

impl Packing {
    pub fn extents(&self) -> [usize; 5] {
        [self.groups, self.tiles, self.taps, self.rows, self.side]
    }

    pub fn elements(&self) -> usize {
        self.extents().iter().product()
    }

    pub fn index(&self, group: usize, tap: usize, row: usize, column: usize) -> usize {
        let tile = group * self.tiles + column / self.side;
        ((tile * self.taps + tap) * self.rows + row) * self.side + column % self.side
    }
}

impl Conv2d {
    /// PyTorch's shape of the weight: `[K, C / groups, R, S]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels / self.attributes.groups.max(1), self.kernel[0], self.kernel[1]]
    }

    /// Packs a weight from OIHW to the order that `variant` reads, with zeros where tiles pass the last channel.
    pub fn pack_weight(&self, variant: Conv2dVariant, weight: &[f32]) -> Vec<f32> {
        self.pack(variant, weight, Direction::Forward)
    }

    /// The same for [`Self::record_backward_input`], where input and output channels change places.
    pub fn pack_weight_transposed(&self, variant: Conv2dVariant, weight: &[f32]) -> Vec<f32> {
        self.pack(variant, weight, Direction::Transposed)
    }

    fn pack(&self, variant: Conv2dVariant, weight: &[f32], direction: Direction) -> Vec<f32> {
        let layout = self.packing(variant, direction);
        let [out_channels, group_in, height, width] = self.weight_shape();
        let (group_out, taps) = (out_channels / self.attributes.groups, height * width);
        let mut out = vec![0.0; layout.elements()];
        if direction == Direction::Transposed
            && let Some(blocks) = self.blocks()
        {
            let [rows, columns] = blocks.block;
            for pixel in 0..rows * columns {
                for (i, &value) in weight.iter().enumerate() {
                    let (k, c, r, s) = (i / (group_in * taps), i / taps % group_in, i % taps / width, i % width);
                    if let Some(tap) = self.block_tap(&blocks, [pixel / columns, pixel % columns], [r, s]) {
                        out[layout.index(0, tap, k, pixel * 4 + c)] = value;
                    }
                }
            }
            return out;
        }
        for channel in 0..out_channels {
            let (group, k) = (channel / group_out, channel % group_out);
            for c in 0..group_in {
                for tap in 0..taps {
                    let (row, column) = if direction == Direction::Forward { (c, k) } else { (k, c) };
                    let to = layout.index(group, tap, row, column);
                    out[to] = weight[(channel * group_in + c) * taps + tap];
                }
            }
        }
        out
    }

    pub(super) fn packing(&self, variant: Conv2dVariant, direction: Direction) -> Packing {
        let groups = self.attributes.groups;
        let [out_channels, group_in, height, width] = self.weight_shape();
        let (rows, columns, taps) = match (direction, self.blocks()) {
            (Direction::Forward, _) => (group_in, out_channels / groups, height * width),
            (Direction::Transposed, None) => (out_channels / groups, group_in, height * width),
            (Direction::Transposed, Some(blocks)) => {
                (out_channels, blocks.block.iter().product::<usize>() * 4, blocks.taps.iter().product())
            }
        };
        let (_, side) = variant.tile();
        let padded = columns.next_multiple_of(side);
        Packing {
            groups,
            taps,
            rows: match variant {
                Conv2dVariant::Subgroup => rows,
                Conv2dVariant::SubgroupWide => rows.next_multiple_of(2),
                _ => rows.next_multiple_of(4),
            },
            // The gemm kernels step through whole rows of all tiles.
            tiles: if variant.is_gemm() { 1 } else { padded / side },
            side: if variant.is_gemm() { padded } else { side },
        }
    }

    /// Extents whose product is the length of [`Self::pack_weight`], so that it can be checked before it is allocated.
    pub fn packed_weight_shape(&self, variant: Conv2dVariant) -> [usize; 5] {
        self.packing(variant, Direction::Forward).extents()
    }

    /// The same for [`Self::pack_weight_transposed`].
    pub fn packed_weight_transposed_shape(&self, variant: Conv2dVariant) -> [usize; 5] {
        self.packing(variant, Direction::Transposed).extents()
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

    /// Appends the convolution of `input`; `weight` and `bias` are packed for `variant`, the weight of the
    /// input's precision. The result is
    /// `relu(conv(input) + bias + residual)`, bias, residual and ReLU where asked for.
    pub fn record(
        &self,
        recording: &mut Recording,
        label: &str,
        variant: Conv2dVariant,
        input: FeatureMap,
        weight: TensorId,
        epilogue: Epilogue,
    ) -> Result<FeatureMap> {
        let shape = self.output_shape([input.n, input.c, input.h, input.w])?;
        let output = FeatureMap::grouped(input.tensor, shape, self.attributes.groups).stored(input.precision);
        self.launch(recording, label, variant, Direction::Forward, input, output, weight, (epilogue, None))
    }

    /// Appends the gradient by the input, of shape `input` (NCHW), from `grad_output`; `weight` is packed transposed for
    /// `variant`.
    #[allow(clippy::too_many_arguments)] // each is one of the operation's own inputs
    pub fn record_backward_input(
        &self,
        recording: &mut Recording,
        label: &str,
        variant: Conv2dVariant,
        grad_output: FeatureMap,
        input: [usize; 4],
        weight: TensorId,
        epilogue: GradEpilogue,
    ) -> Result<FeatureMap> {
        self.check_grad_output(label, grad_output, input)?;
        let output =
            FeatureMap::grouped(grad_output.tensor, input, self.attributes.groups).stored(grad_output.precision);
        let GradEpilogue { residual, rectified } = epilogue;
        let ends = (Epilogue { residual, ..Default::default() }, rectified);
        self.launch(recording, label, variant, Direction::Transposed, grad_output, output, weight, ends)
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
        variant: Conv2dVariant,
        direction: Direction,
        source: FeatureMap,
        mut output: FeatureMap,
        weight: TensorId,
        (epilogue, rectified): (Epilogue, Option<FeatureMap>),
    ) -> Result<FeatureMap> {
        const OP: &str = "conv2d";
        let Conv2dAttributes { stride, padding, dilation, groups } = self.attributes;
        if source.c4 != channels4(source.c, groups) {
            let problem = format!("{label}: {} channels in {groups} groups are not a multiple of 4 each", source.c);
            return Err(Error::shape(OP, problem));
        }
        output.tensor = recording.temporary(label, output.bytes());
        output.check_residual(label, epilogue.residual)?;
        output.check_residual(label, rectified)?;
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
        let size = |what, value| u32_of(OP, what, value);
        // Indices of single floats must fit in 32 bits.
        size("an input", source.len4() * 4)?;
        size("an output", output.len4() * 4)?;
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
        let mut params = Params {
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
            end: 0,
        };
        let mut shader = variant.shader(direction);
        let mut more = Vec::new();
        if let Some(blocks) = &blocks {
            let Blocks { block: [h, w], taps, reach, step } = *blocks;
            let pixels = size("a block", h * w)?;
            (params.height, params.width) =
                (size("height", output.h.div_ceil(h))?, size("width", output.w.div_ceil(w))?);
            // A block's pixels are found by its corner and not by a pitch.
            params.group_channels4 = pixels;
            (params.kernel, params.stride, params.padding) = (pair(taps)?, pair(step)?, pair(reach)?);
            let packing = self.packing(variant, direction);
            more = bytemuck::bytes_of(&self.block_params(blocks, [output.h, output.w], &packing)?).to_vec();
            shader = variant.blocks_shader();
        }
        let params = [bytemuck::bytes_of(&params), &more].concat();
        let mut spec = source.precision.kernel(shader)?;
        if variant.is_gemm() {
            spec = spec.constant("POINTWISE", (self.kernel == [1, 1]).into());
        }
        let tiles = (pixel_tiles * channel_tiles * groups) as u64;
        let workgroups = if variant == Conv2dVariant::Register { tiles.div_ceil(64) } else { tiles };
        let multiply_adds = match direction {
            Direction::Forward => output.pixels(),
            Direction::Transposed => source.pixels(),
        } as f64
            * self.weight_shape().iter().product::<usize>() as f64;
        let touched = 1 + u64::from(epilogue.residual.is_some()) + u64::from(rectified.is_some());
        let bytes = source.bytes() + output.bytes() * touched + recording.bytes(weight);
        // They are always bound; where there is none, the weight stands in and is never read as such.
        let bias = rectified.map(|map| map.tensor).or(epilogue.bias).unwrap_or(weight);
        let residual = epilogue.residual.map_or(weight, |map| map.tensor);
        let mut tensors = vec![source.tensor, weight, bias, residual, output.tensor];
        // A kernel of blocks that never reads a bias has no binding for it.
        if spec.reflect()?.bindings.len() == tensors.len() {
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
