//#variant conv2d_subgroup
//#variant conv2d_subgroup_f16 HALF
//#variant conv2d_backward_input_subgroup TRANSPOSED
//#variant conv2d_backward_input_blocks_subgroup BLOCKS
//#variant conv2d_subgroup_wide WIDE
//#variant conv2d_subgroup_wide_f16 WIDE HALF
//#variant conv2d_backward_input_subgroup_wide WIDE TRANSPOSED
//#variant conv2d_backward_input_blocks_subgroup_wide WIDE BLOCKS
//#variant conv2d_subgroup_quad WIDE QUAD
//#variant conv2d_subgroup_quad_f16 WIDE QUAD HALF
//#variant conv2d_backward_input_subgroup_quad WIDE QUAD TRANSPOSED
//#variant conv2d_backward_input_blocks_subgroup_quad WIDE QUAD BLOCKS
//#if HALF
enable f16;
//#endif
//
// conv2d and its gradient by input, register-blocked with weights broadcast through the subgroup; no workgroup memory, no
// barriers.
//
//   conv2d:                 output[n,p,q,k] = relu(bias[k] + residual[n,p,q,k]
//                               + sum over r,s,c of input[n, p*stride+r*dilation-padding, q*…, c] * weight[k,c,r,s])
//   conv2d_backward_input:  grad_input[n,h,w,c] = residual[n,h,w,c]
//                               + sum over r,s,k of grad_output[n, (h+padding-r*dilation)/stride, …, k] * weight[k,c,r,s]
//                           through the ReLU before the convolution, where its input came out of one
//
// For drivers that run one subgroup per vector register (lavapipe: eight lanes), where a load is dear and a broadcast is
// two shuffles. A workgroup is one subgroup of eight lanes. It makes 32 pixels x 32 channels: each lane owns four pixels
// (lane, lane+8, lane+16, lane+24) and all 32 channels in registers; per source channel it loads four activations and one
// vec4 of the weights, which the eight lanes hand to each other. Geometry comes from the uniform block, so that one
// pipeline (half a second of compile time on lavapipe) serves every layer.
//
// With the flag WIDE memory is accessed through integers of 64 bits, two source channels an iteration: lavapipe checks, branches
// and moves once for each component of each lane, however wide it is. What order the multiply-adds are written in decides
// how LLVM allots registers; see docs/rejected.md.
//
// With the flag QUAD as well it takes four source channels an iteration, of which the last may be padding (zero in both maps and
// weights): a sum that lanes may have left the loop with is kept by a blend, which processors of Intel's make three operations of,
// and here there is one for four products. A lane reads 32 bytes of the weights at once, which are checked for once: lanes 0 to 3
// hold one channel's and lanes 4 to 7 the next one's. The loop no longer fits what some processors keep decoded.
//
// Loops over taps and channels end at their ends: lavapipe finds at the end of a body that no lane is left, so that one with
// its condition at the head runs its body once more with nothing on.
//
// weight: [group][tile of 32 destination channels][r][s][source channel][32], zero where the tile passes the last one; with
// WIDE an even number of source channels, of which the last may be zero; with QUAD a multiple of four.
// dispatch: pixel_tiles * channel_tiles * groups workgroups, pixel tiles fastest, folded.
//#import shared/fold.wgsl
//#import shared/conv2d.wgsl
//#if QUAD
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
//#else
//#if WIDE
@group(0) @binding(1) var<storage, read> input: array<Stored2>;
//#else
@group(0) @binding(1) var<storage, read> input: array<Stored>;
//#endif
//#endif

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tile = unfold(workgroup, count);
    let pixel_tile = tile % conv.pixel_tiles;
    let channel_tile = (tile / conv.pixel_tiles) % conv.channel_tiles;
    let group = tile / (conv.pixel_tiles * conv.channel_tiles);
    if group >= conv.groups {
        return;
    }
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * 32u + lane;
    let taps = tap_count(phase);
    let pixel0 = pixel_at(phase, first);
    let pixel1 = pixel_at(phase, first + 8u);
    let pixel2 = pixel_at(phase, first + 16u);
    let pixel3 = pixel_at(phase, first + 24u);
//#if QUAD
    // In vec4s, as the source is read, and the weights in two of them.
    let pixel_stride = conv.source_pitch4;
    let group_offset = group * group_source4();
    let tap_weights = group_source4() * 16u;
