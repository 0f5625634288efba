//#axis - | _f16 HALF
//#unchecked
//#enable f16 if HALF
//
// The gradient of a convolution by its weight,
//
//   grad_weight[k,r,s,c] = sum over n,p,q of grad_output[n,p,q,k] * input[n, p*stride+r*dilation-padding, q*…, c]
//
// as a split-K GEMM whose reduction runs over the pixels of grad_output: a slice of them for each partial result, which
// a second pass (sum_partials.wgsl) adds in a fixed order, so that the bits never change. A column is a vec4 of input
// channels under one tap; columns of all taps follow one another, so that a stem of three channels fills a tile too.
//
// For drivers with subgroups of four (SwiftShader), for the reasons of conv2d_subgroup4.wgsl. A workgroup is one subgroup; it
// makes 16 output channels x 4 columns: each lane owns one column and all 16 channels. It takes four pixels an iteration, of
// which a lane loads its column and one vec4 of grad_output, which the lanes hand to each other by swaps: sum<4i+j> belongs
// to output channel 4 * (lane xor i) + j.
//
// dispatch: column_tiles * row_tiles * groups * slices workgroups, folded.
//#import shared/add_products.wgsl
//#import shared/fold.wgsl
//#import shared/conv2d_backward_weight.wgsl
//#import shared/window.wgsl

// One column of four output channels.
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
    // Lanes past the group's last channel repeat it; what they hand out is never stored.
    let own4 = tile.group * group_out4 + min(tile.row * 4u + lane, group_out4 - 1u);
    let start = tile.slice * conv.slice;
    let end = min(start + conv.slice, conv.pixels);
    var place = place_of(start);
    let x_start = column_start(column);
    var g_at = start * conv.out_pitch4 + own4;

    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    var sum4 = vec4f();
    var sum5 = vec4f();
    var sum6 = vec4f();
    var sum7 = vec4f();
    var sum8 = vec4f();
    var sum9 = vec4f();
    var sum10 = vec4f();
    var sum11 = vec4f();
    var sum12 = vec4f();
    var sum13 = vec4f();
    var sum14 = vec4f();
    var sum15 = vec4f();
    for (var pixel = start; pixel < end; pixel += 4u) {
        // Past a slice's last pixel there are none.
        let left = end - pixel;
        let there1 = left > 1u;
        let there2 = left > 2u;
        let there3 = left > 3u;
        let x0 = input_under(column, x_start, place, true);
        place = after(place);
        let x1 = input_under(column, x_start, place, there1);
        place = after(place);
        let x2 = input_under(column, x_start, place, there2);
        place = after(place);
        let x3 = input_under(column, x_start, place, there3);
        place = after(place);
        let g0 = unpack_floats(grad_output[g_at]);
        let g1 = select(vec4f(), unpack_floats(grad_output[g_at + select(0u, conv.out_pitch4, there1)]), there1);
        let g2 = select(vec4f(), unpack_floats(grad_output[g_at + select(0u, 2u * conv.out_pitch4, there2)]), there2);
        let g3 = select(vec4f(), unpack_floats(grad_output[g_at + select(0u, 3u * conv.out_pitch4, there3)]), there3);
        g_at += 4u * conv.out_pitch4;
        // By channel instead of by pixel.
        let g = transpose(mat4x4f(g0, g1, g2, g3));
        sum0 = add_products(sum0, g[0], x0, x1, x2, x3);
        sum1 = add_products(sum1, g[1], x0, x1, x2, x3);
        sum2 = add_products(sum2, g[2], x0, x1, x2, x3);
        sum3 = add_products(sum3, g[3], x0, x1, x2, x3);
        sum4 = add_products(sum4, quadSwapX(g[0]), x0, x1, x2, x3);
        sum5 = add_products(sum5, quadSwapX(g[1]), x0, x1, x2, x3);
        sum6 = add_products(sum6, quadSwapX(g[2]), x0, x1, x2, x3);
        sum7 = add_products(sum7, quadSwapX(g[3]), x0, x1, x2, x3);
        sum8 = add_products(sum8, quadSwapY(g[0]), x0, x1, x2, x3);
        sum9 = add_products(sum9, quadSwapY(g[1]), x0, x1, x2, x3);
        sum10 = add_products(sum10, quadSwapY(g[2]), x0, x1, x2, x3);
        sum11 = add_products(sum11, quadSwapY(g[3]), x0, x1, x2, x3);
        sum12 = add_products(sum12, quadSwapDiagonal(g[0]), x0, x1, x2, x3);
        sum13 = add_products(sum13, quadSwapDiagonal(g[1]), x0, x1, x2, x3);
        sum14 = add_products(sum14, quadSwapDiagonal(g[2]), x0, x1, x2, x3);
        sum15 = add_products(sum15, quadSwapDiagonal(g[3]), x0, x1, x2, x3);
    }
    let at = tile.column * 4u + lane;
    let first = 4u * (tile.row * 4u + lane);
    store_four(tile, first, at, sum0, sum1, sum2, sum3);
    store_four(tile, first ^ 4u, at, sum4, sum5, sum6, sum7);
    store_four(tile, first ^ 8u, at, sum8, sum9, sum10, sum11);
    store_four(tile, first ^ 12u, at, sum12, sum13, sum14, sum15);
}
