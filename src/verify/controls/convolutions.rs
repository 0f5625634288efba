//! Faults of the kernels for convolutions, each put into one shader after another.

use crate::gpu::shaders::{Flags, flags};
use crate::ops::Conv2dVariant as V;
use crate::ops::conv2d_kernels::shaders_of;

/// What is wrong, what is replaced by what, in which shaders, and the case without its variant. The quick suite takes the first of the
/// shaders that the adapter can run; the one that compiles fastest comes first.
type Fault = (&'static str, &'static str, &'static str, Victims, &'static str);

/// The shaders that a fault is put into: those of some kernels, in one pass and of one precision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Victims {
    pub kernels: &'static [V],
    pass: Pass,
    /// More flags of the shaders.
    flags: Flags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Forward and, with the flags for it, by the input.
    Map,
    ByWeight,
}

impl Victims {
    /// The name of each shader, and the kernel that it is of.
    pub fn shaders(self) -> impl Iterator<Item = (&'static str, V)> {
        let of = move |&variant: &V| {
            let shader = shaders_of(variant).and_then(|[map, weight]| {
                let (file, flags) = if self.pass == Pass::Map { map } else { weight };
                file.shader(flags.with(self.flags))
            });
            // What is not there is found by the test of the controls.
            (shader.map_or("(no shader)", |shader| shader.name), variant)
        };
        self.kernels.iter().map(of)
    }

    const fn half(self) -> Self {
        Self { flags: self.flags.with(flags::HALF), ..self }
    }
}

/// One kernel of each text.
const EACH: &[V] = &[V::GEMM, V::Register, V::SUBGROUP, V::SUBGROUP_WIDE, V::SUBGROUP_QUAD, V::SUBGROUP4];

const fn map(kernels: &'static [V], flags: Flags) -> Victims {
    Victims { kernels, pass: Pass::Map, flags }
}

const fn by_weight(kernels: &'static [V], flags: Flags) -> Victims {
    Victims { kernels, pass: Pass::ByWeight, flags }
}

const FORWARD: Victims = map(EACH, Flags::NONE);
const HALVES: Victims = FORWARD.half();
const BY_INPUT: Victims = map(EACH, flags::TRANSPOSED);
/// Without `gemm`, which does it for four pixels at once.
const RECTIFIED: Victims = map(EACH.split_at(1).1, flags::TRANSPOSED);
const HALVES_BY_INPUT: Victims = map(
    &[V::GEMM, V::GEMM_64X64, V::Register, V::SUBGROUP, V::SUBGROUP_WIDE, V::SUBGROUP_QUAD, V::SUBGROUP4],
    flags::TRANSPOSED.with(flags::HALF),
);
const BLOCKS_BY_INPUT: Victims = map(EACH, flags::BLOCKS);
const HALF_BLOCKS_BY_INPUT: Victims = BLOCKS_BY_INPUT.half();
const BY_WEIGHT: Victims = by_weight(EACH, Flags::NONE);
const HALVES_BY_WEIGHT: Victims = BY_WEIGHT.half();
const POINTWISE_BY_WEIGHT: Victims = by_weight(&[V::SUBGROUP_QUAD, V::SUBGROUP_WIDE], flags::POINTWISE);
const SWAPPING: Victims = map(&[V::SUBGROUP4], Flags::NONE);
const SWAPPING_BY_WEIGHT: Victims = by_weight(&[V::SUBGROUP4], Flags::NONE);