//#else
//#if WIDE
    // In pairs of channels, as the source is read.
    let pixel_stride = conv.source_pitch4 * 2u;
    let group_offset = group * group_source4() * 2u;
    let tap_weights = (conv.group_source_channels + 1u) / 2u * 16u;
//#else
    // In floats, as the source is read one channel at a time.
    let pixel_stride = conv.source_pitch4 * 4u;
    let group_offset = group * group_source4() * 4u;
    let tap_weights = conv.group_source_channels * 8u;
//#endif
//#endif
    let tile_weights = (group * conv.channel_tiles + channel_tile) * conv.kernel.x * conv.kernel.y * tap_weights + lane;

    // Sums begin with the bias, of which each lane fetches an eighth, instead of all of it at the end.
    let channel4 = channel_tile * 8u;
    let own_bias = bias_at(group, channel4 + lane);
    let bias0 = subgroupBroadcast(own_bias, 0u);
    let bias1 = subgroupBroadcast(own_bias, 1u);
    let bias2 = subgroupBroadcast(own_bias, 2u);
    let bias3 = subgroupBroadcast(own_bias, 3u);
    let bias4 = subgroupBroadcast(own_bias, 4u);
    let bias5 = subgroupBroadcast(own_bias, 5u);
    let bias6 = subgroupBroadcast(own_bias, 6u);
    let bias7 = subgroupBroadcast(own_bias, 7u);
    var sum0_0 = bias0;
    var sum0_1 = bias1;
    var sum0_2 = bias2;
    var sum0_3 = bias3;
    var sum0_4 = bias4;
    var sum0_5 = bias5;
    var sum0_6 = bias6;
    var sum0_7 = bias7;
    var sum1_0 = bias0;
    var sum1_1 = bias1;
    var sum1_2 = bias2;
    var sum1_3 = bias3;
    var sum1_4 = bias4;
    var sum1_5 = bias5;
    var sum1_6 = bias6;
    var sum1_7 = bias7;
    var sum2_0 = bias0;
    var sum2_1 = bias1;
    var sum2_2 = bias2;
    var sum2_3 = bias3;
    var sum2_4 = bias4;
    var sum2_5 = bias5;
    var sum2_6 = bias6;
    var sum2_7 = bias7;
    var sum3_0 = bias0;
    var sum3_1 = bias1;
    var sum3_2 = bias2;
    var sum3_3 = bias3;
    var sum3_4 = bias4;
    var sum3_5 = bias5;
    var sum3_6 = bias6;
    var sum3_7 = bias7;
    var tap = tap_of(phase, vec2u());
    for (var i = 0u; i < taps; i++) {
        var w_at = tile_weights + tap.index * tap_weights;
        let inside0 = inside(pixel0, tap);
        let inside1 = inside(pixel1, tap);
        let inside2 = inside(pixel2, tap);
        let inside3 = inside(pixel3, tap);
        var at0 = select(0u, source_pixel(pixel0, tap) * pixel_stride + group_offset, inside0);
        var at1 = select(0u, source_pixel(pixel1, tap) * pixel_stride + group_offset, inside1);
        var at2 = select(0u, source_pixel(pixel2, tap) * pixel_stride + group_offset, inside2);
        var at3 = select(0u, source_pixel(pixel3, tap) * pixel_stride + group_offset, inside3);
//#if QUAD
        var c = 0u;
        loop {
            // The order is what LLVM makes most of here too: with both loads before both unpackings it takes a third longer.
            let both0 = weight[w_at];
            let even0 = first4(both0);
            let odd0 = last4(both0);
            let both1 = weight[w_at + 8u];
            let even1 = first4(both1);
            let odd1 = last4(both1);
            let quad0 = unpack4(input[at0]);
            let quad1 = unpack4(input[at1]);
            let quad2 = unpack4(input[at2]);
            let quad3 = unpack4(input[at3]);
            let x0 = select(vec4f(), quad0, inside0);
            let x1 = select(vec4f(), quad1, inside1);
            let x2 = select(vec4f(), quad2, inside2);
            let x3 = select(vec4f(), quad3, inside3);
            w_at += 16u;
            at0++;
            at1++;
            at2++;
            at3++;
            // The first channel's products and the second's, for each vec4 of outputs.
            let w0 = subgroupBroadcast(even0, 0u);
            sum0_0 += w0 * x0.x;
            sum1_0 += w0 * x1.x;
            sum2_0 += w0 * x2.x;
            sum3_0 += w0 * x3.x;
            let v0 = subgroupBroadcast(even0, 4u);
            sum0_0 += v0 * x0.y;
            sum1_0 += v0 * x1.y;
            sum2_0 += v0 * x2.y;
            sum3_0 += v0 * x3.y;
            let w1 = subgroupBroadcast(odd0, 0u);
            sum0_1 += w1 * x0.x;
            sum1_1 += w1 * x1.x;
            sum2_1 += w1 * x2.x;
            sum3_1 += w1 * x3.x;
            let v1 = subgroupBroadcast(odd0, 4u);
            sum0_1 += v1 * x0.y;
            sum1_1 += v1 * x1.y;
            sum2_1 += v1 * x2.y;
            sum3_1 += v1 * x3.y;
            let w2 = subgroupBroadcast(even0, 1u);
            sum0_2 += w2 * x0.x;
            sum1_2 += w2 * x1.x;
            sum2_2 += w2 * x2.x;
            sum3_2 += w2 * x3.x;
            let v2 = subgroupBroadcast(even0, 5u);
            sum0_2 += v2 * x0.y;
            sum1_2 += v2 * x1.y;
            sum2_2 += v2 * x2.y;
            sum3_2 += v2 * x3.y;
            let w3 = subgroupBroadcast(odd0, 1u);
            sum0_3 += w3 * x0.x;
            sum1_3 += w3 * x1.x;
            sum2_3 += w3 * x2.x;
            sum3_3 += w3 * x3.x;
            let v3 = subgroupBroadcast(odd0, 5u);
            sum0_3 += v3 * x0.y;
            sum1_3 += v3 * x1.y;
            sum2_3 += v3 * x2.y;
            sum3_3 += v3 * x3.y;
            let w4 = subgroupBroadcast(even0, 2u);
            sum0_4 += w4 * x0.x;
            sum1_4 += w4 * x1.x;
            sum2_4 += w4 * x2.x;
            sum3_4 += w4 * x3.x;
            let v4 = subgroupBroadcast(even0, 6u);
            sum0_4 += v4 * x0.y;
            sum1_4 += v4 * x1.y;
            sum2_4 += v4 * x2.y;
            sum3_4 += v4 * x3.y;
            let w5 = subgroupBroadcast(odd0, 2u);
            sum0_5 += w5 * x0.x;
            sum1_5 += w5 * x1.x;
            sum2_5 += w5 * x2.x;
            sum3_5 += w5 * x3.x;
            let v5 = subgroupBroadcast(odd0, 6u);
            sum0_5 += v5 * x0.y;
            sum1_5 += v5 * x1.y;
            sum2_5 += v5 * x2.y;
            sum3_5 += v5 * x3.y;
            let w6 = subgroupBroadcast(even0, 3u);
            sum0_6 += w6 * x0.x;
            sum1_6 += w6 * x1.x;
            sum2_6 += w6 * x2.x;
            sum3_6 += w6 * x3.x;
            let v6 = subgroupBroadcast(even0, 7u);
            sum0_6 += v6 * x0.y;
            sum1_6 += v6 * x1.y;
            sum2_6 += v6 * x2.y;
            sum3_6 += v6 * x3.y;
            let w7 = subgroupBroadcast(odd0, 3u);
            sum0_7 += w7 * x0.x;
            sum1_7 += w7 * x1.x;
            sum2_7 += w7 * x2.x;
            sum3_7 += w7 * x3.x;
            let v7 = subgroupBroadcast(odd0, 7u);
            sum0_7 += v7 * x0.y;
            sum1_7 += v7 * x1.y;
            sum2_7 += v7 * x2.y;
            sum3_7 += v7 * x3.y;
            // The third channel's products and the fourth's, for each vec4 of outputs.
            let a0 = subgroupBroadcast(even1, 0u);
            sum0_0 += a0 * x0.z;
            sum1_0 += a0 * x1.z;
            sum2_0 += a0 * x2.z;
            sum3_0 += a0 * x3.z;
            let b0 = subgroupBroadcast(even1, 4u);
            sum0_0 += b0 * x0.w;
            sum1_0 += b0 * x1.w;
            sum2_0 += b0 * x2.w;
            sum3_0 += b0 * x3.w;
            let a1 = subgroupBroadcast(odd1, 0u);
            sum0_1 += a1 * x0.z;
            sum1_1 += a1 * x1.z;
            sum2_1 += a1 * x2.z;
            sum3_1 += a1 * x3.z;
            let b1 = subgroupBroadcast(odd1, 4u);
            sum0_1 += b1 * x0.w;
            sum1_1 += b1 * x1.w;
            sum2_1 += b1 * x2.w;
            sum3_1 += b1 * x3.w;
            let a2 = subgroupBroadcast(even1, 1u);
            sum0_2 += a2 * x0.z;
            sum1_2 += a2 * x1.z;
            sum2_2 += a2 * x2.z;
            sum3_2 += a2 * x3.z;
            let b2 = subgroupBroadcast(even1, 5u);
            sum0_2 += b2 * x0.w;
            sum1_2 += b2 * x1.w;
            sum2_2 += b2 * x2.w;
            sum3_2 += b2 * x3.w;
            let a3 = subgroupBroadcast(odd1, 1u);
            sum0_3 += a3 * x0.z;
            sum1_3 += a3 * x1.z;
            sum2_3 += a3 * x2.z;
            sum3_3 += a3 * x3.z;
            let b3 = subgroupBroadcast(odd1, 5u);
            sum0_3 += b3 * x0.w;
            sum1_3 += b3 * x1.w;
            sum2_3 += b3 * x2.w;
            sum3_3 += b3 * x3.w;
            let a4 = subgroupBroadcast(even1, 2u);
            sum0_4 += a4 * x0.z;
            sum1_4 += a4 * x1.z;
            sum2_4 += a4 * x2.z;
            sum3_4 += a4 * x3.z;
            let b4 = subgroupBroadcast(even1, 6u);
            sum0_4 += b4 * x0.w;
            sum1_4 += b4 * x1.w;
            sum2_4 += b4 * x2.w;
            sum3_4 += b4 * x3.w;
            let a5 = subgroupBroadcast(odd1, 2u);
            sum0_5 += a5 * x0.z;
            sum1_5 += a5 * x1.z;
            sum2_5 += a5 * x2.z;
            sum3_5 += a5 * x3.z;
            let b5 = subgroupBroadcast(odd1, 6u);
            sum0_5 += b5 * x0.w;
            sum1_5 += b5 * x1.w;
            sum2_5 += b5 * x2.w;
            sum3_5 += b5 * x3.w;
            let a6 = subgroupBroadcast(even1, 3u);
            sum0_6 += a6 * x0.z;
            sum1_6 += a6 * x1.z;
            sum2_6 += a6 * x2.z;
            sum3_6 += a6 * x3.z;
            let b6 = subgroupBroadcast(even1, 7u);
            sum0_6 += b6 * x0.w;
            sum1_6 += b6 * x1.w;
            sum2_6 += b6 * x2.w;
            sum3_6 += b6 * x3.w;
            let a7 = subgroupBroadcast(odd1, 3u);
            sum0_7 += a7 * x0.z;
            sum1_7 += a7 * x1.z;
            sum2_7 += a7 * x2.z;
            sum3_7 += a7 * x3.z;
            let b7 = subgroupBroadcast(odd1, 7u);
            sum0_7 += b7 * x0.w;
            sum1_7 += b7 * x1.w;
            sum2_7 += b7 * x2.w;
            sum3_7 += b7 * x3.w;
            continuing {
                c += 4u;
                break if c >= conv.group_source_channels;
            }
        }
//#else
//#if WIDE
        var c = 0u;
        loop {
            // After an odd number of channels the second of a pair is padding.
            let second = c + 1u < conv.group_source_channels;
            let held = unpack4(weight[w_at]);
            let next = unpack4(weight[w_at + 8u]);
            // The order of what is loaded, dropped and moved on is what LLVM makes most of; in others the loop takes up to two
            // fifths longer.
//#if HALF
            w_at += 16u;
            let x0 = select(vec2f(), unpack2(input[at0]), vec2(inside0, inside0 && second));
            let x1 = select(vec2f(), unpack2(input[at1]), vec2(inside1, inside1 && second));
            let x2 = select(vec2f(), unpack2(input[at2]), vec2(inside2, inside2 && second));
            let x3 = select(vec2f(), unpack2(input[at3]), vec2(inside3, inside3 && second));
//#else
            let pair0 = unpack2(input[at0]);
            let pair1 = unpack2(input[at1]);
            let pair2 = unpack2(input[at2]);
            let pair3 = unpack2(input[at3]);
            let x0 = select(vec2f(), pair0, vec2(inside0, inside0 && second));
            let x1 = select(vec2f(), pair1, vec2(inside1, inside1 && second));
            let x2 = select(vec2f(), pair2, vec2(inside2, inside2 && second));
            let x3 = select(vec2f(), pair3, vec2(inside3, inside3 && second));
            w_at += 16u;
//#endif
            at0++;
            at1++;
            at2++;
            at3++;
            let w0 = subgroupBroadcast(held, 0u);
            sum0_0 += w0 * x0.x;
            sum1_0 += w0 * x1.x;
            sum2_0 += w0 * x2.x;
            sum3_0 += w0 * x3.x;
            let v0 = subgroupBroadcast(next, 0u);
            sum0_0 += v0 * x0.y;
            sum1_0 += v0 * x1.y;
            sum2_0 += v0 * x2.y;
            sum3_0 += v0 * x3.y;
            let w1 = subgroupBroadcast(held, 1u);
            sum0_1 += w1 * x0.x;
            sum1_1 += w1 * x1.x;
            sum2_1 += w1 * x2.x;
            sum3_1 += w1 * x3.x;
            let v1 = subgroupBroadcast(next, 1u);
            sum0_1 += v1 * x0.y;
            sum1_1 += v1 * x1.y;
            sum2_1 += v1 * x2.y;
            sum3_1 += v1 * x3.y;
            let w2 = subgroupBroadcast(held, 2u);
            sum0_2 += w2 * x0.x;
            sum1_2 += w2 * x1.x;
            sum2_2 += w2 * x2.x;
            sum3_2 += w2 * x3.x;
            let v2 = subgroupBroadcast(next, 2u);
            sum0_2 += v2 * x0.y;
            sum1_2 += v2 * x1.y;
            sum2_2 += v2 * x2.y;
            sum3_2 += v2 * x3.y;
            let w3 = subgroupBroadcast(held, 3u);
            sum0_3 += w3 * x0.x;
            sum1_3 += w3 * x1.x;
            sum2_3 += w3 * x2.x;
            sum3_3 += w3 * x3.x;
            let v3 = subgroupBroadcast(next, 3u);
            sum0_3 += v3 * x0.y;
            sum1_3 += v3 * x1.y;
            sum2_3 += v3 * x2.y;
            sum3_3 += v3 * x3.y;
            let w4 = subgroupBroadcast(held, 4u);
            sum0_4 += w4 * x0.x;
            sum1_4 += w4 * x1.x;
            sum2_4 += w4 * x2.x;
            sum3_4 += w4 * x3.x;
            let v4 = subgroupBroadcast(next, 4u);
            sum0_4 += v4 * x0.y;
            sum1_4 += v4 * x1.y;
            sum2_4 += v4 * x2.y;
            sum3_4 += v4 * x3.y;
            let w5 = subgroupBroadcast(held, 5u);
            sum0_5 += w5 * x0.x;
            sum1_5 += w5 * x1.x;
            sum2_5 += w5 * x2.x;
            sum3_5 += w5 * x3.x;
            let v5 = subgroupBroadcast(next, 5u);
            sum0_5 += v5 * x0.y;
            sum1_5 += v5 * x1.y;
            sum2_5 += v5 * x2.y;
            sum3_5 += v5 * x3.y;
            let w6 = subgroupBroadcast(held, 6u);
            sum0_6 += w6 * x0.x;
            sum1_6 += w6 * x1.x;
            sum2_6 += w6 * x2.x;
            sum3_6 += w6 * x3.x;
            let v6 = subgroupBroadcast(next, 6u);
            sum0_6 += v6 * x0.y;
            sum1_6 += v6 * x1.y;
            sum2_6 += v6 * x2.y;
            sum3_6 += v6 * x3.y;
            let w7 = subgroupBroadcast(held, 7u);
            sum0_7 += w7 * x0.x;
            sum1_7 += w7 * x1.x;
            sum2_7 += w7 * x2.x;
            sum3_7 += w7 * x3.x;
            let v7 = subgroupBroadcast(next, 7u);
            sum0_7 += v7 * x0.y;
            sum1_7 += v7 * x1.y;
            sum2_7 += v7 * x2.y;
            sum3_7 += v7 * x3.y;
            continuing {
                c += 2u;
                break if c >= conv.group_source_channels;
            }
        }
//#else
        var c = 0u;
        loop {
            let held = vec4f(weight[w_at]);
            w_at += 8u;
            let x0 = select(0.0, f32(input[at0]), inside0);
            let x1 = select(0.0, f32(input[at1]), inside1);
            let x2 = select(0.0, f32(input[at2]), inside2);
            let x3 = select(0.0, f32(input[at3]), inside3);
            at0++;
            at1++;
            at2++;
            at3++;
            let w0 = subgroupBroadcast(held, 0u);
            sum0_0 += w0 * x0;
            sum1_0 += w0 * x1;
            sum2_0 += w0 * x2;
            sum3_0 += w0 * x3;
            let w1 = subgroupBroadcast(held, 1u);
            sum0_1 += w1 * x0;
            sum1_1 += w1 * x1;
            sum2_1 += w1 * x2;
            sum3_1 += w1 * x3;
            let w2 = subgroupBroadcast(held, 2u);
            sum0_2 += w2 * x0;
            sum1_2 += w2 * x1;
            sum2_2 += w2 * x2;
            sum3_2 += w2 * x3;
            let w3 = subgroupBroadcast(held, 3u);
            sum0_3 += w3 * x0;
            sum1_3 += w3 * x1;
            sum2_3 += w3 * x2;
            sum3_3 += w3 * x3;
            let w4 = subgroupBroadcast(held, 4u);
            sum0_4 += w4 * x0;
            sum1_4 += w4 * x1;
            sum2_4 += w4 * x2;
            sum3_4 += w4 * x3;
            let w5 = subgroupBroadcast(held, 5u);
            sum0_5 += w5 * x0;
            sum1_5 += w5 * x1;
            sum2_5 += w5 * x2;
            sum3_5 += w5 * x3;
            let w6 = subgroupBroadcast(held, 6u);
            sum0_6 += w6 * x0;
            sum1_6 += w6 * x1;
            sum2_6 += w6 * x2;
            sum3_6 += w6 * x3;
            let w7 = subgroupBroadcast(held, 7u);
            sum0_7 += w7 * x0;
            sum1_7 += w7 * x1;
            sum2_7 += w7 * x2;
            sum3_7 += w7 * x3;
            continuing {
                c++;
                break if c >= conv.group_source_channels;
            }
        }
//#endif
//#endif
        if i + 1u >= taps {
            break;
        }
        tap = next_tap(phase, tap);
    }
    store_biased(pixel0, group, channel4, sum0_0);
    store_biased(pixel0, group, channel4 + 1u, sum0_1);
    store_biased(pixel0, group, channel4 + 2u, sum0_2);
    store_biased(pixel0, group, channel4 + 3u, sum0_3);
    store_biased(pixel0, group, channel4 + 4u, sum0_4);
    store_biased(pixel0, group, channel4 + 5u, sum0_5);
    store_biased(pixel0, group, channel4 + 6u, sum0_6);
    store_biased(pixel0, group, channel4 + 7u, sum0_7);
    store_biased(pixel1, group, channel4, sum1_0);
    store_biased(pixel1, group, channel4 + 1u, sum1_1);
    store_biased(pixel1, group, channel4 + 2u, sum1_2);
    store_biased(pixel1, group, channel4 + 3u, sum1_3);
    store_biased(pixel1, group, channel4 + 4u, sum1_4);
    store_biased(pixel1, group, channel4 + 5u, sum1_5);
    store_biased(pixel1, group, channel4 + 6u, sum1_6);
    store_biased(pixel1, group, channel4 + 7u, sum1_7);
    store_biased(pixel2, group, channel4, sum2_0);
    store_biased(pixel2, group, channel4 + 1u, sum2_1);
    store_biased(pixel2, group, channel4 + 2u, sum2_2);
    store_biased(pixel2, group, channel4 + 3u, sum2_3);
    store_biased(pixel2, group, channel4 + 4u, sum2_4);
    store_biased(pixel2, group, channel4 + 5u, sum2_5);
    store_biased(pixel2, group, channel4 + 6u, sum2_6);
    store_biased(pixel2, group, channel4 + 7u, sum2_7);
    store_biased(pixel3, group, channel4, sum3_0);
    store_biased(pixel3, group, channel4 + 1u, sum3_1);
    store_biased(pixel3, group, channel4 + 2u, sum3_2);
    store_biased(pixel3, group, channel4 + 3u, sum3_3);
    store_biased(pixel3, group, channel4 + 4u, sum3_4);
    store_biased(pixel3, group, channel4 + 5u, sum3_5);
    store_biased(pixel3, group, channel4 + 6u, sum3_6);
    store_biased(pixel3, group, channel4 + 7u, sum3_7);
}
