//! Faults of the kernels for convolutions, each put into one shader after another.

/// What is wrong, what is replaced by what, which shaders, and the case without its variant. The quick suite takes the first of the
/// shaders that the adapter can run; the one that compiles fastest comes first.
type Fault = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const FORWARD: &[(&str, &str)] = &[
    ("conv2d_gemm", "gemm"),
    ("conv2d_register", "register"),
    ("conv2d_subgroup", "subgroup"),
    ("conv2d_subgroup_wide", "subgroup-wide"),
    ("conv2d_subgroup_quad", "subgroup-quad"),
    ("conv2d_subgroup4", "subgroup4"),
];
const HALVES: &[(&str, &str)] = &[
    ("conv2d_gemm_f16", "gemm"),
    ("conv2d_register_f16", "register"),
    ("conv2d_subgroup_f16", "subgroup"),
    ("conv2d_subgroup_wide_f16", "subgroup-wide"),
    ("conv2d_subgroup_quad_f16", "subgroup-quad"),
    ("conv2d_subgroup4_f16", "subgroup4"),
];
const BY_INPUT: &[(&str, &str)] = &[
    ("conv2d_backward_input_gemm", "gemm"),
    ("conv2d_backward_input_register", "register"),
    ("conv2d_backward_input_subgroup", "subgroup"),
    ("conv2d_backward_input_subgroup_wide", "subgroup-wide"),
    ("conv2d_backward_input_subgroup_quad", "subgroup-quad"),
    ("conv2d_backward_input_subgroup4", "subgroup4"),
];
/// Without `gemm`, which does it for four pixels at once.
const RECTIFIED: &[(&str, &str)] = BY_INPUT.split_at(1).1;
const BLOCKS_BY_INPUT: &[(&str, &str)] = &[
    ("conv2d_backward_input_blocks_gemm", "gemm"),
    ("conv2d_backward_input_blocks_register", "register"),
    ("conv2d_backward_input_blocks_subgroup", "subgroup"),
    ("conv2d_backward_input_blocks_subgroup_wide", "subgroup-wide"),
    ("conv2d_backward_input_blocks_subgroup_quad", "subgroup-quad"),
    ("conv2d_backward_input_blocks_subgroup4", "subgroup4"),
];
const BY_WEIGHT: &[(&str, &str)] = &[
    ("conv2d_backward_weight_gemm", "gemm"),
    ("conv2d_backward_weight_register", "register"),
    ("conv2d_backward_weight_subgroup", "subgroup"),
    ("conv2d_backward_weight_subgroup_wide", "subgroup-wide"),
    ("conv2d_backward_weight_subgroup_quad", "subgroup-quad"),
    ("conv2d_backward_weight_subgroup4", "subgroup4"),
];
const POINTWISE_BY_WEIGHT: &[(&str, &str)] = &[
    ("conv2d_backward_weight_subgroup_quad_pointwise", "subgroup-quad"),
    ("conv2d_backward_weight_subgroup_wide_pointwise", "subgroup-wide"),
];

const HALVES_BY_INPUT: &[(&str, &str)] = &[
    ("conv2d_backward_input_gemm_f16", "gemm"),
    ("conv2d_backward_input_gemm_64x64_f16", "gemm-64x64"),
    ("conv2d_backward_input_register_f16", "register"),
    ("conv2d_backward_input_subgroup_f16", "subgroup"),
    ("conv2d_backward_input_subgroup_wide_f16", "subgroup-wide"),
    ("conv2d_backward_input_subgroup_quad_f16", "subgroup-quad"),
    ("conv2d_backward_input_subgroup4_f16", "subgroup4"),
];
const HALVES_BY_WEIGHT: &[(&str, &str)] = &[
    ("conv2d_backward_weight_gemm_f16", "gemm"),
    ("conv2d_backward_weight_register_f16", "register"),
    ("conv2d_backward_weight_subgroup_f16", "subgroup"),
    ("conv2d_backward_weight_subgroup_wide_f16", "subgroup-wide"),
    ("conv2d_backward_weight_subgroup_quad_f16", "subgroup-quad"),
    ("conv2d_backward_weight_subgroup4_f16", "subgroup4"),
];
const HALF_BLOCKS_BY_INPUT: &[(&str, &str)] = &[
    ("conv2d_backward_input_blocks_gemm_f16", "gemm"),
    ("conv2d_backward_input_blocks_register_f16", "register"),
    ("conv2d_backward_input_blocks_subgroup_f16", "subgroup"),
    ("conv2d_backward_input_blocks_subgroup_wide_f16", "subgroup-wide"),
    ("conv2d_backward_input_blocks_subgroup_quad_f16", "subgroup-quad"),
    ("conv2d_backward_input_blocks_subgroup4_f16", "subgroup4"),
];

const SWAPPING: &[(&str, &str)] = &[("conv2d_subgroup4", "subgroup4")];
const SWAPPING_BY_WEIGHT: &[(&str, &str)] = &[("conv2d_backward_weight_subgroup4", "subgroup4")];

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
        "add_products(sum9, quadSwapY(g[1]),",
        "add_products(sum9, quadSwapX(g[1]),",
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
        "the gradient by the input forgets the padding",
        "let start = (vec2i(origin + conv.padding) -",
        "let start = (vec2i(origin) -",
        BY_INPUT,
        "conv2d_backward n=1 c=5 h=8 w=9 k=5 kernel=3 padding=1",
    ),
    (
        "the gradient by the input passes a ReLU unchanged",
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
        "the gradient by an f16 input is stored with four bits after the point",
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
        "the gradient by the weight leaves out the last f16 pixel of a slice",
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
        "the gradient by the weight has no first tap",
        "let tap = i / conv.group_in4;",
        "let tap = max(i / conv.group_in4, 1u);",
        BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=8 w=9 k=5 kernel=3",
    ),
    (
        "the gradient by the weight leaves out the last pixel of a slice",
        "let end = min(start + conv.slice, conv.pixels);",
        "let end = min(start + conv.slice, conv.pixels) - 1u;",
        BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=20 w=20 k=5 kernel=3",
    ),
    (
        "a slice of the gradient by the weight is four pixels short",
        "let end = min(start + conv.slice, conv.pixels);",
        "let end = min(start + conv.slice, conv.pixels) - 4u;",
        POINTWISE_BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=20 w=20 k=5 kernel=1",
    ),
    (
        "a second pixel meets the first one's gradient",
        "grad_output[g_at + conv.out_pitch4]",
        "grad_output[g_at]",
        POINTWISE_BY_WEIGHT,
        "conv2d_backward n=1 c=3 h=20 w=20 k=5 kernel=1",
    ),
];
