//#variant conv2d_subgroup4
//#variant conv2d_subgroup4_f16 HALF
//#variant conv2d_backward_input_subgroup4 TRANSPOSED
//#variant conv2d_backward_input_blocks_subgroup4 BLOCKS
//#if HALF
enable f16;
//#endif
//
// conv2d and its gradient by input for subgroups of four, register-blocked with activations broadcast through the subgroup;
// no workgroup memory, no barriers.
//
//   conv2d:                 output[n,p,q,k] = relu(bias[k] + residual[n,p,q,k]
//                               + sum over r,s,c of input[n, p*stride+r*dilation-padding, q*…, c] * weight[k,c,r,s])
//   conv2d_backward_input:  grad_input[n,h,w,c] = residual[n,h,w,c]
//                               + sum over r,s,k of grad_output[n, (h+padding-r*dilation)/stride, …, k] * weight[k,c,r,s]
//                           through the ReLU before the convolution, where its input came out of one
//
// For SwiftShader, which runs four lanes at once, checks and moves each component of each lane by itself, and broadcasts in a
// few instructions. A workgroup is one subgroup. It makes 16 pixels x 32 channels: each lane owns two vec4s of channels (lane,
// lane+4) of all 16 pixels in registers. Per four source channels it loads eight vec4s of the weights for itself, and the
// vec4s of four pixels (lane, lane+4, lane+8, lane+12), which the lanes hand to each other: so each finds under a tap only
// four pixels, and not 16.
//
// weight: [group][tile of 32 destination channels][r][s][source channel padded to 4][32], zero in the padding.
// dispatch: pixel_tiles * channel_tiles * groups workgroups, pixel tiles fastest, folded.
//#import shared/fold.wgsl
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

// Two vec4s of channels of a pixel, given by its image and where it is stored.
fn store_both(place: vec2u, group: u32, channel4: u32, sum0: vec4f, sum1: vec4f) {
    let pixel = Pixel(place.x, 0u, 0u, place.y);
    store_biased(pixel, group, channel4, sum0);
    store_biased(pixel, group, channel4 + 4u, sum1);
}

