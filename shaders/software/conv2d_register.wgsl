//#name conv2d | conv2d_backward_input TRANSPOSED GRADIENT | conv2d_backward_input_blocks BLOCKS GRADIENT
//#axis _register
//#axis - | _f16 HALF
//
// conv2d and its input gradient (formulas: shared/conv2d.wgsl), register-blocked; no workgroup memory, no barriers, no
// subgroup operations.
//
// For software drivers without subgroups, and small GPUs with little workgroup memory. Each invocation computes 8 pixels x
// 8 channels in registers; per four source channels it loads one vec4 of each pixel and 8 vec4s of weights.
//
// weight: [group][tile of 8 destination channels][r][s][source channel padded to 4][8], zero in the padding.
// dispatch: one invocation per tile, pixel tiles fastest, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

fn make(tile: u32) {
    let pixel_tile = tile % conv.pixel_tiles;
    let channel_tile = (tile / conv.pixel_tiles) % conv.channel_tiles;
    let group = tile / (conv.pixel_tiles * conv.channel_tiles);
    if group >= conv.groups {
        return;
    }
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * 8u;
    let taps = tap_count(phase);
    let pixels = array({p in 0..8: pixel_at(phase, first + {p}u)});
    let group_in4 = group_source4();
    let group_offset = group * group_in4;
    let tap_weights = group_in4 * 8u;
    let tile_weights = (group * conv.channel_tiles + channel_tile) * conv.kernel.x * conv.kernel.y * tap_weights;

    var sums: array<array<vec4f, 2>, 8>;
    var tap = tap_of(phase, vec2u());
    for (var i = 0u; i < taps; i++) {
        var w_at = tile_weights + tap.index * tap_weights;
        let live = array({p in 0..8: inside(pixels[{p}], tap)});
//#for p in 0..8
        var at{p} = select(0u, source_pixel(pixels[{p}], tap) * conv.source_pitch4 + group_offset, live[{p}]);
//#endfor
        for (var c4 = 0u; c4 < group_in4; c4++) {
            let x = array({p in 0..8: select(vec4f(), vec4f(input[at{p}]), live[{p}])});
//#for p in 0..8
            at{p}++;
//#endfor
//#for i in 0..8
            let w{i} = vec4f(weight[w_at + {i}u]);
//#for p in 0..8
            sums[{p}][{i % 2}] += w{i} * x[{p}].{xyzw[i / 2]};
//#endfor
//#endfor
            w_at += 8u;
        }
        tap = next_tap(phase, tap);
    }
//#for p in 0..8, i in 0..2
    store(pixels[{p}], group, channel_tile * 2u + {i}u, sums[{p}][{i}]);
//#endfor
}
