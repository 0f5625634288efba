//! Negative controls: the crate's own shaders, each broken on purpose in one place, which the ordinary checks must catch on
//! every adapter. If they don't, a pass says nothing and the run is invalid.
//!
//! A fault is a substitution in the text of a shader (imports expanded) that must match exactly once, so that a shader that
//! is rewritten can't leave its control behind.

use std::sync::{Arc, OnceLock};

use super::case::Case;
use super::check::{Check, Checker};
use super::report::{ControlResult, Status};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, shaders};

/// A shader broken on purpose, and the case that shows it.
#[derive(Debug, Clone)]
pub struct Control {
    pub name: String,
    /// What is wrong, in words.
    pub breaks: &'static str,
    pub shader: &'static str,
    /// What is replaced, and by what.
    pub from: &'static str,
    pub to: &'static str,
    /// Line of the case that must fail.
    pub case: String,
    /// Whether the fault may stay hidden: a race that an adapter happens to win.
    pub may_hide: bool,
}

/// Faults of the kernels for convolutions: what is wrong, what is replaced by what, which shaders, and the case without its
/// variant.
type ConvFault = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

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
];
const POINTWISE_BY_WEIGHT: &[(&str, &str)] = &[
    ("conv2d_backward_weight_subgroup_wide_pointwise", "subgroup-wide"),
    ("conv2d_backward_weight_subgroup_quad_pointwise", "subgroup-quad"),
];

