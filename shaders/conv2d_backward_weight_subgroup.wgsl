// The gradient of a convolution by its weight,
//
//   grad_weight[k,r,s,c] = sum over n,p,q of grad_output[n,p,q,k] * input[n, p*stride+r*dilation-padding, q*…, c]
//
// as a split-K GEMM whose reduction runs over the pixels of grad_output: a slice of them for each partial result, which
// a second pass (sum_partials.wgsl) adds in a fixed order, so that the bits never change. A column is a vec4 of input
// channels under one tap; columns of all taps follow one another, so that a stem of three channels fills a tile too.
//
// For drivers with subgroups of eight (lavapipe). A workgroup is one subgroup; it makes 32 output channels x 8 columns:
// each lane owns one column and all 32 channels in registers; per pixel it loads one vec4 of the input and one of
// grad_output, which the eight lanes hand to each other.
//
// dispatch: column_tiles * row_tiles * groups * slices workgroups, folded.
//#import shared/fold.wgsl
//#import shared/conv2d_backward_weight.wgsl

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tile = tile_at(unfold(workgroup, count));
    if tile.slice >= conv.slices {
        return;
    }
    let column = column_at(tile, tile.column * 8u + lane);
    let group_out4 = group_out_vec4s();
    // Lanes past the group's last channel repeat it; what they hand out is never stored.
    let own4 = tile.group * group_out4 + min(tile.row * 8u + lane, group_out4 - 1u);
    let start = tile.slice * conv.slice;
    let end = min(start + conv.slice, conv.pixels);
    var q = start % conv.out_width;
    var p = (start / conv.out_width) % conv.out_height;
    var n = start / (conv.out_width * conv.out_height);

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
    var sum16 = vec4f();
    var sum17 = vec4f();
    var sum18 = vec4f();
    var sum19 = vec4f();
    var sum20 = vec4f();
    var sum21 = vec4f();
    var sum22 = vec4f();
    var sum23 = vec4f();
    var sum24 = vec4f();
    var sum25 = vec4f();
    var sum26 = vec4f();
    var sum27 = vec4f();
    var sum28 = vec4f();
    var sum29 = vec4f();
    var sum30 = vec4f();
    var sum31 = vec4f();
    for (var pixel = start; pixel < end; pixel++) {
        let held = grad_output[pixel * conv.out_pitch4 + own4];
        let x = input_at(column, n, p, q);
        let g0 = subgroupBroadcast(held, 0u);
        sum0 += g0.x * x;
        sum1 += g0.y * x;
        sum2 += g0.z * x;
        sum3 += g0.w * x;
        let g1 = subgroupBroadcast(held, 1u);
        sum4 += g1.x * x;
        sum5 += g1.y * x;
        sum6 += g1.z * x;
        sum7 += g1.w * x;
        let g2 = subgroupBroadcast(held, 2u);
        sum8 += g2.x * x;
        sum9 += g2.y * x;
        sum10 += g2.z * x;
        sum11 += g2.w * x;
        let g3 = subgroupBroadcast(held, 3u);
        sum12 += g3.x * x;
        sum13 += g3.y * x;
        sum14 += g3.z * x;
        sum15 += g3.w * x;
        let g4 = subgroupBroadcast(held, 4u);
        sum16 += g4.x * x;
        sum17 += g4.y * x;
        sum18 += g4.z * x;
        sum19 += g4.w * x;
        let g5 = subgroupBroadcast(held, 5u);
        sum20 += g5.x * x;
        sum21 += g5.y * x;
        sum22 += g5.z * x;
        sum23 += g5.w * x;
        let g6 = subgroupBroadcast(held, 6u);
        sum24 += g6.x * x;
        sum25 += g6.y * x;
        sum26 += g6.z * x;
        sum27 += g6.w * x;
        let g7 = subgroupBroadcast(held, 7u);
        sum28 += g7.x * x;
        sum29 += g7.y * x;
        sum30 += g7.z * x;
        sum31 += g7.w * x;
        q++;
        if q == conv.out_width {
            q = 0u;
            p++;
            if p == conv.out_height {
                p = 0u;
                n++;
            }
        }
    }
    let first = tile.row * 32u;
    let at = tile.column * 8u + lane;
    store(tile, first, at, sum0);
    store(tile, first + 1u, at, sum1);
    store(tile, first + 2u, at, sum2);
    store(tile, first + 3u, at, sum3);
    store(tile, first + 4u, at, sum4);
    store(tile, first + 5u, at, sum5);
    store(tile, first + 6u, at, sum6);
    store(tile, first + 7u, at, sum7);
    store(tile, first + 8u, at, sum8);
    store(tile, first + 9u, at, sum9);
    store(tile, first + 10u, at, sum10);
    store(tile, first + 11u, at, sum11);
    store(tile, first + 12u, at, sum12);
    store(tile, first + 13u, at, sum13);
    store(tile, first + 14u, at, sum14);
    store(tile, first + 15u, at, sum15);
    store(tile, first + 16u, at, sum16);
    store(tile, first + 17u, at, sum17);
    store(tile, first + 18u, at, sum18);
    store(tile, first + 19u, at, sum19);
    store(tile, first + 20u, at, sum20);
    store(tile, first + 21u, at, sum21);
    store(tile, first + 22u, at, sum22);
    store(tile, first + 23u, at, sum23);
    store(tile, first + 24u, at, sum24);
    store(tile, first + 25u, at, sum25);
    store(tile, first + 26u, at, sum26);
    store(tile, first + 27u, at, sum27);
    store(tile, first + 28u, at, sum28);
    store(tile, first + 29u, at, sum29);
    store(tile, first + 30u, at, sum30);
    store(tile, first + 31u, at, sum31);
}
