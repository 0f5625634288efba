//#variant conv2d_gemm_32x32 T32X32
//#variant conv2d_gemm_64x64 T64X64 EIGHT
//#variant conv2d_gemm_128x64 T128X64 EIGHT
//#variant conv2d_gemm_128x128 T128X128 EIGHT TWICE
//#variant conv2d_gemm_32x32_f16 HALF T32X32
//#variant conv2d_gemm_64x64_f16 HALF T64X64 EIGHT
//#variant conv2d_gemm_128x64_f16 HALF T128X64 EIGHT
//#variant conv2d_gemm_128x128_f16 HALF T128X128 EIGHT TWICE
//#variant conv2d_backward_input_gemm_32x32 TRANSPOSED T32X32
//#variant conv2d_backward_input_gemm_32x32_f16 HALF GRADIENT TRANSPOSED T32X32
//#variant conv2d_backward_input_gemm_64x64 TRANSPOSED T64X64 EIGHT
//#variant conv2d_backward_input_gemm_64x64_f16 HALF GRADIENT TRANSPOSED T64X64 EIGHT
//#variant conv2d_backward_input_gemm_128x64 TRANSPOSED T128X64 EIGHT
//#variant conv2d_backward_input_gemm_128x64_f16 HALF GRADIENT TRANSPOSED T128X64 EIGHT
//#variant conv2d_backward_input_gemm_128x128 TRANSPOSED T128X128 EIGHT TWICE
//#variant conv2d_backward_input_gemm_128x128_f16 HALF GRADIENT TRANSPOSED T128X128 EIGHT TWICE
//#variant conv2d_backward_input_blocks_gemm_32x32 BLOCKS T32X32
//#variant conv2d_backward_input_blocks_gemm_32x32_f16 HALF GRADIENT BLOCKS T32X32
//#variant conv2d_backward_input_blocks_gemm_64x64 BLOCKS T64X64 EIGHT
//#variant conv2d_backward_input_blocks_gemm_64x64_f16 HALF GRADIENT BLOCKS T64X64 EIGHT
//#variant conv2d_backward_input_blocks_gemm_128x64 BLOCKS T128X64 EIGHT
//#variant conv2d_backward_input_blocks_gemm_128x64_f16 HALF GRADIENT BLOCKS T128X64 EIGHT
//#variant conv2d_backward_input_blocks_gemm_128x128 BLOCKS T128X128 EIGHT TWICE
//#variant conv2d_gemm_32x32_split SPLIT T32X32
//#variant conv2d_gemm_64x64_split SPLIT T64X64 EIGHT
//#variant conv2d_gemm_128x64_split SPLIT T128X64 EIGHT
//#variant conv2d_gemm_128x128_split SPLIT T128X128 EIGHT TWICE
//#variant conv2d_gemm_32x32_split_f16 HALF SPLIT T32X32
//#variant conv2d_gemm_64x64_split_f16 HALF SPLIT T64X64 EIGHT
//#variant conv2d_gemm_128x64_split_f16 HALF SPLIT T128X64 EIGHT
//#variant conv2d_gemm_128x128_split_f16 HALF SPLIT T128X128 EIGHT TWICE
//#variant conv2d_backward_input_gemm_32x32_split TRANSPOSED SPLIT T32X32
//#variant conv2d_backward_input_gemm_64x64_split TRANSPOSED SPLIT T64X64 EIGHT
//#variant conv2d_backward_input_gemm_128x64_split TRANSPOSED SPLIT T128X64 EIGHT
//#variant conv2d_backward_input_gemm_128x128_split TRANSPOSED SPLIT T128X128 EIGHT TWICE
//#variant conv2d_backward_input_blocks_gemm_128x128_f16 HALF GRADIENT BLOCKS T128X128 EIGHT TWICE
//#unchecked
//#if HALF
enable f16;
//#endif
//
// conv2d and its gradient by input as an implicit GEMM with workgroup tiles of several sizes, for a tuner to choose from.
//
//   conv2d:                 output[n,p,q,k] = relu(bias[k] + residual[n,p,q,k]
//                               + sum over r,s,c of input[n, p*stride+r*dilation-padding, q*…, c] * weight[k,c,r,s])
//   conv2d_backward_input:  grad_input[n,h,w,c] = residual[n,h,w,c]
//                               + sum over r,s,k of grad_output[n, (h+padding-r*dilation)/stride, …, k] * weight[k,c,r,s]
//                           through the ReLU before the convolution, where its input came out of one
//
// A workgroup makes PIXELS x CHANNELS, 16 steps of the reduction (r, s, c) at a time. An invocation brings either four
// channels of four pixels, which it turns so that a row of the tile is one step, or four vec4s of weights; both lie as vec4s
// in workgroup memory ((PIXELS + CHANNELS) * 64 bytes, 4 to 16 KiB). While a tile is multiplied, the next is on its
// way into registers. An invocation accumulates 4 or (EIGHT) 8 pixels x 4 or (TWICE) 8 channels.
//
// weight: [group][r][s][source channel padded to 4][destination channels padded to CHANNELS], zero in the padding.
// SPLIT: a workgroup adds one part of the reduction, and conv2d_sum_parts.wgsl the parts, in order.
// dispatch: pixel_tiles * channel_tiles * groups (* parts) workgroups, channel tiles fastest (they share activations), folded.
//#import shared/fold.wgsl
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

