//#name conv2d | conv2d_backward_input TRANSPOSED GRADIENT | conv2d_backward_input_blocks BLOCKS GRADIENT
//#axis _subgroup CHANNELS=1 | _subgroup_wide TWO_CHANNELS WIDE CHANNELS=2
//#or _subgroup_quad FOUR_CHANNELS WIDE PAIRED_WEIGHTS CHANNELS=4
//#or _subgroup_oct EIGHT_CHANNELS WIDE PAIRED_WEIGHTS PAIRED_MAPS CHANNELS=8
//#axis - LANES
//#axis - | _f16 HALF
//#never BLOCKS EIGHT_CHANNELS
//
// conv2d and its input gradient (formulas: shared/conv2d.wgsl), register-blocked with weights broadcast through the subgroup;
// no workgroup memory, no barriers.
//
// For drivers that run one subgroup per vector register (lavapipe: eight lanes). A workgroup is one subgroup. It computes tiles of 32
// pixels x 32 channels: each lane owns four pixels (lane, lane+8, lane+16, lane+24) and all 32 channels in registers. Per source
// channel it loads four activations and one vec4 of the weights, which is broadcast to the other lanes. Channel tiles of the same
// pixels are computed in sequence.
//
// TWO_CHANNELS: two source channels per iteration, memory accessed through 64-bit integers. FOUR_CHANNELS: four per iteration, the last
// ones may be padding, and 32 bytes of weights per lane: lanes 0 to 3 hold one channel's, lanes 4 to 7 the next one's. EIGHT_CHANNELS:
// eight per iteration, and eight are stored at once; the input and output vec4s of each group are even in number. The order of operations
// decides the speed: docs/internals/kernels.md, "What software drivers charge for".
//
// weight: [group][tile of 32 destination channels][r][s][source channel][32], zero where the tile passes the last one; source
// channels are padded with zeros to a multiple of 2, 4 or 8 with these flags.
// dispatch: pixel_tiles * (channel_tiles / workgroup_tiles, rounded up) * groups workgroups, channels fastest (they share
// activations), folded.
//#import shared/workgroup.wgsl
//#import shared/conv2d.wgsl
//#if PAIRED_WEIGHTS
@group(0) @binding(1) var<storage, read> input: array<Run>;
//#elif WIDE
@group(0) @binding(1) var<storage, read> input: array<Stored2>;
//#else
@group(0) @binding(1) var<storage, read> input: array<Stored>;
//#endif

const INVOCATIONS: u32 = 8u;
const SOURCE_CHANNELS: u32 = {CHANNELS}u; // per iteration

// The sums of four pixels and eight vec4s of channels.
alias Sums = array<array<vec4f, 8>, 4>;

//#if WIDE
// Adds the products of two source channels of four pixels. For each vec4 of channels the first one's products come before the second's.
//#if PAIRED_WEIGHTS
// `a` and `b` hold the weights of the vec4s 0 2 4 6 and 1 3 5 7: the first channel's in lanes 0 to 3, the second's in lanes 4 to 7.
//#else
// `a` holds the first channel's weights and `b` the second's.
//#endif
fn add_two(sums: ptr<function, Sums>, a: vec4f, b: vec4f, x: array<vec2f, 4>) {
//#for i in 0..8, c in 0..2
//#if PAIRED_WEIGHTS
    let w{i}_{c} = subgroupBroadcast({ab[i % 2]}, {4 * c + i / 2}u);
//#else
    let w{i}_{c} = subgroupBroadcast({ab[c]}, {i}u);
//#endif
//#for p in 0..4
    sums[{p}][{i}] += w{i}_{c} * x[{p}].{xy[c]};
//#endfor
//#endfor
}
//#endif

fn make(run: u32, lane: u32) {
    let runs = (conv.channel_tiles + conv.workgroup_tiles - 1u) / conv.workgroup_tiles;
    let pixel_tile = (run / runs) % conv.pixel_tiles;
    let group = run / (conv.pixel_tiles * runs);
    if group >= conv.groups {
        return;
    }
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * 32u + lane;
    let pixels = array({p in 0..4: pixel_at(phase, first + {8 * p}u)});
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

// Computes 32 channels of the lane's pixels.
fn make_tile(phase: Phase, pixels: array<Pixel, 4>, group: u32, channel_tile: u32, lane: u32) {
    let taps = tap_count(phase);
//#if PAIRED_WEIGHTS
    // In units of one or two vec4s, as the source is read; weights in units of two vec4s.
    let pixel_stride = conv.source_pitch4 * 4u / SOURCE_CHANNELS;
    let group_offset = group * group_source4() * 4u / SOURCE_CHANNELS;
    let tap_weights = group_source4() * 16u;
//#else
    // In units of one or two channels, as the source is read.
    let pixel_stride = conv.source_pitch4 * {4 / CHANNELS}u;
    let group_offset = group * group_source4() * {4 / CHANNELS}u;
    let tap_weights = (conv.group_source_channels + {CHANNELS - 1}u) / {CHANNELS}u * {8 * CHANNELS}u;
//#endif
    let tile_weights = (group * conv.channel_tiles + channel_tile) * conv.kernel.x * conv.kernel.y * tap_weights + lane;

    // Sums begin with the bias. Each lane loads an eighth of it, instead of all of it at the end.
    let channel4 = channel_tile * 8u;
    let own_bias = bias_at(group, channel4 + lane);
    let biases = array({i in 0..8: subgroupBroadcast(own_bias, {i}u)});
    var sums = Sums(biases, biases, biases, biases);
    var tap = tap_of(phase, vec2u());
    for (var i = 0u; i < taps; i++) {
        var w_at = tile_weights + tap.index * tap_weights;
        let live = vec4({p in 0..4: inside(pixels[{p}], tap)});
        let starts = vec4u({p in 0..4: source_pixel(pixels[{p}], tap) * pixel_stride + group_offset});
        var at = select(vec4u(), starts, live);
//#import shared/conv2d_subgroup_channels.wgsl
        if i + 1u >= taps {
            break;
        }
        tap = next_tap(phase, tap);
    }
//#for p in 0..4
    store_pixel(pixels[{p}], group, channel4, sums[{p}]);
//#endfor
}

// Stores all channels of a tile for one pixel.
fn store_pixel(p: Pixel, group: u32, channel4: u32, sums: array<vec4f, 8>) {
//#if PAIRED_MAPS
//#for i in 0..4
    store_two(p, group, channel4 + {2 * i}u, sums[{2 * i}], sums[{2 * i + 1}]);
//#endfor
//#else
//#for i in 0..8
    store_biased(p, group, channel4 + {i}u, sums[{i}]);
//#endfor
//#endif
}
