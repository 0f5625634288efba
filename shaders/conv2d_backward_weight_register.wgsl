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
// For every adapter. Each invocation makes 8 output channels x 4 columns in registers; per pixel it loads two vec4s of
// grad_output and four of the input for 128 multiply-adds.
//
// dispatch: one invocation per tile, 64 to a workgroup, folded.
//#import shared/fold.wgsl
//#import shared/conv2d_backward_weight.wgsl

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = tile_at(unfold(workgroup, count) * 64u + invocation);
    if tile.slice >= conv.slices {
        return;
    }
    let column0 = column_at(tile, tile.column * 4u);
    let column1 = column_at(tile, tile.column * 4u + 1u);
    let column2 = column_at(tile, tile.column * 4u + 2u);
    let column3 = column_at(tile, tile.column * 4u + 3u);
    let group_out4 = group_out_vec4s();
    let own4 = tile.group * group_out4 + tile.row * 2u;
    // A group may end in the middle of the tile; the repeated channels are never stored.
    let next4 = min(own4 + 1u, (tile.group + 1u) * group_out4 - 1u);
    let start = tile.slice * conv.slice;
    let end = min(start + conv.slice, conv.pixels);
    var q = start % conv.out_width;
    var p = (start / conv.out_width) % conv.out_height;
    var n = start / (conv.out_width * conv.out_height);

    var sum0_0 = vec4f();
    var sum0_1 = vec4f();
    var sum0_2 = vec4f();
    var sum0_3 = vec4f();
    var sum1_0 = vec4f();
    var sum1_1 = vec4f();
    var sum1_2 = vec4f();
    var sum1_3 = vec4f();
    var sum2_0 = vec4f();
    var sum2_1 = vec4f();
    var sum2_2 = vec4f();
    var sum2_3 = vec4f();
    var sum3_0 = vec4f();
    var sum3_1 = vec4f();
    var sum3_2 = vec4f();
    var sum3_3 = vec4f();
    var sum4_0 = vec4f();
    var sum4_1 = vec4f();
    var sum4_2 = vec4f();
    var sum4_3 = vec4f();
    var sum5_0 = vec4f();
    var sum5_1 = vec4f();
    var sum5_2 = vec4f();
    var sum5_3 = vec4f();
    var sum6_0 = vec4f();
    var sum6_1 = vec4f();
    var sum6_2 = vec4f();
    var sum6_3 = vec4f();
    var sum7_0 = vec4f();
    var sum7_1 = vec4f();
    var sum7_2 = vec4f();
    var sum7_3 = vec4f();
    for (var pixel = start; pixel < end; pixel++) {
//#if HALF
        let g0 = unpack_floats(grad_output[pixel * conv.out_pitch4 + own4]);
        let g1 = unpack_floats(grad_output[pixel * conv.out_pitch4 + next4]);
//#else
        let g0 = grad_output[pixel * conv.out_pitch4 + own4];
        let g1 = grad_output[pixel * conv.out_pitch4 + next4];
//#endif
        let x0 = input_at(column0, n, p, q);
        sum0_0 += g0.x * x0;
        sum1_0 += g0.y * x0;
        sum2_0 += g0.z * x0;
        sum3_0 += g0.w * x0;
        sum4_0 += g1.x * x0;
        sum5_0 += g1.y * x0;
        sum6_0 += g1.z * x0;
        sum7_0 += g1.w * x0;
        let x1 = input_at(column1, n, p, q);
        sum0_1 += g0.x * x1;
        sum1_1 += g0.y * x1;
        sum2_1 += g0.z * x1;
        sum3_1 += g0.w * x1;
        sum4_1 += g1.x * x1;
        sum5_1 += g1.y * x1;
        sum6_1 += g1.z * x1;
        sum7_1 += g1.w * x1;
        let x2 = input_at(column2, n, p, q);
        sum0_2 += g0.x * x2;
        sum1_2 += g0.y * x2;
        sum2_2 += g0.z * x2;
        sum3_2 += g0.w * x2;
        sum4_2 += g1.x * x2;
        sum5_2 += g1.y * x2;
        sum6_2 += g1.z * x2;
        sum7_2 += g1.w * x2;
        let x3 = input_at(column3, n, p, q);
        sum0_3 += g0.x * x3;
        sum1_3 += g0.y * x3;
        sum2_3 += g0.z * x3;
        sum3_3 += g0.w * x3;
        sum4_3 += g1.x * x3;
        sum5_3 += g1.y * x3;
        sum6_3 += g1.z * x3;
        sum7_3 += g1.w * x3;
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
    let first = tile.row * 8u;
    let at = tile.column * 4u;
    store(tile, first, at, sum0_0);
    store(tile, first, at + 1u, sum0_1);
    store(tile, first, at + 2u, sum0_2);
    store(tile, first, at + 3u, sum0_3);
    store(tile, first + 1u, at, sum1_0);
    store(tile, first + 1u, at + 1u, sum1_1);
    store(tile, first + 1u, at + 2u, sum1_2);
    store(tile, first + 1u, at + 3u, sum1_3);
    store(tile, first + 2u, at, sum2_0);
    store(tile, first + 2u, at + 1u, sum2_1);
    store(tile, first + 2u, at + 2u, sum2_2);
    store(tile, first + 2u, at + 3u, sum2_3);
    store(tile, first + 3u, at, sum3_0);
    store(tile, first + 3u, at + 1u, sum3_1);
    store(tile, first + 3u, at + 2u, sum3_2);
    store(tile, first + 3u, at + 3u, sum3_3);
    store(tile, first + 4u, at, sum4_0);
    store(tile, first + 4u, at + 1u, sum4_1);
    store(tile, first + 4u, at + 2u, sum4_2);
    store(tile, first + 4u, at + 3u, sum4_3);
    store(tile, first + 5u, at, sum5_0);
    store(tile, first + 5u, at + 1u, sum5_1);
    store(tile, first + 5u, at + 2u, sum5_2);
    store(tile, first + 5u, at + 3u, sum5_3);
    store(tile, first + 6u, at, sum6_0);
    store(tile, first + 6u, at + 1u, sum6_1);
    store(tile, first + 6u, at + 2u, sum6_2);
    store(tile, first + 6u, at + 3u, sum6_3);
    store(tile, first + 7u, at, sum7_0);
    store(tile, first + 7u, at + 1u, sum7_1);
    store(tile, first + 7u, at + 2u, sum7_2);
    store(tile, first + 7u, at + 3u, sum7_3);
}