pub(super) const CONVOLUTIONS: &[Fault] = &[
    (
        "the padding is off by one",
        "* conv.stride - conv.padding;",
        "* conv.stride - conv.padding + 1u;",
        FORWARD,
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 padding=1",
    ),
    (
        "the strides of rows and columns are swapped",
        "vec2u(row, column) * conv.stride -",
        "vec2u(row, column) * conv.stride.yx -",
        FORWARD,
        "conv2d n=1 c=3 h=9 w=9 k=5 kernel=3 stride=2,1",
    ),
    (
        "the last tap is forgotten",
        "return phase.count.x * phase.count.y;",
        "return max(phase.count.x * phase.count.y, 2u) - 1u;",
        FORWARD,
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3",
    ),
    (
        "the residual is added after the ReLU",
        "if conv.residual != 0u {",
        "if conv.residual != 0u && conv.relu == 0u {",
        FORWARD,
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 residual=true relu=true",
    ),
    (
        "a channel is written past a tensor's end",
        "let at = p.at * conv.pitch4 + channel;",
        "let at = p.at * conv.pitch4 + channel + 1u;",
        FORWARD,
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3",
    ),
    (
        "a pixel's activations come from another lane",
        "let x5 = quadSwapX(x4);",
        "let x5 = quadSwapY(x4);",
        SWAPPING,
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3",
    ),
    (
        "a channel's gradients come from another lane",
        "add_products(sums[2][1], quadSwapY(g[1]),",
        "add_products(sums[2][1], quadSwapX(g[1]),",
        SWAPPING_BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=8 w=9 k=13 kernel=3",
    ),
    (
        "results are stored with four bits after the point",
        "output[at] = pack4(value);",
        "output[at] = pack4(round(value * 16.0) / 16.0);",
        HALVES,
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 precision=f16",
    ),
    (
        "the input gradient forgets the padding",
        "let start = (vec2i(origin + conv.padding) -",
        "let start = (vec2i(origin) -",
        BY_INPUT,
        "conv2d_backward n=1 c=5 h=8 w=9 k=5 kernel=3 padding=1",
    ),
    (
        "the input gradient passes a ReLU unchanged",
        "value = rectify_backward(unpack4(rectified[at]), value);",
        "value = rectify_backward(1.0 + abs(unpack4(rectified[at])), value);",
        RECTIFIED,
        "conv2d_backward n=1 c=5 h=8 w=9 k=5 kernel=3 relu=true",
    ),
    (
        "gradients beyond f16 saturate",
        "select(stored, stored + stored, abs(v) > vec4f(65504.0))",
        "clamp(stored, vec4<f16>(-65504.0h), vec4<f16>(65504.0h))",
        HALVES_BY_INPUT,
        "conv2d_backward n=1 c=13 h=9 w=9 k=8 kernel=3 padding=1 grad_scale=16000.0 precision=f16",
    ),
    (
        "an f16 input gradient is stored with four bits after the point",
        "output[at] = pack4(value);",
        "output[at] = pack4(round(value * 16.0) / 16.0);",
        HALVES_BY_INPUT,
        "conv2d_backward n=1 c=13 h=8 w=9 k=8 kernel=3 precision=f16",
    ),
    (
        "the columns of an f16 block are told apart by its rows",
        "channel4 % conv.block.y);",
        "channel4 % conv.block.x);",
        HALF_BLOCKS_BY_INPUT,
        "conv2d_backward n=1 c=3 h=8 w=9 k=5 kernel=3 padding=1 precision=f16",
    ),
    (
        "the weight gradient leaves out the last f16 pixel of a slice",
        "let end = min(start + conv.slice, conv.pixels);",
        "let end = min(start + conv.slice, conv.pixels) - 1u;",
        HALVES_BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=20 w=20 k=5 kernel=3 precision=f16",
    ),
    (
        "the columns of a block are told apart by its rows",
        "channel4 % conv.block.y);",
        "channel4 % conv.block.x);",
        BLOCKS_BY_INPUT,
        "conv2d_backward n=1 c=3 h=8 w=9 k=5 kernel=3 padding=1",
    ),
    (
        "the weight gradient has no first tap",
        "let tap = i / conv.group_in4;",
        "let tap = max(i / conv.group_in4, 1u);",
        BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=8 w=9 k=5 kernel=3",
    ),
    (
        "the weight gradient leaves out the last pixel of a slice",
        "let end = min(start + conv.slice, conv.pixels);",
        "let end = min(start + conv.slice, conv.pixels) - 1u;",
        BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=20 w=20 k=5 kernel=3",
    ),
    (
        "a slice of the weight gradient is four pixels short",
        "let end = min(start + conv.slice, conv.pixels);",
        "let end = min(start + conv.slice, conv.pixels) - 4u;",
        POINTWISE_BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=20 w=20 k=5 kernel=1",
    ),
    (
        "a second pixel meets the first one's gradient",
        "grad_output[g_at + 1u * conv.out_pitch4]",
        "grad_output[g_at]",
        POINTWISE_BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=20 w=20 k=5 kernel=1",
    ),
];
