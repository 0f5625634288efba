//#axis - | _f16 HALF
//
// The weight gradient of a convolution (formula: shared/conv2d_backward_weight.wgsl), with gradients exchanged by lanes.
//
// For drivers with subgroups of four (SwiftShader), for the reasons of conv2d_subgroup4.wgsl. A workgroup is one subgroup; it
// computes 16 output channels x 4 columns: each lane owns one column and all 16 channels. Per iteration it reads four pixels: of each a
// lane loads its column and one vec4 of grad_output, which lanes exchange by swaps. sum<4i+j> belongs to output channel
// 4 * (lane xor i) + j.
//
// dispatch: column_tiles * row_tiles * groups * slices workgroups, folded.
//#import shared/add_products.wgsl
//#import shared/fold.wgsl
//#import shared/conv2d_backward_weight.wgsl
//#import shared/window.wgsl

// Stores one column of four output channels.
fn store_four(tile: Tile, channel: u32, column: u32, sum0: vec4f, sum1: vec4f, sum2: vec4f, sum3: vec4f) {
    store(tile, channel, column, sum0);
    store(tile, channel + 1u, column, sum1);
    store(tile, channel + 2u, column, sum2);
    store(tile, channel + 3u, column, sum3);
}

@compute @workgroup_size(4)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tile = tile_at(unfold(workgroup, count));
    if tile.slice >= conv.slices {
        return;
    }
    let column = column_at(tile, tile.column * 4u + lane);
    let group_out4 = group_out_vec4s();
    // Lanes past the group's last channel repeat it; the products with it are never stored.
    let own4 = tile.group * group_out4 + min(tile.row * 4u + lane, group_out4 - 1u);
    let start = tile.slice * conv.slice;
    let end = min(start + conv.slice, conv.pixels);
    var place = place_of(start);
    let x_start = column_start(column);
    var g_at = start * conv.out_pitch4 + own4;

//#for i in 0..16
    var sum{i} = vec4f();
//#endfor
    for (var pixel = start; pixel < end; pixel += 4u) {
        // Pixels past the end of the slice are masked.
        let left = end - pixel;
        let there1 = left > 1u;
        let there2 = left > 2u;
        let there3 = left > 3u;
        let x0 = input_under(column, x_start, place, true);
        place = after(place);
//#for p in 1..4
        let x{p} = input_under(column, x_start, place, there{p});
        place = after(place);
//#endfor
        let g0 = unpack4(grad_output[g_at]);
        let g1 = select(vec4f(), unpack4(grad_output[g_at + select(0u, conv.out_pitch4, there1)]), there1);
        let g2 = select(vec4f(), unpack4(grad_output[g_at + select(0u, 2u * conv.out_pitch4, there2)]), there2);
        let g3 = select(vec4f(), unpack4(grad_output[g_at + select(0u, 3u * conv.out_pitch4, there3)]), there3);
        g_at += 4u * conv.out_pitch4;
        // By channel instead of by pixel.
        let g = transpose(mat4x4f(g0, g1, g2, g3));
//#for j in 0..4
        sum{j} = add_products(sum{j}, g[{j}], x0, x1, x2, x3);
//#endfor
//#for i in 1..4
//#for j in 0..4
        sum{4 * i + j} = add_products(sum{4 * i + j}, quadSwap{X,Y,Diagonal[i - 1]}(g[{j}]), x0, x1, x2, x3);
//#endfor
//#endfor
    }
    let at = tile.column * 4u + lane;
    let first = 4u * (tile.row * 4u + lane);
    store_four(tile, first, at, sum0, sum1, sum2, sum3);
//#for i in 1..4
    store_four(tile, first ^ {4 * i}u, at, sum{4 * i}, sum{4 * i + 1}, sum{4 * i + 2}, sum{4 * i + 3});
//#endfor
}