@compute @workgroup_size(4)
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
    let first = (pixel_tile % phase_tiles()) * 16u + lane;
    let taps = tap_count(phase);
    let pixel0 = pixel_at(phase, first);
    let pixel1 = pixel_at(phase, first + 4u);
    let pixel2 = pixel_at(phase, first + 8u);
    let pixel3 = pixel_at(phase, first + 12u);
    let group_in4 = group_source4();
    let group_offset = group * group_in4;
    let tap_weights = group_in4 * 32u;
    let tile_weights = (group * conv.channel_tiles + channel_tile) * conv.kernel.x * conv.kernel.y * tap_weights + lane;

    // Sums begin with the bias, which each lane fetches once for all of its pixels.
    let channel4 = channel_tile * 8u + lane;
    let bias0 = bias_at(group, channel4);
    let bias1 = bias_at(group, channel4 + 4u);
    var sum0_0 = bias0;
    var sum0_1 = bias1;
    var sum1_0 = bias0;
    var sum1_1 = bias1;
    var sum2_0 = bias0;
    var sum2_1 = bias1;
    var sum3_0 = bias0;
    var sum3_1 = bias1;
    var sum4_0 = bias0;
    var sum4_1 = bias1;
    var sum5_0 = bias0;
    var sum5_1 = bias1;
    var sum6_0 = bias0;
    var sum6_1 = bias1;
    var sum7_0 = bias0;
    var sum7_1 = bias1;
    var sum8_0 = bias0;
    var sum8_1 = bias1;
    var sum9_0 = bias0;
    var sum9_1 = bias1;
    var sum10_0 = bias0;
    var sum10_1 = bias1;
    var sum11_0 = bias0;
    var sum11_1 = bias1;
    var sum12_0 = bias0;
    var sum12_1 = bias1;
    var sum13_0 = bias0;
    var sum13_1 = bias1;
    var sum14_0 = bias0;
    var sum14_1 = bias1;
    var sum15_0 = bias0;
    var sum15_1 = bias1;
    var tap = tap_of(phase, vec2u());
    for (var i = 0u; i < taps; i++) {
        var w_at = tile_weights + tap.index * tap_weights;
        let inside0 = inside(pixel0, tap);
        let inside1 = inside(pixel1, tap);
        let inside2 = inside(pixel2, tap);
        let inside3 = inside(pixel3, tap);
        var at0 = select(0u, source_pixel(pixel0, tap) * conv.source_pitch4 + group_offset, inside0);
        var at1 = select(0u, source_pixel(pixel1, tap) * conv.source_pitch4 + group_offset, inside1);
        var at2 = select(0u, source_pixel(pixel2, tap) * conv.source_pitch4 + group_offset, inside2);
        var at3 = select(0u, source_pixel(pixel3, tap) * conv.source_pitch4 + group_offset, inside3);
        for (var c4 = 0u; c4 < group_in4; c4++) {
            let held0 = select(vec4f(), vec4f(input[at0]), inside0);
            let held1 = select(vec4f(), vec4f(input[at1]), inside1);
            let held2 = select(vec4f(), vec4f(input[at2]), inside2);
            let held3 = select(vec4f(), vec4f(input[at3]), inside3);
            at0++;
            at1++;
            at2++;
            at3++;
            let w0_0 = vec4f(weight[w_at]);
            let w0_1 = vec4f(weight[w_at + 4u]);
            let w1_0 = vec4f(weight[w_at + 8u]);
            let w1_1 = vec4f(weight[w_at + 12u]);
            let w2_0 = vec4f(weight[w_at + 16u]);
            let w2_1 = vec4f(weight[w_at + 20u]);
            let w3_0 = vec4f(weight[w_at + 24u]);
            let w3_1 = vec4f(weight[w_at + 28u]);
            w_at += 32u;
            let x0 = subgroupBroadcast(held0, 0u);
            sum0_0 = sum0_0 + w0_0 * x0.x + w1_0 * x0.y + w2_0 * x0.z + w3_0 * x0.w;
            sum0_1 = sum0_1 + w0_1 * x0.x + w1_1 * x0.y + w2_1 * x0.z + w3_1 * x0.w;
            let x1 = subgroupBroadcast(held0, 1u);
            sum1_0 = sum1_0 + w0_0 * x1.x + w1_0 * x1.y + w2_0 * x1.z + w3_0 * x1.w;
            sum1_1 = sum1_1 + w0_1 * x1.x + w1_1 * x1.y + w2_1 * x1.z + w3_1 * x1.w;
            let x2 = subgroupBroadcast(held0, 2u);
            sum2_0 = sum2_0 + w0_0 * x2.x + w1_0 * x2.y + w2_0 * x2.z + w3_0 * x2.w;
            sum2_1 = sum2_1 + w0_1 * x2.x + w1_1 * x2.y + w2_1 * x2.z + w3_1 * x2.w;
            let x3 = subgroupBroadcast(held0, 3u);
            sum3_0 = sum3_0 + w0_0 * x3.x + w1_0 * x3.y + w2_0 * x3.z + w3_0 * x3.w;
            sum3_1 = sum3_1 + w0_1 * x3.x + w1_1 * x3.y + w2_1 * x3.z + w3_1 * x3.w;
            let x4 = subgroupBroadcast(held1, 0u);
            sum4_0 = sum4_0 + w0_0 * x4.x + w1_0 * x4.y + w2_0 * x4.z + w3_0 * x4.w;
            sum4_1 = sum4_1 + w0_1 * x4.x + w1_1 * x4.y + w2_1 * x4.z + w3_1 * x4.w;
            let x5 = subgroupBroadcast(held1, 1u);
            sum5_0 = sum5_0 + w0_0 * x5.x + w1_0 * x5.y + w2_0 * x5.z + w3_0 * x5.w;
            sum5_1 = sum5_1 + w0_1 * x5.x + w1_1 * x5.y + w2_1 * x5.z + w3_1 * x5.w;
            let x6 = subgroupBroadcast(held1, 2u);
            sum6_0 = sum6_0 + w0_0 * x6.x + w1_0 * x6.y + w2_0 * x6.z + w3_0 * x6.w;
            sum6_1 = sum6_1 + w0_1 * x6.x + w1_1 * x6.y + w2_1 * x6.z + w3_1 * x6.w;
            let x7 = subgroupBroadcast(held1, 3u);
            sum7_0 = sum7_0 + w0_0 * x7.x + w1_0 * x7.y + w2_0 * x7.z + w3_0 * x7.w;
            sum7_1 = sum7_1 + w0_1 * x7.x + w1_1 * x7.y + w2_1 * x7.z + w3_1 * x7.w;
            let x8 = subgroupBroadcast(held2, 0u);
            sum8_0 = sum8_0 + w0_0 * x8.x + w1_0 * x8.y + w2_0 * x8.z + w3_0 * x8.w;
            sum8_1 = sum8_1 + w0_1 * x8.x + w1_1 * x8.y + w2_1 * x8.z + w3_1 * x8.w;
            let x9 = subgroupBroadcast(held2, 1u);
            sum9_0 = sum9_0 + w0_0 * x9.x + w1_0 * x9.y + w2_0 * x9.z + w3_0 * x9.w;
            sum9_1 = sum9_1 + w0_1 * x9.x + w1_1 * x9.y + w2_1 * x9.z + w3_1 * x9.w;
            let x10 = subgroupBroadcast(held2, 2u);
            sum10_0 = sum10_0 + w0_0 * x10.x + w1_0 * x10.y + w2_0 * x10.z + w3_0 * x10.w;
            sum10_1 = sum10_1 + w0_1 * x10.x + w1_1 * x10.y + w2_1 * x10.z + w3_1 * x10.w;
            let x11 = subgroupBroadcast(held2, 3u);
            sum11_0 = sum11_0 + w0_0 * x11.x + w1_0 * x11.y + w2_0 * x11.z + w3_0 * x11.w;
            sum11_1 = sum11_1 + w0_1 * x11.x + w1_1 * x11.y + w2_1 * x11.z + w3_1 * x11.w;
            let x12 = subgroupBroadcast(held3, 0u);
            sum12_0 = sum12_0 + w0_0 * x12.x + w1_0 * x12.y + w2_0 * x12.z + w3_0 * x12.w;
            sum12_1 = sum12_1 + w0_1 * x12.x + w1_1 * x12.y + w2_1 * x12.z + w3_1 * x12.w;
            let x13 = subgroupBroadcast(held3, 1u);
            sum13_0 = sum13_0 + w0_0 * x13.x + w1_0 * x13.y + w2_0 * x13.z + w3_0 * x13.w;
            sum13_1 = sum13_1 + w0_1 * x13.x + w1_1 * x13.y + w2_1 * x13.z + w3_1 * x13.w;
            let x14 = subgroupBroadcast(held3, 2u);
            sum14_0 = sum14_0 + w0_0 * x14.x + w1_0 * x14.y + w2_0 * x14.z + w3_0 * x14.w;
            sum14_1 = sum14_1 + w0_1 * x14.x + w1_1 * x14.y + w2_1 * x14.z + w3_1 * x14.w;
            let x15 = subgroupBroadcast(held3, 3u);
            sum15_0 = sum15_0 + w0_0 * x15.x + w1_0 * x15.y + w2_0 * x15.z + w3_0 * x15.w;
            sum15_1 = sum15_1 + w0_1 * x15.x + w1_1 * x15.y + w2_1 * x15.z + w3_1 * x15.w;
        }
        tap = next_tap(phase, tap);
    }
    let place0 = vec2u(pixel0.image, pixel0.at);
    let place1 = vec2u(pixel1.image, pixel1.at);
    let place2 = vec2u(pixel2.image, pixel2.at);
    let place3 = vec2u(pixel3.image, pixel3.at);
    store_both(subgroupBroadcast(place0, 0u), group, channel4, sum0_0, sum0_1);
    store_both(subgroupBroadcast(place0, 1u), group, channel4, sum1_0, sum1_1);
    store_both(subgroupBroadcast(place0, 2u), group, channel4, sum2_0, sum2_1);
    store_both(subgroupBroadcast(place0, 3u), group, channel4, sum3_0, sum3_1);
    store_both(subgroupBroadcast(place1, 0u), group, channel4, sum4_0, sum4_1);
    store_both(subgroupBroadcast(place1, 1u), group, channel4, sum5_0, sum5_1);
    store_both(subgroupBroadcast(place1, 2u), group, channel4, sum6_0, sum6_1);
    store_both(subgroupBroadcast(place1, 3u), group, channel4, sum7_0, sum7_1);
    store_both(subgroupBroadcast(place2, 0u), group, channel4, sum8_0, sum8_1);
    store_both(subgroupBroadcast(place2, 1u), group, channel4, sum9_0, sum9_1);
    store_both(subgroupBroadcast(place2, 2u), group, channel4, sum10_0, sum10_1);
    store_both(subgroupBroadcast(place2, 3u), group, channel4, sum11_0, sum11_1);
    store_both(subgroupBroadcast(place3, 0u), group, channel4, sum12_0, sum12_1);
    store_both(subgroupBroadcast(place3, 1u), group, channel4, sum13_0, sum13_1);
    store_both(subgroupBroadcast(place3, 2u), group, channel4, sum14_0, sum14_1);
    store_both(subgroupBroadcast(place3, 3u), group, channel4, sum15_0, sum15_1);
}
