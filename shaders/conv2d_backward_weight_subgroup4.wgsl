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
    let x_start = (column.offset.x * conv.in_width + column.offset.y) * conv.in_pitch4 + column.channel4;
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
        let own = mat4x4f(g0, g1, g2, g3);
        sum0 = add_products(sum0, vec4f(own[0].x, own[1].x, own[2].x, own[3].x), x0, x1, x2, x3);
        sum1 = add_products(sum1, vec4f(own[0].y, own[1].y, own[2].y, own[3].y), x0, x1, x2, x3);
        sum2 = add_products(sum2, vec4f(own[0].z, own[1].z, own[2].z, own[3].z), x0, x1, x2, x3);
        sum3 = add_products(sum3, vec4f(own[0].w, own[1].w, own[2].w, own[3].w), x0, x1, x2, x3);
        let swapped_x = mat4x4f(quadSwapX(g0), quadSwapX(g1), quadSwapX(g2), quadSwapX(g3));
        sum4 = add_products(sum4, vec4f(swapped_x[0].x, swapped_x[1].x, swapped_x[2].x, swapped_x[3].x), x0, x1, x2, x3);
        sum5 = add_products(sum5, vec4f(swapped_x[0].y, swapped_x[1].y, swapped_x[2].y, swapped_x[3].y), x0, x1, x2, x3);
        sum6 = add_products(sum6, vec4f(swapped_x[0].z, swapped_x[1].z, swapped_x[2].z, swapped_x[3].z), x0, x1, x2, x3);
        sum7 = add_products(sum7, vec4f(swapped_x[0].w, swapped_x[1].w, swapped_x[2].w, swapped_x[3].w), x0, x1, x2, x3);
        let swapped_y = mat4x4f(quadSwapY(g0), quadSwapY(g1), quadSwapY(g2), quadSwapY(g3));
        sum8 = add_products(sum8, vec4f(swapped_y[0].x, swapped_y[1].x, swapped_y[2].x, swapped_y[3].x), x0, x1, x2, x3);
        sum9 = add_products(sum9, vec4f(swapped_y[0].y, swapped_y[1].y, swapped_y[2].y, swapped_y[3].y), x0, x1, x2, x3);
        sum10 = add_products(sum10, vec4f(swapped_y[0].z, swapped_y[1].z, swapped_y[2].z, swapped_y[3].z), x0, x1, x2, x3);
        sum11 = add_products(sum11, vec4f(swapped_y[0].w, swapped_y[1].w, swapped_y[2].w, swapped_y[3].w), x0, x1, x2, x3);
        let swapped_diagonal = mat4x4f(quadSwapDiagonal(g0), quadSwapDiagonal(g1), quadSwapDiagonal(g2), quadSwapDiagonal(g3));
        sum12 = add_products(sum12, vec4f(swapped_diagonal[0].x, swapped_diagonal[1].x, swapped_diagonal[2].x, swapped_diagonal[3].x), x0, x1, x2, x3);
        sum13 = add_products(sum13, vec4f(swapped_diagonal[0].y, swapped_diagonal[1].y, swapped_diagonal[2].y, swapped_diagonal[3].y), x0, x1, x2, x3);
        sum14 = add_products(sum14, vec4f(swapped_diagonal[0].z, swapped_diagonal[1].z, swapped_diagonal[2].z, swapped_diagonal[3].z), x0, x1, x2, x3);
        sum15 = add_products(sum15, vec4f(swapped_diagonal[0].w, swapped_diagonal[1].w, swapped_diagonal[2].w, swapped_diagonal[3].w), x0, x1, x2, x3);
    }
    let at = tile.column * 4u + lane;
    let first0 = 4u * (tile.row * 4u + lane);
    store(tile, first0, at, sum0);
    store(tile, first0 + 1u, at, sum1);
    store(tile, first0 + 2u, at, sum2);
    store(tile, first0 + 3u, at, sum3);
    let first1 = 4u * (tile.row * 4u + (lane ^ 1u));
    store(tile, first1, at, sum4);
    store(tile, first1 + 1u, at, sum5);
    store(tile, first1 + 2u, at, sum6);
    store(tile, first1 + 3u, at, sum7);
    let first2 = 4u * (tile.row * 4u + (lane ^ 2u));
    store(tile, first2, at, sum8);
    store(tile, first2 + 1u, at, sum9);
    store(tile, first2 + 2u, at, sum10);
    store(tile, first2 + 3u, at, sum11);
    let first3 = 4u * (tile.row * 4u + (lane ^ 3u));
    store(tile, first3, at, sum12);
    store(tile, first3 + 1u, at, sum13);
    store(tile, first3 + 2u, at, sum14);
    store(tile, first3 + 3u, at, sum15);
}
