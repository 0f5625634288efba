//#name conv2d | conv2d_backward_input TRANSPOSED GRADIENT | conv2d_backward_input_blocks BLOCKS GRADIENT
//#axis _subgroup4
//#axis - LANES
//#axis - | _f16 HALF
//
// conv2d and its input gradient (formulas: shared/conv2d.wgsl) for subgroups of four, register-blocked with activations exchanged
// by its lanes; no workgroup memory, no barriers.
//
// For SwiftShader (docs/internals/kernels.md, "What software drivers charge for"). A workgroup is one subgroup. It computes 16 pixels x 32
// channels: each lane owns two vec4s of channels (lane, lane+4) of all 16 pixels. Per four source channels it loads eight vec4s of the
// weights and four of the activations, those of the pixels lane, lane+4, lane+8 and lane+12. Lanes exchange activations by swaps, each in
// its own order, so that sum<4i+j> belongs to pixel 4i + (lane xor j).
//
// weight: [group][tile of 32 destination channels][r][s][source channel padded to 4][32], zero in the padding.
// dispatch: pixel_tiles * channel_tiles * groups workgroups, pixel tiles fastest, folded.
//#import shared/add_products.wgsl
//#import shared/workgroup.wgsl
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

const INVOCATIONS: u32 = 4u;

// Stores two vec4s of channels of a pixel; `place` is its image and its index.
fn store_both(place: vec2u, group: u32, channel4: u32, sum0: vec4f, sum1: vec4f) {
    let pixel = Pixel(place.x, 0u, 0u, place.y);
    store_biased(pixel, group, channel4, sum0);
    store_biased(pixel, group, channel4 + 4u, sum1);
}

fn make(tile: u32, lane: u32) {
    let pixel_tile = tile % conv.pixel_tiles;
    let channel_tile = (tile / conv.pixel_tiles) % conv.channel_tiles;
    let group = tile / (conv.pixel_tiles * conv.channel_tiles);
    if group >= conv.groups {
        return;
    }
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * 16u + lane;
    let taps = tap_count(phase);
    let pixels = array({p in 0..4: pixel_at(phase, first + {4 * p}u)});
    let group_in4 = group_source4();
    let group_offset = group * group_in4;
    let tap_weights = group_in4 * 32u;
    let tile_weights = (group * conv.channel_tiles + channel_tile) * conv.kernel.x * conv.kernel.y * tap_weights + lane;

    // Sums begin with the bias, which each lane loads once for all of its pixels.
    let channel4 = channel_tile * 8u + lane;
    let bias0 = bias_at(group, channel4);
    let bias1 = bias_at(group, channel4 + 4u);
//#for i in 0..16
    var sum{i}_0 = bias0;
    var sum{i}_1 = bias1;
//#endfor
    var tap = tap_of(phase, vec2u());
    for (var i = 0u; i < taps; i++) {
        var w_at = tile_weights + tap.index * tap_weights;
        let live = array({p in 0..4: inside(pixels[{p}], tap)});
//#for p in 0..4
        var at{p} = select(0u, source_pixel(pixels[{p}], tap) * conv.source_pitch4 + group_offset, live[{p}]);
//#endfor
        for (var c4 = 0u; c4 < group_in4; c4++) {
//#for c in 0..4
            let w{c}_0 = vec4f(weight[w_at + {8 * c}u]);
            let w{c}_1 = vec4f(weight[w_at + {8 * c + 4}u]);
//#endfor
            w_at += 32u;
//#for p in 0..4
            let x{4 * p} = select(vec4f(), vec4f(input[at{p}]), live[{p}]);
            at{p}++;
            sum{4 * p}_0 = add_products(sum{4 * p}_0, x{4 * p}, w0_0, w1_0, w2_0, w3_0);
            sum{4 * p}_1 = add_products(sum{4 * p}_1, x{4 * p}, w0_1, w1_1, w2_1, w3_1);
//#for j in 1..4
            let x{4 * p + j} = quadSwap{X,Y,Diagonal[j - 1]}(x{4 * p});
            sum{4 * p + j}_0 = add_products(sum{4 * p + j}_0, x{4 * p + j}, w0_0, w1_0, w2_0, w3_0);
            sum{4 * p + j}_1 = add_products(sum{4 * p + j}_1, x{4 * p + j}, w0_1, w1_1, w2_1, w3_1);
//#endfor
//#endfor
        }
        tap = next_tap(phase, tap);
    }
//#for p in 0..4
    let place{p} = vec2u(pixels[{p}].image, pixels[{p}].at);
    store_both(place{p}, group, channel4, sum{4 * p}_0, sum{4 * p}_1);
//#for j in 1..4
    store_both(quadSwap{X,Y,Diagonal[j - 1]}(place{p}), group, channel4, sum{4 * p + j}_0, sum{4 * p + j}_1);
//#endfor
//#endfor
}
