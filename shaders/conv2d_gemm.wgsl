//#name conv2d | conv2d_backward_input TRANSPOSED GRADIENT | conv2d_backward_input_blocks BLOCKS GRADIENT
//#axis _gemm TILED
//#axis - TILE_64X64_8X4 T64X64 EIGHT SHORT
//#or _16x64 TILE_16X64 T16X64
//#or _32x32 TILE_32X32 T32X32
//#or _64x32 TILE_64X32 T64X32
//#or _64x64 TILE_64X64 T64X64 EIGHT TWICE SHORT
//#or _128x64 TILE_128X64 T128X64 EIGHT TWICE SHORT
//#or _128x128 TILE_128X128 T128X128 EIGHT TWICE
//#or _128x128_16x8 TILE_128X128_16X8 T128X128 EIGHT TWICE SIXTEEN SHORT
//#axis - | _split SPLIT
//#axis - | _f16 HALF
//#never SPLIT BLOCKS
//#never SPLIT TRANSPOSED HALF
//#unchecked
//#enable f16 if HALF
//
// conv2d and its gradient by input as an implicit GEMM with workgroup tiles, for hardware GPUs.
//
//   conv2d:                 output[n,p,q,k] = relu(bias[k] + residual[n,p,q,k]
//                               + sum over r,s,c of input[n, p*stride+r*dilation-padding, q*…, c] * weight[k,c,r,s])
//   conv2d_backward_input:  grad_input[n,h,w,c] = residual[n,h,w,c]
//                               + sum over r,s,k of grad_output[n, (h+padding-r*dilation)/stride, …, k] * weight[k,c,r,s]
//                           through the ReLU before the convolution, where its input came out of one
//
// A workgroup makes PIXELS x CHANNELS, STEPS steps of the reduction (r, s, c) at a time, which all sizes of tiles add in the same order.
// Every invocation fetches ACTIVATIONS vec4s of activations (four channels of one tap, stored turned, so that a row of the tile
// is one step) and WEIGHTS vec4s of weights. While a tile is multiplied, the next is on its way into registers: no load is in a
// branch, addresses are always inside, and what is padding becomes zero when it is stored. An invocation accumulates 4
// or (EIGHT) 8 or (SIXTEEN) 16 pixels x 4 or (TWICE) 8 channels; neighbours make 4 x 8 such blocks, and so read few rows.
//
// weight: [group][r][s][source channel padded to 4][destination channels padded to CHANNELS], zero in the padding.
// SPLIT: a workgroup adds one part of the reduction, and conv2d_sum_parts.wgsl the parts, in order.
// dispatch: pixel_tiles * channel_tiles * groups (* parts) workgroups, channel tiles fastest (they share activations), folded.
//#import shared/fold.wgsl
//#import shared/conv2d.wgsl
//#import shared/conv2d_end.wgsl
//#import shared/conv2d_walk.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

//#if T16X64
const PIXELS: u32 = 16u;
const CHANNELS: u32 = 64u;
const INVOCATIONS: u32 = 64u;
//#endif
//#if T32X32
const PIXELS: u32 = 32u;
const CHANNELS: u32 = 32u;
const INVOCATIONS: u32 = 64u;
//#endif
//#if T64X32
const PIXELS: u32 = 64u;
const CHANNELS: u32 = 32u;
const INVOCATIONS: u32 = 128u;
//#endif
//#if T64X64
const PIXELS: u32 = 64u;
const CHANNELS: u32 = 64u;
//#if TWICE
const INVOCATIONS: u32 = 64u;
//#else
const INVOCATIONS: u32 = 128u;
//#endif
//#endif
//#if T128X64
const PIXELS: u32 = 128u;
const CHANNELS: u32 = 64u;
const INVOCATIONS: u32 = 128u;
//#endif
//#if T128X128
const PIXELS: u32 = 128u;
const CHANNELS: u32 = 128u;
//#if SIXTEEN
const INVOCATIONS: u32 = 128u;
//#else
const INVOCATIONS: u32 = 256u;
//#endif
//#endif
// Of the reduction, per tile: fewer where registers are short, since what is under way takes some of them.
//#if SHORT
const STEPS: u32 = 8u;
//#else
const STEPS: u32 = 16u;
//#endif
const STEPS4: u32 = STEPS / 4u;
const CHANNELS4: u32 = CHANNELS / 4u;
// What an invocation fetches for a tile.
const ACTIVATIONS: u32 = PIXELS * STEPS4 / INVOCATIONS;
const WEIGHTS: u32 = CHANNELS4 * STEPS / INVOCATIONS;
// Pixels, and rows of weights, that all invocations fetch at once.
const LINES: u32 = INVOCATIONS / STEPS4;
const WEIGHT_ROWS: u32 = INVOCATIONS / CHANNELS4;
// Invocations along the channels and the pixels of a tile. Each owns a vec4 of channels, or two that lie ACROSS apart, and
// four pixels, or two or four times four that lie DOWN * 4 apart.
//#if TWICE
const ACROSS: u32 = CHANNELS4 / 2u;
//#else
const ACROSS: u32 = CHANNELS4;
//#endif
const DOWN: u32 = INVOCATIONS / ACROSS;
// Four rows of activations, and as much more as the pixels that 32 invocations store of each row: they meet different banks.
const FOUR_ROWS: u32 = 4u * PIXELS + 32u / STEPS4;

