//#variant conv2d_gemm
//#variant conv2d_gemm_f16 HALF
//#variant conv2d_backward_input_gemm TRANSPOSED
//#variant conv2d_backward_input_gemm_f16 HALF GRADIENT TRANSPOSED
//#variant conv2d_backward_input_blocks_gemm BLOCKS
//#variant conv2d_backward_input_blocks_gemm_f16 HALF GRADIENT BLOCKS
//#unchecked
//#if HALF
enable f16;
//#endif
//
// conv2d and its gradient by input as an implicit GEMM with workgroup tiles, for hardware GPUs.
//
//   conv2d:                 output[n,p,q,k] = relu(bias[k] + residual[n,p,q,k]
//                               + sum over r,s,c of input[n, p*stride+r*dilation-padding, q*…, c] * weight[k,c,r,s])
//   conv2d_backward_input:  grad_input[n,h,w,c] = residual[n,h,w,c]
//                               + sum over r,s,k of grad_output[n, (h+padding-r*dilation)/stride, …, k] * weight[k,c,r,s]
//                           through the ReLU before the convolution, where its input came out of one
//
// A workgroup of 128 invocations makes 64 pixels x 64 channels, 16 steps of the reduction (r, s, c) at a time: every
// invocation fetches two vec4s of activations (four channels of one tap each, stored turned, so that a row of the tile
// is one reduction step) and two of weights into workgroup memory (8 KiB), then accumulates 8 pixels x 4 channels.
//
// weight: [group][r][s][source channel padded to 4][destination channels padded to 64], zero in the padding.
// dispatch: pixel_tiles * channel_tiles * groups workgroups, channel tiles fastest (they share activations), folded.
//#import shared/fold.wgsl
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

// True for a 1x1 kernel: the reduction then needs no divisions.
override POINTWISE: bool = false;

const STEPS: u32 = 16u; // of the reduction, per tile
const SIDE: u32 = 64u;  // pixels and channels of a tile

// [step][pixel] and [step][channel], each row as 16 vec4s.
var<workgroup> activations: array<f32, 1024>;
var<workgroup> weights: array<vec4f, 256>;

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

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = unfold(workgroup, count);
    let channel_tile = tile % conv.channel_tiles;
    let pixel_tile = (tile / conv.channel_tiles) % conv.pixel_tiles;
    let group = tile / (conv.pixel_tiles * conv.channel_tiles);
    if group >= conv.groups {
        return;
    }
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * SIDE;
    let group_in4 = group_source4();
    let group_offset = group * group_in4;
    let steps4 = tap_count(phase) * group_in4;

    // Fetching: invocation i brings step4 i%4 of pixels i/4 and i/4+32, and weight rows i/16 and i/16+8.
    let fetch_step4 = invocation % 4u;
    let fetch_pixel = invocation / 4u;
    let pixel_a = pixel_at(phase, first + fetch_pixel);
    let pixel_b = pixel_at(phase, first + fetch_pixel + 32u);
    let row_channels4 = conv.channel_tiles * 16u;
    let weight_row = invocation / 16u;
    let group_weights = group * conv.kernel.x * conv.kernel.y * group_in4 * 4u * row_channels4;
    let weight_at = group_weights + channel_tile * 16u + invocation % 16u;

    // Computing: invocation i owns channels 4*(i%16).. and pixels 8*(i/16)..
    let channel4 = invocation % 16u;
    let own_pixel = (invocation / 16u) * 8u;
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    var sum4 = vec4f();
    var sum5 = vec4f();
    var sum6 = vec4f();
    var sum7 = vec4f();

    for (var start4 = 0u; start4 < steps4; start4 += STEPS / 4u) {
        var a = vec4f();
        var b = vec4f();
        if start4 + fetch_step4 < steps4 {
            let step = step_at(phase, start4 + fetch_step4, group_in4);
            a = fetch(pixel_a, step, group_offset);
            b = fetch(pixel_b, step, group_offset);
        }
        for (var i = 0u; i < 4u; i++) {
            let at = (fetch_step4 * 4u + i) * SIDE + fetch_pixel;
            activations[at] = a[i];
            activations[at + 32u] = b[i];
        }
        for (var i = 0u; i < 2u; i++) {
            let row = weight_row + i * 8u;
            let step4 = start4 + row / 4u;
            var w = vec4f();
            if step4 < steps4 {
                let step = step_at(phase, step4, group_in4);
                let channel = step.tap.index * group_in4 * 4u + step.channel4 * 4u + row % 4u;
                w = vec4f(weight[weight_at + channel * row_channels4]);
            }
            weights[row * 16u + invocation % 16u] = w;
        }
        workgroupBarrier();
        for (var step = 0u; step < STEPS; step++) {
            let w = weights[step * 16u + channel4];
            let x = step * SIDE + own_pixel;
            sum0 += w * activations[x];
            sum1 += w * activations[x + 1u];
            sum2 += w * activations[x + 2u];
            sum3 += w * activations[x + 3u];
            sum4 += w * activations[x + 4u];
            sum5 += w * activations[x + 5u];
            sum6 += w * activations[x + 6u];
            sum7 += w * activations[x + 7u];
        }
        workgroupBarrier();
    }

    let out4 = channel_tile * 16u + channel4;
    let pixel = first + own_pixel;
    store(pixel_at(phase, pixel), group, out4, sum0);
    store(pixel_at(phase, pixel + 1u), group, out4, sum1);
    store(pixel_at(phase, pixel + 2u), group, out4, sum2);
    store(pixel_at(phase, pixel + 3u), group, out4, sum3);
    store(pixel_at(phase, pixel + 4u), group, out4, sum4);
    store(pixel_at(phase, pixel + 5u), group, out4, sum5);
    store(pixel_at(phase, pixel + 6u), group, out4, sum6);
    store(pixel_at(phase, pixel + 7u), group, out4, sum7);
}
