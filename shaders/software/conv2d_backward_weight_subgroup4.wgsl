//#axis - LANES
//#axis - | _f16 HALF
//
// The weight gradient of a convolution (formula: shared/conv2d_backward_weight.wgsl), with gradients exchanged by lanes.
//
// For drivers with subgroups of four (SwiftShader), for the reasons of conv2d_subgroup4.wgsl. A workgroup is one subgroup; it
// computes 16 output channels x 4 columns: each lane owns one column and all 16 channels. Per iteration it reads four pixels: of each a
// lane loads its column and one vec4 of grad_output, which lanes exchange by swaps. sums[i][j] belongs to output channel
// 4 * (lane xor i) + j.
//
// dispatch: column_tiles * row_tiles * groups * slices workgroups, folded.
//#import shared/add_products.wgsl
//#import shared/workgroup.wgsl
//#import shared/conv2d_backward_weight.wgsl
//#import shared/window.wgsl

const INVOCATIONS: u32 = 4u;

fn make(index: u32, lane: u32) {
    let tile = tile_at(index);
    if tile.slice >= conv.slices {
        return;
    }
    let column = column_at(tile, tile.column * 4u + lane);
    let own4 = grad_channel4(tile, tile.row * 4u + lane);
    let start = tile.slice * conv.slice;
    let end = min(start + conv.slice, conv.pixels);
    var place = place_of(start);
    let x_start = column_start(column);
    var g_at = start * conv.out_pitch4 + own4;

    var sums: array<array<vec4f, 4>, 4>;
    for (var pixel = start; pixel < end; pixel += 4u) {
        // Pixels past the end of the slice are masked.
        let left = end - pixel;
        let there = array(true, {p in 1..4: left > {p}u});
//#for p in 0..4
        let x{p} = input_under(column, x_start, place, there[{p}]);
        place = after(place);
//#endfor
        let g0 = unpack4(grad_output[g_at]);
//#for p in 1..4
        let held{p} = unpack4(grad_output[g_at + select(0u, {p}u * conv.out_pitch4, there[{p}])]);
        let g{p} = select(vec4f(), held{p}, there[{p}]);
//#endfor
        g_at += 4u * conv.out_pitch4;
        // By channel instead of by pixel.
        let g = transpose(mat4x4f(g0, g1, g2, g3));
//#for j in 0..4
        sums[0][{j}] = add_products(sums[0][{j}], g[{j}], x0, x1, x2, x3);
//#endfor
//#for i in 1..4, j in 0..4
        sums[{i}][{j}] = add_products(sums[{i}][{j}], quadSwap{X,Y,Diagonal[i - 1]}(g[{j}]), x0, x1, x2, x3);
//#endfor
    }
    let at = tile.column * 4u + lane;
    let first = 4u * (tile.row * 4u + lane);
    store_four(tile, first, at, sums[0]);
//#for i in 1..4
    store_four(tile, first ^ {4 * i}u, at, sums[{i}]);
//#endfor
}
