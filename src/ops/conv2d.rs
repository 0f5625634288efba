//! Forward convolution: one spec, a family of kernels (`shaders/conv2d_*.wgsl`), bias, residual and ReLU fused.

use super::attributes::Conv2dAttributes;
use super::feature_map::{FeatureMap, channels4, u32_of};
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Cost, Dispatch, KernelSpec, Recording, TensorId, fold_workgroups};

/// The kernels that can compute a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conv2dVariant {
    /// Implicit GEMM with workgroup tiles: hardware GPUs.
    Gemm,
    /// Register blocks without workgroup memory or subgroups: runs everywhere.
    Register,
    /// Register blocks with weights broadcast through subgroups of exactly eight: lavapipe.
    Subgroup,
}

impl Conv2dVariant {
    pub const ALL: [Self; 3] = [Self::Gemm, Self::Register, Self::Subgroup];

    /// Whether the adapter can run it; the reason if not.
    pub fn supported(self, adapter: &AdapterReport) -> Result<(), String> {
        match self {
            Self::Gemm | Self::Register => Ok(()),
            Self::Subgroup if !adapter.features.subgroups => Err("the adapter has no subgroup operations".into()),
            Self::Subgroup if adapter.subgroup_size != [8, 8] => {
                let [least, most] = adapter.subgroup_size;
                Err(format!("it needs subgroups of exactly 8 and the adapter's are {least} to {most}"))
            }
            Self::Subgroup => Ok(()),
        }
    }

    /// The variant for this class of device, or the one that the environment variable `GPU_RESNET_CONV2D` names
    /// (`gemm`, `register`, `subgroup`), to bisect a driver bug.
    pub fn choose(adapter: &AdapterReport) -> Self {
        let asked = std::env::var("GPU_RESNET_CONV2D").unwrap_or_default().to_lowercase();
        let named = Self::ALL.into_iter().find(|v| v.name() == asked && v.supported(adapter).is_ok());
        named.unwrap_or(if adapter.kind != "cpu" {
            Self::Gemm
        } else if Self::Subgroup.supported(adapter).is_ok() {
            Self::Subgroup
        } else {
            Self::Register
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Gemm => "gemm",
            Self::Register => "register",
            Self::Subgroup => "subgroup",
        }
    }

    fn shader(self) -> &'static str {
        match self {
            Self::Gemm => "conv2d_gemm",
            Self::Register => "conv2d_register",
            Self::Subgroup => "conv2d_subgroup",
        }
    }

    /// Pixels and output channels that one workgroup (gemm, subgroup) or invocation (register) makes.
    fn tile(self) -> (usize, usize) {
        match self {
            Self::Gemm => (64, 64),
            Self::Register => (8, 8),
            Self::Subgroup => (32, 32),
        }
    }
}

/// One convolution: shapes, attributes and what its epilogue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    pub attributes: Conv2dAttributes,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Whether the epilogue ends in a ReLU.
    pub relu: bool,
}

/// The uniform block of `shaders/shared/conv2d.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    in_height: u32,
    in_width: u32,
    in_channels4: u32,
    group_in_channels: u32,
    out_height: u32,
    out_width: u32,
    out_channels4: u32,
    group_out_channels4: u32,
    pixels: u32,
    pixel_tiles: u32,
    channel_tiles: u32,
    groups: u32,
    kernel: [u32; 2],
    stride: [u32; 2],
    padding: [u32; 2],
    dilation: [u32; 2],
    relu: u32,
    residual: u32,
}

