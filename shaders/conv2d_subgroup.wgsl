//#name conv2d | conv2d_backward_input TRANSPOSED | conv2d_backward_input_blocks BLOCKS
//#axis _subgroup | _subgroup_wide TWO_CHANNELS WIDE
//#or _subgroup_quad FOUR_CHANNELS WIDE PAIRED_WEIGHTS
//#or _subgroup_oct EIGHT_CHANNELS WIDE PAIRED_WEIGHTS PAIRED_MAPS
//#axis - | _f16 HALF
//#with GRADIENT if HALF TRANSPOSED
//#with GRADIENT if HALF BLOCKS
//#never BLOCKS EIGHT_CHANNELS
//#unchecked
//#enable f16 if HALF
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
// two shuffles. A workgroup is one subgroup of eight lanes. It makes tiles of 32 pixels x 32 channels: each lane owns four pixels
// (lane, lane+8, lane+16, lane+24) and all 32 channels in registers; per source channel it loads four activations and one
// vec4 of the weights, which the eight lanes hand to each other. Geometry comes from the uniform block, so that one
// pipeline (half a second of compile time on lavapipe, or several with the flags below) serves every layer.
//
// With the flag TWO_CHANNELS memory is accessed through integers of 64 bits, two source channels an iteration: lavapipe checks, branches
// and moves once for each component of each lane, however wide it is. What order the multiply-adds are written in decides
// how LLVM allots registers; see docs/rejected.md.
//
// With the flag FOUR_CHANNELS it takes four source channels an iteration, of which the last may be padding (zero in both maps and
// weights): a sum that lanes may have left the loop with is kept by a blend, which processors of Intel's make three operations of,
// and here there is one for four products. A lane reads 32 bytes of the weights at once, which are checked for once: lanes 0 to 3
// hold one channel's and lanes 4 to 7 the next one's. The loop no longer fits what some processors keep decoded.
//
// With the flag EIGHT_CHANNELS, where each group has an even number of vec4s on both sides, it takes eight source channels and stores eight:
// half of the blends and of the tests for activations again, for a loop of 42 KB of machine code on lavapipe 25.0.7.
//
// A workgroup makes some tiles of channels in turn, of the same pixels, so that what it takes to find those, and to start a
// workgroup, counts once.
//
// Loops over taps and channels end at their ends: lavapipe finds at the end of a body that no lane is left, so that one with
// its condition at the head runs its body once more with nothing on.
//
// weight: [group][tile of 32 destination channels][r][s][source channel][32], zero where the tile passes the last one; with
// TWO_CHANNELS an even number of source channels, of which the last may be zero; with FOUR_CHANNELS and EIGHT_CHANNELS a multiple of those.
// dispatch: pixel_tiles * (channel_tiles / workgroup_tiles, rounded up) * groups workgroups, channels fastest (they share
// activations), folded.
//#import shared/fold.wgsl
//#import shared/conv2d.wgsl
//#if PAIRED_WEIGHTS
@group(0) @binding(1) var<storage, read> input: array<Run>;
//#elif WIDE
@group(0) @binding(1) var<storage, read> input: array<Stored2>;
//#else
@group(0) @binding(1) var<storage, read> input: array<Stored>;
//#endif

// The sums of four pixels and eight vec4s of channels.
alias Sums = array<array<vec4f, 8>, 4>;

//#if PAIRED_WEIGHTS
//#if PAIRED_MAPS
const SOURCE_CHANNELS: u32 = 8u; // an iteration
//#else
const SOURCE_CHANNELS: u32 = 4u; // an iteration
//#endif

// The products of two source channels of four pixels; even and odd hold the weights of the vec4s 0 2 4 6 and 1 3 5 7, the first channel's
// in lanes 0 to 3 and the second's in 4 to 7. For each vec4 the first channel's products, then the second's.
fn add_two(sums: ptr<function, Sums>, even: vec4f, odd: vec4f, x0: vec2f, x1: vec2f, x2: vec2f, x3: vec2f) {
//#for i in 0..8
    let w{i} = subgroupBroadcast({even,odd[i % 2]}, {i / 2}u);
//#for p in 0..4
    sums[{p}][{i}] += w{i} * x{p}.x;
//#endfor
    let v{i} = subgroupBroadcast({even,odd[i % 2]}, {4 + i / 2}u);
//#for p in 0..4
    sums[{p}][{i}] += v{i} * x{p}.y;
//#endfor
//#endfor
}
//#endif

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let runs = (conv.channel_tiles + conv.workgroup_tiles - 1u) / conv.workgroup_tiles;
    let run = unfold(workgroup, count);
    let pixel_tile = (run / runs) % conv.pixel_tiles;
    let group = run / (conv.pixel_tiles * runs);
    if group >= conv.groups {
        return;
    }
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * 32u + lane;
    let pixels = array(
        pixel_at(phase, first),
        pixel_at(phase, first + 8u),
        pixel_at(phase, first + 16u),
        pixel_at(phase, first + 24u),
    );
    var channel_tile = (run % runs) * conv.workgroup_tiles;
    let end = min(channel_tile + conv.workgroup_tiles, conv.channel_tiles);
    loop {
        make_tile(phase, pixels, group, channel_tile, lane);
        continuing {
            channel_tile++;
            break if channel_tile >= end;
        }
    }
}

