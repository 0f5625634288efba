// conv2d as an implicit GEMM with workgroup tiles, for hardware GPUs.
//
//   output[n,p,q,k] = relu(bias[k] + residual[n,p,q,k]
//                          + sum over r,s,c of input[n, p*stride+r*dilation-padding, q*…, c] * weight[k,c,r,s])
//
// A workgroup of 128 invocations makes 64 pixels x 64 channels, 16 steps of the reduction (r, s, c) at a time: every
// invocation fetches two vec4s of activations (four channels of one tap each, stored turned, so that a row of the tile
// is one reduction step) and two of weights into workgroup memory (8 KiB), then accumulates 8 pixels x 4 channels.
//
// weight: [group][r][s][c padded to 4][output channels padded to 64], zero in the padding.
// dispatch: pixel_tiles * channel_tiles * groups workgroups, channel tiles fastest (they share activations), folded.
//#import shared/fold.wgsl
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> input: array<vec4f>;

// Kernel sizes known when the pipeline is made turn the divisions of `fetch` into shifts, or nothing at all for 1x1.
override KERNEL_HEIGHT: u32 = 1u;
override KERNEL_WIDTH: u32 = 1u;

const STEPS: u32 = 16u; // of the reduction, per tile
const SIDE: u32 = 64u;  // pixels and channels of a tile

// [step][pixel] and [step][channel], each row as 16 vec4s.
var<workgroup> activations: array<f32, 1024>;
var<workgroup> weights: array<vec4f, 256>;

// Four channels of one tap for one pixel: step4 counts vec4s of the reduction.
fn fetch(p: Pixel, step4: u32, group: u32, group_in4: u32) -> vec4f {
    let tap = step4 / group_in4;
    let r = tap / KERNEL_WIDTH;
    let s = tap % KERNEL_WIDTH;
    if r >= KERNEL_HEIGHT || !inside(p, r, s) {
        return vec4f();
    }
    return input[input_pixel(p, r, s) * conv.in_channels4 + group * group_in4 + step4 % group_in4];
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
    let group_in4 = conv.in_channels4 / conv.groups;
    let steps4 = KERNEL_HEIGHT * KERNEL_WIDTH * group_in4;

    // Fetching: invocation i brings step4 i%4 of pixels i/4 and i/4+32, and weight rows i/16 and i/16+8.
    let fetch_step4 = invocation % 4u;
    let fetch_pixel = invocation / 4u;
    let pixel_a = pixel_at(pixel_tile * SIDE + fetch_pixel);
    let pixel_b = pixel_at(pixel_tile * SIDE + fetch_pixel + 32u);
    let row_channels4 = conv.channel_tiles * 16u;
    let weight_row = invocation / 16u;
    let weight_at = group * steps4 * 4u * row_channels4 + channel_tile * 16u + invocation % 16u;

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
        let a = fetch(pixel_a, start4 + fetch_step4, group, group_in4);
        let b = fetch(pixel_b, start4 + fetch_step4, group, group_in4);
        for (var i = 0u; i < 4u; i++) {
            let at = (fetch_step4 * 4u + i) * SIDE + fetch_pixel;
            activations[at] = a[i];
            activations[at + 32u] = b[i];
        }
        for (var i = 0u; i < 2u; i++) {
            let row = weight_row + i * 8u;
            let step = start4 * 4u + row;
            var w = vec4f();
            if step < steps4 * 4u {
                w = weight[weight_at + step * row_channels4];
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

    let pixel = pixel_tile * SIDE + own_pixel;
    let out4 = channel_tile * 16u + channel4;
    store(pixel, group, out4, sum0);
    store(pixel + 1u, group, out4, sum1);
    store(pixel + 2u, group, out4, sum2);
    store(pixel + 3u, group, out4, sum3);
    store(pixel + 4u, group, out4, sum4);
    store(pixel + 5u, group, out4, sum5);
    store(pixel + 6u, group, out4, sum6);
    store(pixel + 7u, group, out4, sum7);
}