// [step][pixel], of floats, since invocations that store parts of one vec4 would race, and [step][four channels].
var<workgroup> activations: array<f32, STEPS4 * FOUR_ROWS>;
var<workgroup> weights: array<vec4f, STEPS * CHANNELS4>;

// Four steps of a pixel, each into its row.
fn turn(at: u32, v: vec4f) {
    activations[at] = v.x;
    activations[at + PIXELS] = v.y;
    activations[at + 2u * PIXELS] = v.z;
    activations[at + 3u * PIXELS] = v.w;
}

// One step of four pixels.
fn pixels_at(at: u32) -> vec4f {
    return vec4f(activations[at], activations[at + 1u], activations[at + 2u], activations[at + 3u]);
}

// What sums begin with.
fn first_of(group: u32, channel4: u32) -> vec4f {
//#if BLOCKS
    return vec4f();
//#else
    return bias_at(group, channel4);
//#endif
}

// The vec4 of weights in a row of the tile that starts with the step `start4`, where tiles are partial or under several taps; `lane` is
// that of the first row for the same channels.
fn weight_at(phase: Phase, start4: u32, end4: u32, group_in4: u32, row: u32, lane: u32, row4: u32) -> Place {
    let step4 = start4 + row / 4u;
//#if TRANSPOSED
    let at = rows_before(walk_from(phase, step4, group_in4), group_in4) + row % 4u;
//#else
    let at = step4 * 4u + row % 4u;
//#endif
    return place_of(lane + at * row4, step4 < end4);
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
    // The group, and with SPLIT part * groups + group.
    let slot = tile / (conv.pixel_tiles * conv.channel_tiles);
//#if SPLIT
    let group = slot % conv.groups;
    let part = slot / conv.groups;
    if part >= conv.parts {
        return;
    }
//#else
    let group = slot;
    if group >= conv.groups {
        return;
    }
//#endif
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * PIXELS;
    let group_in4 = group_source4();
    // The steps that are added here; a phase of few taps may have none, or none for the last parts.
//#if SPLIT
    let begin4 = part * conv.part_steps4;
    let end4 = min(tap_count(phase) * group_in4, begin4 + conv.part_steps4);
//#else
    let begin4 = 0u;
    let end4 = tap_count(phase) * group_in4;
//#endif

    // Fetching: invocation i brings step4 i%STEPS4 of pixels i/STEPS4, LINES after it and so on, and vec4 i%CHANNELS4 of the rows of
    // weights i/CHANNELS4, WEIGHT_ROWS after it and so on.
    let step4 = invocation % STEPS4;
    let line = invocation / STEPS4;
    let lane4 = group * group_in4 + select(0u, step4, WHOLE);
    let stride = stride_of(phase, group_in4);
    var walk = walk_from(phase, begin4 + select(step4, 0u, WHOLE), group_in4);
    var pixels: array<Pixel, ACTIVATIONS>;
    var starts: array<u32, ACTIVATIONS>;
    var places: array<Place, ACTIVATIONS>;
    var next: array<Stored4, ACTIVATIONS>;
    for (var i = 0u; i < ACTIVATIONS; i++) {
        pixels[i] = pixel_at(phase, first + line + i * LINES);
        starts[i] = start_of(pixels[i]) + lane4;
        places[i] = source_at(walk, pixels[i], starts[i], begin4 + step4 < end4);
        next[i] = input[places[i].at];
    }
    let row4 = conv.channel_tiles * CHANNELS4;
    let weight_row = invocation / CHANNELS4;
    let group_rows = group * conv.kernel.x * conv.kernel.y * group_in4 * 4u;
    let weight_lane = group_rows * row4 + channel_tile * CHANNELS4 + invocation % CHANNELS4;
    var weight_tile = rows_before(walk, group_in4) * row4;
    var weight_places: array<Place, WEIGHTS>;
    var next_weights: array<Stored4, WEIGHTS>;
    for (var i = 0u; i < WEIGHTS; i++) {
        let row = weight_row + i * WEIGHT_ROWS;
        if WHOLE {
            weight_places[i] = place_of(weight_lane + row * row4 + weight_tile, begin4 < end4);
        } else {
            weight_places[i] = weight_at(phase, begin4, end4, group_in4, row, weight_lane, row4);
        }
        next_weights[i] = weight[weight_places[i].at];
    }

    // Computing: 8 invocations along the channels and 4 along the pixels are neighbours.
    let own_channel4 = invocation % 8u + invocation / 32u % (ACROSS / 8u) * 8u;
    let own_quad = invocation / 8u % 4u + invocation / 32u / (ACROSS / 8u) * 4u;
    let out4 = channel_tile * CHANNELS4 + own_channel4;
    var sums00 = four_of(first_of(group, out4));
//#if EIGHT
    var sums10 = sums00;
//#endif
//#if TWICE
    var sums01 = four_of(first_of(group, out4 + ACROSS));
    var sums11 = sums01;
//#endif
//#if SIXTEEN
    var sums20 = sums00;
    var sums21 = sums01;
    var sums30 = sums00;
    var sums31 = sums01;
//#endif
    for (var start4 = begin4; start4 < end4; start4 += STEPS4) {
        for (var i = 0u; i < ACTIVATIONS; i++) {
            turn(step4 * FOUR_ROWS + line + i * LINES, counted(places[i], vec4f(next[i])));
        }
        for (var i = 0u; i < WEIGHTS; i++) {
            weights[invocation + i * INVOCATIONS] = counted_weight(weight_places[i], vec4f(next_weights[i]));
        }
        workgroupBarrier();
        // After the last tile what was loaded for it is loaded once more, and dropped.
        let next4 = start4 + STEPS4;
        let more = !WHOLE | (next4 < end4);
        walk = walk_on(phase, walk, stride, group_in4, more);
        for (var i = 0u; i < ACTIVATIONS; i++) {
            places[i] = source_at(walk, pixels[i], starts[i], WHOLE | (next4 + step4 < end4));
            next[i] = input[places[i].at];
        }
//#if TRANSPOSED
        weight_tile = rows_before(walk, group_in4) * row4;
//#else
        weight_tile += select(0u, STEPS * row4, more);
//#endif
        for (var i = 0u; i < WEIGHTS; i++) {
            let row = weight_row + i * WEIGHT_ROWS;
            if WHOLE {
                weight_places[i] = place_of(weight_lane + row * row4 + weight_tile, true);
            } else {
                weight_places[i] = weight_at(phase, next4, end4, group_in4, row, weight_lane, row4);
            }
            next_weights[i] = weight[weight_places[i].at];
        }
        // Compilers unroll loops of four. What is read last is used first: then there is one wait for all that a step reads.
        for (var four = 0u; four < STEPS4; four++) {
            for (var i = 0u; i < 4u; i++) {
                let at = four * FOUR_ROWS + i * PIXELS + own_quad * 4u;
                let step = four * 4u + i;
                let x = pixels_at(at);
                let w = weights[step * CHANNELS4 + own_channel4];
//#if EIGHT
                let y = pixels_at(at + DOWN * 4u);
//#endif
//#if TWICE
                let v = weights[step * CHANNELS4 + own_channel4 + ACROSS];
//#if SIXTEEN
                let y2 = pixels_at(at + DOWN * 8u);
                let y3 = pixels_at(at + DOWN * 12u);
                sums31 = add_products(sums31, y3, v);
                sums30 = add_products(sums30, y3, w);
                sums21 = add_products(sums21, y2, v);
                sums20 = add_products(sums20, y2, w);
//#endif
                sums11 = add_products(sums11, y, v);
                sums01 = add_products(sums01, x, v);
//#endif
//#if EIGHT
                sums10 = add_products(sums10, y, w);
//#endif
                sums00 = add_products(sums00, x, w);
            }
        }
        workgroupBarrier();
    }

    let own_pixel = first + own_quad * 4u;
    let pixels0 = four_pixels(phase, own_pixel);
    end(pixels0, slot, out4, sums00);
//#if TWICE
    end(pixels0, slot, out4 + ACROSS, sums01);
//#endif
//#if EIGHT
    // The second four pixels are a part of the tile away, so that neighbours read neighbouring vec4s.
    let pixels1 = four_pixels(phase, own_pixel + DOWN * 4u);
    end(pixels1, slot, out4, sums10);
//#if TWICE
    end(pixels1, slot, out4 + ACROSS, sums11);
//#endif
//#endif
//#if SIXTEEN
    let pixels2 = four_pixels(phase, own_pixel + DOWN * 8u);
    end(pixels2, slot, out4, sums20);
    end(pixels2, slot, out4 + ACROSS, sums21);
    let pixels3 = four_pixels(phase, own_pixel + DOWN * 12u);
    end(pixels3, slot, out4, sums30);
    end(pixels3, slot, out4 + ACROSS, sums31);
//#endif
}

fn four_pixels(phase: Phase, first: u32) -> array<Pixel, 4> {
    return array(
        pixel_at(phase, first),
        pixel_at(phase, first + 1u),
        pixel_at(phase, first + 2u),
        pixel_at(phase, first + 3u),
    );
}