// True for a 1x1 kernel: the reduction then needs no divisions.
override POINTWISE: bool = false;

//#if T32X32
const PIXELS: u32 = 32u;
const CHANNELS: u32 = 32u;
const INVOCATIONS: u32 = 64u;
//#endif
//#if T64X64
const PIXELS: u32 = 64u;
const CHANNELS: u32 = 64u;
const INVOCATIONS: u32 = 128u;
//#endif
//#if T128X64
const PIXELS: u32 = 128u;
const CHANNELS: u32 = 64u;
const INVOCATIONS: u32 = 256u;
//#endif
//#if T128X128
const PIXELS: u32 = 128u;
const CHANNELS: u32 = 128u;
const INVOCATIONS: u32 = 256u;
//#endif
const STEPS: u32 = 16u; // of the reduction, per tile
const STEPS4: u32 = 4u;
const PIXELS4: u32 = PIXELS / 4u;
const CHANNELS4: u32 = CHANNELS / 4u;
// Invocations along the channels of a tile; each owns a vec4 of them, or two that lie this far apart.
//#if TWICE
const ACROSS: u32 = CHANNELS4 / 2u;
//#else
const ACROSS: u32 = CHANNELS4;
//#endif

// [step][four pixels] and [step][four channels].
var<workgroup> activations: array<vec4f, STEPS * PIXELS4>;
var<workgroup> weights: array<vec4f, STEPS * CHANNELS4>;

// The tap and the vec4 of channels that a step of the reduction, counted in vec4s, stands for.
struct Step {
    tap: Tap,
    channel4: u32,
}

fn step_at(phase: Phase, step4: u32, group_in4: u32) -> Step {
    if POINTWISE {
        return Step(tap_at(phase, 0u), step4);
    }
    return Step(tap_at(phase, step4 / group_in4), step4 % group_in4);
}