const CONVOLUTIONS: &[ConvFault] = &[
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
        BY_INPUT,
        "conv2d_backward n=1 c=5 h=8 w=9 k=5 kernel=3 relu=true",
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

/// Faults of single shaders: what is wrong, the shader, what is replaced by what, and the case.
const OTHERS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "the last tile of the reduction is missed",
        "conv2d_gemm",
        "for (var start4 = 0u; start4 < steps4;",
        "for (var start4 = 0u; start4 + STEPS / 4u <= steps4;",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 variant=gemm",
    ),
    (
        "the last tile of the reduction is missed",
        "conv2d_gemm_128x128",
        "start4 < steps4 + STEPS4;",
        "start4 < steps4;",
        "conv2d n=1 c=20 h=6 w=7 k=5 kernel=3 variant=gemm-128x128",
    ),
    (
        "the second of a pair of channels is the first",
        "conv2d_subgroup_wide",
        "sum0_0 += v0 * x0.y;",
        "sum0_0 += v0 * x0.x;",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 variant=subgroup-wide",
    ),
    (
        "the last of four channels is the first",
        "conv2d_subgroup_quad",
        "sum0_0 += b0 * x0.w;",
        "sum0_0 += b0 * x0.x;",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 variant=subgroup-quad",
    ),
    (
        "a channel takes the weights of the one before it",
        "conv2d_subgroup_quad",
        "let v0 = subgroupBroadcast(even0, 4u);",
        "let v0 = subgroupBroadcast(even0, 0u);",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 variant=subgroup-quad",
    ),
    (
        "the last of four pixels is left out at a slice's end",
        "conv2d_backward_weight_subgroup_quad",
        "let inside3 = left > 3u;",
        "let inside3 = left > 4u;",
        "conv2d_backward n=1 c=3 h=8 w=9 k=5 kernel=3 padding=1 variant=subgroup-quad",
    ),
    (
        "a matrix of the second row is that of the first",
        "conv2d_cooperative_f16",
        "coopLoadT<Left>(&activations[256], SIDE);",
        "coopLoadT<Left>(&activations[0], SIDE);",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 precision=f16 variant=cooperative",
    ),
    (
        "a matrix of the second column is that of the first",
        "conv2d_cooperative",
        "coopLoadT<Right>(&weights[8], CHANNELS);",
        "coopLoadT<Right>(&weights[0], CHANNELS);",
        "conv2d n=1 c=5 h=6 w=7 k=15 kernel=3 variant=cooperative",
    ),
    (
        "pixels of a tile are turned into each other",
        "conv2d_gemm_32x32",
        "vec4f(next0.y, next1.y, next2.y, next3.y)",
        "vec4f(next0.y, next1.y, next3.y, next2.y)",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 variant=gemm-32x32",
    ),
    (
        "the second half of a tile is the first",
        "conv2d_backward_input_gemm_64x64",
        "own_quad + PIXELS4 / 2u];",
        "own_quad];",
        "conv2d_backward n=1 c=5 h=8 w=9 k=5 kernel=3 padding=1 variant=gemm-64x64",
    ),
    (
        "pixels of a block that never meet a NaN keep it",
        "conv2d_backward_input_blocks_repair",
        "if any(is_nan(output[i])) {",
        "if any(is_nan(output[i])) && conv.images == 0u {",
        "conv2d_backward n=2 c=3 h=9 w=9 k=5 kernel=3 padding=1 grad_values=nan variant=register",
    ),
    (
        "tiles begin a row too low",
        "winograd4_input",
        "OUTPUTS - tiles.padding.x;",
        "OUTPUTS - tiles.padding.x + 1u;",
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 padding=1 winograd=4 variant=register",
    ),
    (
        "a pair of points is added instead of subtracted",
        "winograd4_output",
        "let difference_b = m.v3 - m.v4;",
        "let difference_b = m.v3 + m.v4;",
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 winograd=4 variant=register",
    ),
    (
        "the residual is added after the ReLU of a tile",
        "winograd2_output",
        "if tiles.residual != 0u {",
        "if tiles.residual != 0u && tiles.relu == 0u {",
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 residual=true relu=true winograd=2 variant=register",
    ),
    (
        "a tile's gradient passes a ReLU unchanged",
        "winograd4_output",
        "rectify_backward(unpack4(rectified[at]), value);",
        "rectify_backward(1.0 + abs(unpack4(rectified[at])), value);",
        "conv2d_backward n=1 c=5 h=8 w=9 k=5 kernel=3 relu=true winograd=4 variant=register",
    ),
    (
        "the second row of a tile's f16 map is the first",
        "winograd2_input_f16",
        "line(image, row + 1u, column,",
        "line(image, row, column,",
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 winograd=2 precision=f16 variant=register",
    ),
    (
        "an f16 residual is added twice",
        "winograd4_output_f16",
        "value += unpack4(residual[at]);",
        "value += 2.0 * unpack4(residual[at]);",
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 residual=true winograd=4 precision=f16 variant=register",
    ),
    (
        "two channels of a tile's points change places",
        "winograd4_input_wide",
        "Float4(of_pair(v.xy),",
        "Float4(of_pair(v.yx),",
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 winograd=4 variant=subgroup-wide",
    ),
    (
        "blocks begin a row too low",
        "space_to_depth",
        "* depth.stride - depth.padding;",
        "* depth.stride - depth.padding + vec2u(1u, 0u);",
        "conv2d n=1 c=3 h=8 w=9 k=5 kernel=3 stride=2 padding=1 space_to_depth=true variant=register",
    ),
    (
        "pixels outside of an f16 map are not zero",
        "space_to_depth_f16",
        "select(Stored(), input[first + c], there)",
        "input[first + c]",
        "space_to_depth n=1 c=3 h=9 w=8 stride=2 padding=1 blocks=6 precision=f16",
    ),
    (
        "the sum of an f16 map is rounded to f16",
        "global_avg_pool_f16",
        "sum += part;",
        "sum = quantizeToF16(sum + part);",
        "global_avg_pool n=1 c=3 h=8 w=8 precision=f16",
    ),
    (
        "the taps are not turned for the gradient by the input",
        "winograd2_weight",
        "select(tap, 8u - tap, pack.transposed != 0u)",
        "select(tap, tap, pack.transposed != 0u)",
        "conv2d_backward n=1 c=3 h=8 w=9 k=5 kernel=3 padding=1 winograd=2 variant=register",
    ),
    (
        "a tile's gradients are read a column too early",
        "winograd2_grad_output",
        "map_at(image, row, column + 1u, channel4),",
        "map_at(image, row, column, channel4),",
        "conv2d_backward n=1 c=3 h=8 w=9 k=5 kernel=3 padding=1 winograd=2 variant=register",
    ),
    (
        "a pair of points has the other's factor",
        "winograd4_grad_weight",
        "let sum_b = NB * (u.v3 + u.v4);",
        "let sum_b = NA * (u.v3 + u.v4);",
        "conv2d_backward n=1 c=3 h=8 w=9 k=5 kernel=3 padding=1 winograd=4 variant=register",
    ),
    (
        "a training step takes its rows in the order in which they lie",
        "linear_gathered",
        "let example = order[place_of(row, rows)];",
        "let example = place_of(row, rows);",
        "head_step n=4 c=7 k=5 examples=10 step=1",
    ),
    (
        "a training step takes the first step's labels",
        "cross_entropy_gathered",
        "return cursor[1] * rows + row;",
        "return cursor[1] * 0u + row;",
        "head_step n=4 c=7 k=5 examples=10 step=1",
    ),
    (
        "the counter of steps stays",
        "cross_entropy_gathered",
        "cursor[0] += 1u;",
        "cursor[0] += 0u;",
        "head_step n=4 c=7 k=5 examples=10 step=1",
    ),
    (
        "the last pixels of a map are missed",
        "global_avg_pool",
        "var pixel = whole; pixel < pixels;",
        "var pixel = whole; pixel + 1u < pixels;",
        "global_avg_pool n=1 c=3 h=5 w=13",
    ),
    (
        "a partial sum is not reset",
        "global_avg_pool",
        "var part = vec4f();",
        "var part = sum;",
        "global_avg_pool n=1 c=3 h=12 w=13",
    ),
    (
        "an accumulator starts with another's value",
        "conv2d_register",
        "    store(pixel7, group, channel4, sum7_0);",
        "    store(pixel7, group, channel4, sum6_0);",
        "conv2d n=1 c=5 h=6 w=7 k=5 kernel=3 variant=register",
    ),
    ("the last values are never written", "relu", "if i >= size4.x {", "if i + 1u >= size4.x {", "relu count=257"),
    ("four values too many are written", "add", "if i >= size4.x {", "if i > size4.x {", "add count=257"),
    (
        "only the first 65,535 workgroups are told apart",
        "relu",
        "return workgroup.x + workgroup.y * count.x;",
        "return workgroup.x;",
        "relu count=16777989",
    ),
    ("NaN becomes zero", "relu", "x, is_nan(x));", "max(x, vec4f()), is_nan(x));", "relu count=729 values=special"),
    (
        "the epsilon is ten times too large",
        "batch_norm",
        "sqrt(variance + norm.eps)",
        "sqrt(variance + 10.0 * norm.eps)",
        "batch_norm n=2 c=5 h=7 w=9",
    ),
    (
        "the running variance is the biased one",
        "batch_norm",
        "variance * norm.unbias",
        "variance",
        "batch_norm n=2 c=5 h=7 w=9 training=true",
    ),
    (
        "the mean's own gradient is left out",
        "batch_norm_backward",
        "g -= offset + ",
        "g -= ",
        "batch_norm_backward n=2 c=5 h=7 w=9 training=true",
    ),
    (
        "the gradient passes a ReLU that is off",
        "relu_backward",
        "rectify_backward(unpack_floats(input[i]), unpack_floats(grad_output[i]))",
        "unpack_floats(grad_output[i])",
        "relu_backward count=257",
    ),
    (
        "the gradient passes the fused ReLU",
        "batch_norm_backward",
        "return rectify_backward(unpack_floats(output[i]), g);",
        "return g;",
        "batch_norm_backward n=2 c=5 h=7 w=9 relu=true",
    ),
    (
        "a window is one column short",
        "max_pool2d",
        "min(window.column + i32(pool.kernel.y),",
        "min(window.column + i32(pool.kernel.y) - 1,",
        "max_pool2d n=1 c=3 h=9 w=9 kernel=3 stride=2 padding=1",
    ),
    (
        "the zeros of the padding at the right don't count",
        "avg_pool2d",
        "i32(pool.in_width + pool.padding.y));",
        "i32(pool.in_width));",
        "avg_pool2d n=1 c=3 h=9 w=9 kernel=3 stride=2 padding=1",
    ),
    (
        "ties share the gradient",
        "max_pool2d_backward",
        "indices[at] == vec4u(row * pool.in_width + column)",
        "indices[at] <= vec4u(row * pool.in_width + column)",
        "max_pool2d_backward n=1 c=3 h=9 w=9 kernel=3 stride=2 padding=1 values=equal",
    ),
    (
        "one row of a tile reads its neighbour's input",
        "linear",
        "let x1_at = row_at(row + 1u);",
        "let x1_at = row * in4;",
        "linear n=5 c=7 k=6",
    ),
    (
        "a gradient is not divided by the rows that count",
        "cross_entropy",
        "let scale = 1.0 / counted_rows();",
        "let scale = 1.0 / f32(size.rows);",
        "cross_entropy n=70 classes=5 ignored=third",
    ),
    (
        "the epsilon is twice too large",
        "adam",
        "+ adam.eps",
        "+ 2.0 * adam.eps",
        "adam count=33 step=5 beta1=0.8 beta2=0.95 eps=1e-2",
    ),
    (
        "a running mean is rounded to half precision",
        "adam",
        "exp_avg[i] = pack_floats(m);",
        "exp_avg[i] = pack_floats(quantizeToF16(m));",
        "adam count=9 step=3",
    ),
    (
        "the step is a little too short",
        "sgd",
        "        g = b;",
        "        g = b - sgd.momentum * momentum_buffer[i] * 0.001;",
        "sgd count=330 momentum=0.9",
    ),
];

