//#variant conv2d_register
//#variant conv2d_register_f16 HALF
//#variant conv2d_backward_input_register TRANSPOSED
//#variant conv2d_backward_input_register_f16 HALF GRADIENT TRANSPOSED
//#variant conv2d_backward_input_blocks_register BLOCKS
//#variant conv2d_backward_input_blocks_register_f16 HALF GRADIENT BLOCKS
//#if HALF
enable f16;
//#endif
//
// conv2d and its gradient by input, register-blocked; no workgroup memory, no barriers, no subgroup operations.
//
//   conv2d:                 output[n,p,q,k] = relu(bias[k] + residual[n,p,q,k]
//                               + sum over r,s,c of input[n, p*stride+r*dilation-padding, q*…, c] * weight[k,c,r,s])
//   conv2d_backward_input:  grad_input[n,h,w,c] = residual[n,h,w,c]
//                               + sum over r,s,k of grad_output[n, (h+padding-r*dilation)/stride, …, k] * weight[k,c,r,s]
//                           through the ReLU before the convolution, where its input came out of one
//
// For software drivers without subgroups, and small GPUs with little workgroup memory. Each invocation makes 8 pixels x
// 8 channels in registers; per four source channels it loads one vec4 of each pixel and 8 vec4s of weights.
//
// weight: [group][tile of 8 destination channels][r][s][source channel padded to 4][8], zero in the padding.
// dispatch: one invocation per tile, pixel tiles fastest, 64 to a workgroup, folded.
//#import shared/fold.wgsl
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = unfold(workgroup, count) * 64u + invocation;
    let pixel_tile = tile % conv.pixel_tiles;
    let channel_tile = (tile / conv.pixel_tiles) % conv.channel_tiles;
    let group = tile / (conv.pixel_tiles * conv.channel_tiles);
    if group >= conv.groups {
        return;
    }
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * 8u;
    let taps = tap_count(phase);
    let pixel0 = pixel_at(phase, first);
    let pixel1 = pixel_at(phase, first + 1u);
    let pixel2 = pixel_at(phase, first + 2u);
    let pixel3 = pixel_at(phase, first + 3u);
    let pixel4 = pixel_at(phase, first + 4u);
    let pixel5 = pixel_at(phase, first + 5u);
    let pixel6 = pixel_at(phase, first + 6u);
    let pixel7 = pixel_at(phase, first + 7u);
    let group_in4 = group_source4();
    let group_offset = group * group_in4;
    let tap_weights = group_in4 * 8u;
    let tile_weights = (group * conv.channel_tiles + channel_tile) * conv.kernel.x * conv.kernel.y * tap_weights;

    var sum0_0 = vec4f();
    var sum0_1 = vec4f();
    var sum1_0 = vec4f();
    var sum1_1 = vec4f();
    var sum2_0 = vec4f();
    var sum2_1 = vec4f();
    var sum3_0 = vec4f();
    var sum3_1 = vec4f();
    var sum4_0 = vec4f();
    var sum4_1 = vec4f();
    var sum5_0 = vec4f();
    var sum5_1 = vec4f();
    var sum6_0 = vec4f();
    var sum6_1 = vec4f();
    var sum7_0 = vec4f();
    var sum7_1 = vec4f();
    var tap = tap_of(phase, vec2u());
    for (var i = 0u; i < taps; i++) {
        var w_at = tile_weights + tap.index * tap_weights;
        let inside0 = inside(pixel0, tap);
        let inside1 = inside(pixel1, tap);
        let inside2 = inside(pixel2, tap);
        let inside3 = inside(pixel3, tap);
        let inside4 = inside(pixel4, tap);
        let inside5 = inside(pixel5, tap);
        let inside6 = inside(pixel6, tap);
        let inside7 = inside(pixel7, tap);
        var at0 = select(0u, source_pixel(pixel0, tap) * conv.source_pitch4 + group_offset, inside0);
        var at1 = select(0u, source_pixel(pixel1, tap) * conv.source_pitch4 + group_offset, inside1);
        var at2 = select(0u, source_pixel(pixel2, tap) * conv.source_pitch4 + group_offset, inside2);
        var at3 = select(0u, source_pixel(pixel3, tap) * conv.source_pitch4 + group_offset, inside3);
        var at4 = select(0u, source_pixel(pixel4, tap) * conv.source_pitch4 + group_offset, inside4);
        var at5 = select(0u, source_pixel(pixel5, tap) * conv.source_pitch4 + group_offset, inside5);
        var at6 = select(0u, source_pixel(pixel6, tap) * conv.source_pitch4 + group_offset, inside6);
        var at7 = select(0u, source_pixel(pixel7, tap) * conv.source_pitch4 + group_offset, inside7);
        for (var c4 = 0u; c4 < group_in4; c4++) {
            let x0 = select(vec4f(), vec4f(input[at0]), inside0);
            let x1 = select(vec4f(), vec4f(input[at1]), inside1);
            let x2 = select(vec4f(), vec4f(input[at2]), inside2);
            let x3 = select(vec4f(), vec4f(input[at3]), inside3);
            let x4 = select(vec4f(), vec4f(input[at4]), inside4);
            let x5 = select(vec4f(), vec4f(input[at5]), inside5);
            let x6 = select(vec4f(), vec4f(input[at6]), inside6);
            let x7 = select(vec4f(), vec4f(input[at7]), inside7);
            at0++;
            at1++;
            at2++;
            at3++;
            at4++;
            at5++;
            at6++;
            at7++;
            let w0 = vec4f(weight[w_at]);
            sum0_0 += w0 * x0.x;
            sum1_0 += w0 * x1.x;
            sum2_0 += w0 * x2.x;
            sum3_0 += w0 * x3.x;
            sum4_0 += w0 * x4.x;
            sum5_0 += w0 * x5.x;
            sum6_0 += w0 * x6.x;
            sum7_0 += w0 * x7.x;
            let w1 = vec4f(weight[w_at + 1u]);
            sum0_1 += w1 * x0.x;
            sum1_1 += w1 * x1.x;
            sum2_1 += w1 * x2.x;
            sum3_1 += w1 * x3.x;
            sum4_1 += w1 * x4.x;
            sum5_1 += w1 * x5.x;
            sum6_1 += w1 * x6.x;
            sum7_1 += w1 * x7.x;
            let w2 = vec4f(weight[w_at + 2u]);
            sum0_0 += w2 * x0.y;
            sum1_0 += w2 * x1.y;
            sum2_0 += w2 * x2.y;
            sum3_0 += w2 * x3.y;
            sum4_0 += w2 * x4.y;
            sum5_0 += w2 * x5.y;
            sum6_0 += w2 * x6.y;
            sum7_0 += w2 * x7.y;
            let w3 = vec4f(weight[w_at + 3u]);
            sum0_1 += w3 * x0.y;
            sum1_1 += w3 * x1.y;
            sum2_1 += w3 * x2.y;
            sum3_1 += w3 * x3.y;
            sum4_1 += w3 * x4.y;
            sum5_1 += w3 * x5.y;
            sum6_1 += w3 * x6.y;
            sum7_1 += w3 * x7.y;
            let w4 = vec4f(weight[w_at + 4u]);
            sum0_0 += w4 * x0.z;
            sum1_0 += w4 * x1.z;
            sum2_0 += w4 * x2.z;
            sum3_0 += w4 * x3.z;
            sum4_0 += w4 * x4.z;
            sum5_0 += w4 * x5.z;
            sum6_0 += w4 * x6.z;
            sum7_0 += w4 * x7.z;
            let w5 = vec4f(weight[w_at + 5u]);
            sum0_1 += w5 * x0.z;
            sum1_1 += w5 * x1.z;
            sum2_1 += w5 * x2.z;
            sum3_1 += w5 * x3.z;
            sum4_1 += w5 * x4.z;
            sum5_1 += w5 * x5.z;
            sum6_1 += w5 * x6.z;
            sum7_1 += w5 * x7.z;
            let w6 = vec4f(weight[w_at + 6u]);
            sum0_0 += w6 * x0.w;
            sum1_0 += w6 * x1.w;
            sum2_0 += w6 * x2.w;
            sum3_0 += w6 * x3.w;
            sum4_0 += w6 * x4.w;
            sum5_0 += w6 * x5.w;
            sum6_0 += w6 * x6.w;
            sum7_0 += w6 * x7.w;
            let w7 = vec4f(weight[w_at + 7u]);
            sum0_1 += w7 * x0.w;
            sum1_1 += w7 * x1.w;
            sum2_1 += w7 * x2.w;
            sum3_1 += w7 * x3.w;
            sum4_1 += w7 * x4.w;
            sum5_1 += w7 * x5.w;
            sum6_1 += w7 * x6.w;
            sum7_1 += w7 * x7.w;
            w_at += 8u;
        }
        tap = next_tap(phase, tap);
    }
    let channel4 = channel_tile * 2u;
    store(pixel0, group, channel4, sum0_0);
    store(pixel0, group, channel4 + 1u, sum0_1);
    store(pixel1, group, channel4, sum1_0);
    store(pixel1, group, channel4 + 1u, sum1_1);
    store(pixel2, group, channel4, sum2_0);
    store(pixel2, group, channel4 + 1u, sum2_1);
    store(pixel3, group, channel4, sum3_0);
    store(pixel3, group, channel4 + 1u, sum3_1);
    store(pixel4, group, channel4, sum4_0);
    store(pixel4, group, channel4 + 1u, sum4_1);
    store(pixel5, group, channel4, sum5_0);
    store(pixel5, group, channel4 + 1u, sum5_1);
    store(pixel6, group, channel4, sum6_0);
    store(pixel6, group, channel4 + 1u, sum6_1);
    store(pixel7, group, channel4, sum7_0);
    store(pixel7, group, channel4 + 1u, sum7_1);
}