// Four channels of one tap for one pixel.
fn fetch(p: Pixel, step: Step, group_offset: u32) -> vec4f {
    if !inside(p, step.tap) {
        return vec4f();
    }
    return vec4f(input[source_pixel(p, step.tap) * conv.source_pitch4 + group_offset + step.channel4]);
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = unfold(workgroup, count);
    let channel_tile = tile % conv.channel_tiles;
    let pixel_tile = (tile / conv.channel_tiles) % conv.pixel_tiles;
//#if SPLIT
    let slot = tile / (conv.pixel_tiles * conv.channel_tiles);
    let group = slot % conv.groups;
    let part = slot / conv.groups;
    if part >= conv.parts {
        return;
    }
//#else
    let group = tile / (conv.pixel_tiles * conv.channel_tiles);
    let slot = group;
    if group >= conv.groups {
        return;
    }
//#endif
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * PIXELS;
    let group_in4 = group_source4();
    let group_offset = group * group_in4;
    // The steps that are added here; a phase of few taps may have none for the last parts.
//#if SPLIT
    let begin4 = part * conv.part_steps4;
    let steps4 = min(tap_count(phase) * group_in4, begin4 + conv.part_steps4);
//#else
    let begin4 = 0u;
    let steps4 = tap_count(phase) * group_in4;
//#endif

    // Fetching: the first PIXELS invocations bring step4 i%4 of pixels 4*(i/4).., the next CHANNELS vec4 j%CHANNELS4 of rows
    // j/CHANNELS4, and 4, 8 and 12 after it.
    let brings_pixels = invocation < PIXELS;
    let item = invocation - select(PIXELS, 0u, brings_pixels);
    let brings_weights = !brings_pixels && item < CHANNELS;
    let quad = item / STEPS4;
    let quad_step4 = item % STEPS4;
    let pixel0 = pixel_at(phase, first + quad * 4u);
    let pixel1 = pixel_at(phase, first + quad * 4u + 1u);
    let pixel2 = pixel_at(phase, first + quad * 4u + 2u);
    let pixel3 = pixel_at(phase, first + quad * 4u + 3u);
    let row_channels4 = conv.channel_tiles * CHANNELS4;
    let weight_row = item / CHANNELS4;
    let weight_column = item % CHANNELS4;
    let group_weights = group * conv.kernel.x * conv.kernel.y * group_in4 * 4u * row_channels4;
    let weight_at = group_weights + channel_tile * CHANNELS4 + weight_column;

    // Computing: invocation i owns channels 4*(i%ACROSS).. and pixels 4*(i/ACROSS)..
    let channel4 = invocation % ACROSS;
    let own_quad = invocation / ACROSS;
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
//#if EIGHT
    var sum4 = vec4f();
    var sum5 = vec4f();
    var sum6 = vec4f();
    var sum7 = vec4f();
//#endif
//#if TWICE
    var more0 = vec4f();
    var more1 = vec4f();
    var more2 = vec4f();
    var more3 = vec4f();
    var more4 = vec4f();
    var more5 = vec4f();
    var more6 = vec4f();
    var more7 = vec4f();
//#endif

    // What this invocation brings for the tile that is next.
    var next0 = vec4f();
    var next1 = vec4f();
    var next2 = vec4f();
    var next3 = vec4f();
    // One round more than there are tiles: in the first nothing is multiplied, in the last nothing is brought.
    for (var start4 = begin4; start4 < steps4 + STEPS4; start4 += STEPS4) {
        if start4 > begin4 {
            if brings_pixels {
                let at = quad_step4 * 4u * PIXELS4 + quad;
                activations[at] = vec4f(next0.x, next1.x, next2.x, next3.x);
                activations[at + PIXELS4] = vec4f(next0.y, next1.y, next2.y, next3.y);
                activations[at + 2u * PIXELS4] = vec4f(next0.z, next1.z, next2.z, next3.z);
                activations[at + 3u * PIXELS4] = vec4f(next0.w, next1.w, next2.w, next3.w);
            }
            if brings_weights {
                weights[item] = next0;
                weights[item + 4u * CHANNELS4] = next1;
                weights[item + 8u * CHANNELS4] = next2;
                weights[item + 12u * CHANNELS4] = next3;
            }
        }
        workgroupBarrier();
        next0 = vec4f();
        next1 = vec4f();
        next2 = vec4f();
        next3 = vec4f();
        if brings_pixels && start4 + quad_step4 < steps4 {
            let step = step_at(phase, start4 + quad_step4, group_in4);
            next0 = fetch(pixel0, step, group_offset);
            next1 = fetch(pixel1, step, group_offset);
            next2 = fetch(pixel2, step, group_offset);
            next3 = fetch(pixel3, step, group_offset);
        }
        if brings_weights {
            next0 = weight_of(phase, start4, steps4, group_in4, weight_row, weight_at, row_channels4);
            next1 = weight_of(phase, start4 + 1u, steps4, group_in4, weight_row, weight_at, row_channels4);
            next2 = weight_of(phase, start4 + 2u, steps4, group_in4, weight_row, weight_at, row_channels4);
            next3 = weight_of(phase, start4 + 3u, steps4, group_in4, weight_row, weight_at, row_channels4);
        }
        if start4 > begin4 {
            for (var step = 0u; step < STEPS; step++) {
                let w = weights[step * CHANNELS4 + channel4];
                let x = activations[step * PIXELS4 + own_quad];
                sum0 += w * x.x;
                sum1 += w * x.y;
                sum2 += w * x.z;
                sum3 += w * x.w;
//#if EIGHT
                let y = activations[step * PIXELS4 + own_quad + PIXELS4 / 2u];
                sum4 += w * y.x;
                sum5 += w * y.y;
                sum6 += w * y.z;
                sum7 += w * y.w;
//#endif
//#if TWICE
                let v = weights[step * CHANNELS4 + channel4 + ACROSS];
                more0 += v * x.x;
                more1 += v * x.y;
                more2 += v * x.z;
                more3 += v * x.w;
                more4 += v * y.x;
                more5 += v * y.y;
                more6 += v * y.z;
                more7 += v * y.w;
//#endif
            }
        }
        workgroupBarrier();
    }

    let out4 = channel_tile * CHANNELS4 + channel4;
    let pixel = first + own_quad * 4u;
    store(pixel_at(phase, pixel), slot, out4, sum0);
    store(pixel_at(phase, pixel + 1u), slot, out4, sum1);
    store(pixel_at(phase, pixel + 2u), slot, out4, sum2);
    store(pixel_at(phase, pixel + 3u), slot, out4, sum3);
//#if EIGHT
    // The second four pixels are half a tile away, so that neighbours read neighbouring vec4s.
    let upper = pixel + PIXELS / 2u;
    store(pixel_at(phase, upper), slot, out4, sum4);
    store(pixel_at(phase, upper + 1u), slot, out4, sum5);
    store(pixel_at(phase, upper + 2u), slot, out4, sum6);
    store(pixel_at(phase, upper + 3u), slot, out4, sum7);
//#endif
//#if TWICE
    let more4_at = out4 + ACROSS;
    store(pixel_at(phase, pixel), slot, more4_at, more0);
    store(pixel_at(phase, pixel + 1u), slot, more4_at, more1);
    store(pixel_at(phase, pixel + 2u), slot, more4_at, more2);
    store(pixel_at(phase, pixel + 3u), slot, more4_at, more3);
    store(pixel_at(phase, upper), slot, more4_at, more4);
    store(pixel_at(phase, upper + 1u), slot, more4_at, more5);
    store(pixel_at(phase, upper + 2u), slot, more4_at, more6);
    store(pixel_at(phase, upper + 3u), slot, more4_at, more7);
//#endif
}

// A vec4 of weights: row `row` of the step `step4`; zero past the last step.
fn weight_of(
    phase: Phase,
    step4: u32,
    steps4: u32,
    group_in4: u32,
    row: u32,
    weight_at: u32,
    row_channels4: u32,
) -> vec4f {
    if step4 >= steps4 {
        return vec4f();
    }
    let step = step_at(phase, step4, group_in4);
    let channel = (step.tap.index * group_in4 + step.channel4) * 4u + row;
    return vec4f(weight[weight_at + channel * row_channels4]);
}