/// Every control.
pub fn controls() -> &'static [Control] {
    static CONTROLS: OnceLock<Vec<Control>> = OnceLock::new();
    CONTROLS.get_or_init(|| {
        let conv = CONVOLUTIONS.iter().flat_map(|&(breaks, from, to, shaders, case)| {
            shaders.iter().map(move |&(shader, variant)| Control {
                name: format!("{shader}: {breaks}"),
                breaks,
                shader,
                from,
                to,
                case: format!("{case} variant={variant}"),
                may_hide: false,
            })
        });
        let others = OTHERS.iter().map(|&(breaks, shader, from, to, case)| Control {
            name: format!("{shader}: {breaks}"),
            breaks,
            shader,
            from,
            to,
            case: case.into(),
            may_hide: false,
        });
        conv.chain(others).chain([barrier()]).collect()
    })
}

/// A race: invocations read the tile before all have written it. An adapter may run them in an order that hides it.
fn barrier() -> Control {
    let breaks = "the barrier between writing and reading a tile is missing";
    Control {
        name: format!("conv2d_gemm: {breaks}"),
        breaks,
        shader: "conv2d_gemm",
        from: "= w;\n        }\n        workgroupBarrier();",
        to: "= w;\n        }",
        case: "conv2d n=1 c=64 h=14 w=14 k=64 kernel=3 padding=1 variant=gemm".into(),
        may_hide: true,
    }
}