impl Conv2d {
    /// PyTorch's shape of the weight: `[K, C / groups, R, S]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels / self.attributes.groups.max(1), self.kernel[0], self.kernel[1]]
    }

    /// Packs a weight from OIHW to the order that `variant` reads, with zeros where tiles pass the last channel.
    pub fn pack_weight(&self, variant: Conv2dVariant, weight: &[f32]) -> Vec<f32> {
        let groups = self.attributes.groups;
        let [out_channels, group_in, height, width] = self.weight_shape();
        let (group_out, taps) = (out_channels / groups, height * width);
        let (_, tile) = variant.tile();
        let padded_out = group_out.next_multiple_of(tile);
        let padded_in = if variant == Conv2dVariant::Subgroup { group_in } else { group_in.next_multiple_of(4) };
        let mut out = vec![0.0; groups * padded_out * taps * padded_in];
        for channel in 0..out_channels {
            let (group, k) = (channel / group_out, channel % group_out);
            for c in 0..group_in {
                for tap in 0..taps {
                    let to = match variant {
                        // [group][tap][c][k]
                        Conv2dVariant::Gemm => ((group * taps + tap) * padded_in + c) * padded_out + k,
                        // [group][tile][tap][c][k within the tile]
                        Conv2dVariant::Register | Conv2dVariant::Subgroup => {
                            let block = group * (padded_out / tile) + k / tile;
                            ((block * taps + tap) * padded_in + c) * tile + k % tile
                        }
                    };
                    out[to] = weight[(channel * group_in + c) * taps + tap];
                }
            }
        }
        out
    }

    /// Packs a bias (zeros if there is none) as the epilogue reads it.
    pub fn pack_bias(&self, bias: Option<&[f32]>) -> Vec<f32> {
        let zeros = vec![0.0; self.out_channels];
        super::pack_nhwc(bias.unwrap_or(&zeros), [1, self.out_channels, 1, 1], self.attributes.groups)
    }

    /// Output shape NCHW for an input shape NCHW.
    pub fn output_shape(&self, input: [usize; 4]) -> Result<[usize; 4]> {
        self.attributes.output_shape(input, self.weight_shape())
    }

    /// Appends the convolution of `input`; `weight` and `bias` are packed for `variant`. The result is
    /// `relu(conv(input) + bias + residual)`, residual and ReLU where asked for.
    pub fn record(
        &self,
        recording: &mut Recording,
        label: &str,
        variant: Conv2dVariant,
        input: FeatureMap,
        [weight, bias]: [TensorId; 2],
        residual: Option<FeatureMap>,
    ) -> Result<FeatureMap> {
        const OP: &str = "conv2d";
        let groups = self.attributes.groups;
        let [n, k, p, q] = self.output_shape([input.n, input.c, input.h, input.w])?;
        if input.c4 != channels4(input.c, groups) {
            return Err(Error::shape(
                OP,
                format!("{label}: {} channels in {groups} groups are not a multiple of 4 each", input.c),
            ));
        }
        let c4 = channels4(k, groups);
        let output = FeatureMap { tensor: recording.temporary(label, (n * p * q * c4 * 16) as u64), n, h: p, w: q, c: k, c4 };
        if let Some(other) = residual
            && (other.n, other.h, other.w, other.c, other.c4) != (n, p, q, k, c4)
        {
            return Err(Error::shape(
                OP,
                format!("{label}: the residual is {}x{}x{} and the output {k}x{p}x{q}", other.c, other.h, other.w),
            ));
        }
        let (tile_pixels, tile_channels) = variant.tile();
        let pixel_tiles = output.pixels().div_ceil(tile_pixels);
        let channel_tiles = (k / groups).div_ceil(tile_channels);
        let size = |what, value| u32_of(OP, what, value);
        // Indices of single floats must fit in 32 bits.
        size("an input", input.len4() * 4)?;
        size("an output", output.len4() * 4)?;
        let pair = |[a, b]: [usize; 2]| -> Result<[u32; 2]> { Ok([size("an attribute", a)?, size("an attribute", b)?]) };
        let kernel = pair(self.kernel)?;
        let params = Params {
            in_height: size("height", input.h)?,
            in_width: size("width", input.w)?,
            in_channels4: size("channels", input.c4)?,
            group_in_channels: size("channels", input.c / groups)?,
            out_height: size("height", p)?,
            out_width: size("width", q)?,
            out_channels4: size("channels", c4)?,
            group_out_channels4: size("channels", c4 / groups)?,
            pixels: size("a batch", output.pixels())?,
            pixel_tiles: size("a batch", pixel_tiles)?,
            channel_tiles: size("channels", channel_tiles)?,
            groups: size("groups", groups)?,
            kernel,
            stride: pair(self.attributes.stride)?,
            padding: pair(self.attributes.padding)?,
            dilation: pair(self.attributes.dilation)?,
            relu: self.relu.into(),
            residual: residual.is_some().into(),
        };
        let mut spec = KernelSpec::new(variant.shader());
        if variant == Conv2dVariant::Gemm {
            spec = spec.constant("KERNEL_HEIGHT", kernel[0]).constant("KERNEL_WIDTH", kernel[1]);
        }
        let tiles = (pixel_tiles * channel_tiles * groups) as u64;
        let workgroups = if variant == Conv2dVariant::Register { tiles.div_ceil(64) } else { tiles };
        let [_, group_in, r, s] = self.weight_shape();
        let multiply_adds = output.pixels() as f64 * (k * group_in * r * s) as f64;
        let bytes = input.bytes() + output.bytes() * (1 + u64::from(residual.is_some())) + recording.bytes(weight);
        // The residual's binding is always there; without one it repeats the bias and is never read.
        let residual = residual.map_or(bias, |map| map.tensor);
        recording.dispatch(Dispatch {
            label: label.to_owned(),
            kernel: spec,
            tensors: vec![input.tensor, weight, bias, residual, output.tensor],
            params: bytemuck::bytes_of(&params).to_vec(),
            workgroups: fold_workgroups(workgroups),
            cost: Cost { flops: 2.0 * multiply_adds, bytes: bytes as f64 },
        });
        Ok(output)
    }
}