// 32 channels of the lane's pixels.
fn make_tile(phase: Phase, pixels: array<Pixel, 4>, group: u32, channel_tile: u32, lane: u32) {
    let taps = tap_count(phase);
//#if PAIRED_WEIGHTS
    // In vec4s, or two of them, as the source is read, and the weights in two.
    let pixel_stride = conv.source_pitch4 * 4u / SOURCE_CHANNELS;
    let group_offset = group * group_source4() * 4u / SOURCE_CHANNELS;
    let tap_weights = group_source4() * 16u;
//#elif WIDE
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
    let tile_weights = (group * conv.channel_tiles + channel_tile) * conv.kernel.x * conv.kernel.y * tap_weights + lane;

    // Sums begin with the bias, of which each lane fetches an eighth, instead of all of it at the end.
    let channel4 = channel_tile * 8u;
    let own_bias = bias_at(group, channel4 + lane);
    let biases = array(
//#for i in 0..8
        subgroupBroadcast(own_bias, {i}u),
//#endfor
    );
    var sums = Sums(biases, biases, biases, biases);
    var tap = tap_of(phase, vec2u());
    for (var i = 0u; i < taps; i++) {
        var w_at = tile_weights + tap.index * tap_weights;
//#for p in 0..4
        let inside{p} = inside(pixels[{p}], tap);
//#endfor
//#for p in 0..4
        var at{p} = select(0u, source_pixel(pixels[{p}], tap) * pixel_stride + group_offset, inside{p});
//#endfor
//#if PAIRED_WEIGHTS
        var c = 0u;
        loop {
            // The order is what LLVM makes most of here too: with both loads before both unpackings it takes a third longer.
            let both0 = weight[w_at];
            let even0 = first4(both0);
            let odd0 = last4(both0);
            let both1 = weight[w_at + 8u];
            let even1 = first4(both1);
            let odd1 = last4(both1);
//#if PAIRED_MAPS
//#for p in 0..4
            let oct{p} = input[at{p}];
//#endfor
//#for p in 0..4
            let x{p} = select(vec4f(), first4(oct{p}), inside{p});
//#endfor
//#for p in 0..4
            let y{p} = select(vec4f(), last4(oct{p}), inside{p});
//#endfor
//#else
//#for p in 0..4
            let quad{p} = unpack4(input[at{p}]);
//#endfor
//#for p in 0..4
            let x{p} = select(vec4f(), quad{p}, inside{p});
//#endfor
            w_at += 16u;
//#for p in 0..4
            at{p}++;
//#endfor
//#endif
            add_two(&sums, even0, odd0, x0.xy, x1.xy, x2.xy, x3.xy);
            add_two(&sums, even1, odd1, x0.zw, x1.zw, x2.zw, x3.zw);
//#if PAIRED_MAPS
            let both2 = weight[w_at + 16u];
            let even2 = first4(both2);
            let odd2 = last4(both2);
            let both3 = weight[w_at + 24u];
            let even3 = first4(both3);
            let odd3 = last4(both3);
            w_at += 32u;
//#for p in 0..4
            at{p}++;
//#endfor
            add_two(&sums, even2, odd2, y0.xy, y1.xy, y2.xy, y3.xy);
            add_two(&sums, even3, odd3, y0.zw, y1.zw, y2.zw, y3.zw);
//#endif
            continuing {
                c += SOURCE_CHANNELS;
                break if c >= conv.group_source_channels;
            }
        }
//#elif WIDE
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
//#for p in 0..4
            let x{p} = select(vec2f(), unpack2(input[at{p}]), vec2(inside{p}, inside{p} && second));
//#endfor
//#else
//#for p in 0..4
            let pair{p} = unpack2(input[at{p}]);
//#endfor
//#for p in 0..4
            let x{p} = select(vec2f(), pair{p}, vec2(inside{p}, inside{p} && second));
//#endfor
            w_at += 16u;
//#endif
//#for p in 0..4
            at{p}++;
//#endfor
//#for i in 0..8
            let w{i} = subgroupBroadcast(held, {i}u);
//#for p in 0..4
            sums[{p}][{i}] += w{i} * x{p}.x;
//#endfor
            let v{i} = subgroupBroadcast(next, {i}u);
//#for p in 0..4
            sums[{p}][{i}] += v{i} * x{p}.y;
//#endfor
//#endfor
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
//#for p in 0..4
            let x{p} = select(0.0, f32(input[at{p}]), inside{p});
//#endfor
//#for p in 0..4
            at{p}++;
//#endfor
//#for i in 0..8
            let w{i} = subgroupBroadcast(held, {i}u);
//#for p in 0..4
            sums[{p}][{i}] += w{i} * x{p};
//#endfor
//#endfor
            continuing {
                c++;
                break if c >= conv.group_source_channels;
            }
        }
//#endif
        if i + 1u >= taps {
            break;
        }
        tap = next_tap(phase, tap);
    }
//#for p in 0..4
    store_pixel(pixels[{p}], group, channel4, sums[{p}]);
//#endfor
}

// All channels of a tile, of one pixel.
fn store_pixel(p: Pixel, group: u32, channel4: u32, sums: array<vec4f, 8>) {
//#if PAIRED_MAPS
    store_two(p, group, channel4, sums[0], sums[1]);
//#for i in 1..4
    store_two(p, group, channel4 + {2 * i}u, sums[{2 * i}], sums[{2 * i + 1}]);
//#endfor
//#else
    store_biased(p, group, channel4, sums[0]);
//#for i in 1..8
    store_biased(p, group, channel4 + {i}u, sums[{i}]);
//#endfor
//#endif
}