/// The text of the shader `name` with `from` replaced by `to`.
///
/// # Errors
/// If there is no such shader, or `from` is not there exactly once.
pub fn broken(name: &str, from: &str, to: &str) -> Result<String> {
    let shader = shaders::find(name).ok_or_else(|| Error::Usage(format!("there is no shader {name:?}")))?;
    match shader.source.matches(from).count() {
        1 => Ok(shader.source.replacen(from, to, 1)),
        n => Err(Error::Usage(format!("{from:?} is {n} times in {name}, not once"))),
    }
}

/// Breaks a kernel of `gpu` until it is closed, to try a fault by hand: `fault` is `SHADER: FROM => TO`.
pub fn break_kernel(gpu: &Gpu, fault: &str) -> Result<()> {
    let parts =
        fault.split_once(": ").and_then(|(name, rest)| rest.split_once(" => ").map(|(from, to)| (name, from, to)));
    let (name, from, to) = parts.ok_or_else(|| Error::Usage(format!("{fault:?} is not SHADER: FROM => TO")))?;
    gpu.substitute(name, Some(broken(name, from, to)?));
    Ok(())
}

/// The result of a control that was not caught.
pub fn missed(control: &Control, message: String) -> ControlResult {
    let (name, breaks) = (control.name.clone(), control.breaks.to_owned());
    ControlResult { name, breaks, caught_by: String::new(), caught: false, message }
}

/// Whether the run stays valid with this result: the fault was caught, or may hide.
pub fn is_good(result: &ControlResult) -> bool {
    result.caught || controls().iter().any(|control| control.may_hide && control.name == result.name)
}

/// Runs the control `name` on `gpu`; none where the adapter can't run the kernel.
pub fn run(gpu: &Arc<Gpu>, name: &str) -> Result<Option<ControlResult>> {
    let control = controls().iter().find(|control| control.name == name);
    let control = control.ok_or_else(|| Error::Usage(format!("there is no control {name:?}")))?;
    let case = Case::parse(&control.case)?;
    gpu.substitute(control.shader, Some(broken(control.shader, control.from, control.to)?));
    let checked = Checker::default().check(gpu, &case);
    gpu.substitute(control.shader, None);
    // What the broken kernel made of the device is no affair of the next one.
    let _ = gpu.check();
    let (status, message) = (checked.result.status, checked.result.message);
    Ok(match checked.failed {
        None if status == Status::Unsupported => None,
        Some(check) if status == Status::Fail && check != Check::Refused => Some(ControlResult {
            caught_by: check.name().into(),
            caught: true,
            message: format!("{case}: {message}"),
            ..missed(control, String::new())
        }),
        _ => Some(missed(control, format!("{case} ended as {}: {message}", status.name()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_one_place_of_a_valid_shader() {
        for control in controls() {
            let text = broken(control.shader, control.from, control.to);
            let text = text.unwrap_or_else(|e| panic!("{}: {e}", control.name));
            let module = naga::front::wgsl::parse_str(&text);
            let module = module.unwrap_or_else(|e| panic!("{}: {}", control.name, e.emit_to_string(&text)));
            let all = naga::valid::Capabilities::all();
            let valid = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), all).validate(&module);
            assert!(valid.is_ok(), "{}: {valid:?}", control.name);
            Case::parse(&control.case).unwrap_or_else(|e| panic!("{}: {e}", control.name));
        }
        let mut names: Vec<&str> = controls().iter().map(|control| control.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), controls().len(), "two controls have one name");
    }

    #[test]
    fn a_place_that_is_not_there_once_is_an_error() {
        let problem = |from: &str| broken("conv2d_gemm", from, "").unwrap_err().to_string();
        assert!(problem("no such text").contains("0 times"));
        assert!(problem("workgroupBarrier();").contains("2 times"));
    }
}
