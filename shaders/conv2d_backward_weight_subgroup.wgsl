//#axis - | _wide TWO_PIXELS WIDE | _quad FOUR_PIXELS WIDE
//#axis - | _pointwise POINTWISE
//#axis - | _f16 HALF
//#never POINTWISE !WIDE
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
// For drivers with subgroups of eight (lavapipe). A workgroup is one subgroup; it makes 32 output channels x 8 columns:
// each lane owns one column and all 32 channels in registers; per pixel it loads one vec4 of the input and one of
// grad_output, which the eight lanes hand to each other. With the flag TWO_PIXELS it takes two pixels an iteration and loads through
// integers of 64 bits, as conv2d_subgroup.wgsl does and for its reasons, but stores vectors: sums that end as integers are
// integers to LLVM from the start, which then takes half again as long. See docs/rejected.md.
//
// With the flag FOUR_PIXELS it takes four pixels an iteration, again for conv2d_subgroup.wgsl's reasons.
//
// With the flag POINTWISE it is for kernels of 1x1 without stride or padding, over a whole number of iterations: a pixel of
// grad_output is one of the input, and nothing that is loaded has to be dropped.
//
// The place in the input moves by additions, and the loop ends at its end; a slice is never empty.
//
// dispatch: column_tiles * row_tiles * groups * slices workgroups, folded.
//#import shared/fold.wgsl
//#import shared/conv2d_backward_weight.wgsl
//#import shared/window.wgsl

// Pixels of an iteration.
//#if FOUR_PIXELS
const PIXELS = 4u;
//#else
//#if WIDE
const PIXELS = 2u;
//#else
const PIXELS = 1u;
//#endif
//#endif

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
//#if POINTWISE
    var x_at = start * conv.in_pitch4 + column.channel4;
//#else
    var place = place_of(start);
    let x_start = column_start(column);
//#endif
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
    var pixel = start;
    loop {
//#if FOUR_PIXELS
//#if POINTWISE
        let held0 = unpack_floats(grad_output[g_at]);
        let held1 = unpack_floats(grad_output[g_at + conv.out_pitch4]);
        let held2 = unpack_floats(grad_output[g_at + 2u * conv.out_pitch4]);
        let held3 = unpack_floats(grad_output[g_at + 3u * conv.out_pitch4]);
        let x0 = unpack_floats(input[x_at]);
        let x1 = unpack_floats(input[x_at + conv.in_pitch4]);
        let x2 = unpack_floats(input[x_at + 2u * conv.in_pitch4]);
        let x3 = unpack_floats(input[x_at + 3u * conv.in_pitch4]);
        x_at += PIXELS * conv.in_pitch4;
//#else
        // Past a slice's last pixel there are none.
        let left = end - pixel;
        let inside1 = left > 1u;
        let inside2 = left > 2u;
        let inside3 = left > 3u;
        let held0 = unpack_floats(grad_output[g_at]);
        let ahead1 = unpack_floats(grad_output[g_at + select(0u, conv.out_pitch4, inside1)]);
        let ahead2 = unpack_floats(grad_output[g_at + select(0u, 2u * conv.out_pitch4, inside2)]);
        let ahead3 = unpack_floats(grad_output[g_at + select(0u, 3u * conv.out_pitch4, inside3)]);
        let x0 = input_under(column, x_start, place, true);
        place = after(place);
        let x1 = input_under(column, x_start, place, inside1);
        place = after(place);
        let x2 = input_under(column, x_start, place, inside2);
        place = after(place);
        let x3 = input_under(column, x_start, place, inside3);
        place = after(place);
        let held1 = select(vec4f(), ahead1, inside1);
        let held2 = select(vec4f(), ahead2, inside2);
        let held3 = select(vec4f(), ahead3, inside3);
//#endif
        // The first pixel's products and the second's, for each vec4 of channels.
        let g0 = subgroupBroadcast(held0, 0u);
        sum0 += g0.x * x0;
        sum1 += g0.y * x0;
        sum2 += g0.z * x0;
        sum3 += g0.w * x0;
        let h0 = subgroupBroadcast(held1, 0u);
        sum0 += h0.x * x1;
        sum1 += h0.y * x1;
        sum2 += h0.z * x1;
        sum3 += h0.w * x1;
        let g1 = subgroupBroadcast(held0, 1u);
        sum4 += g1.x * x0;
        sum5 += g1.y * x0;
        sum6 += g1.z * x0;
        sum7 += g1.w * x0;
        let h1 = subgroupBroadcast(held1, 1u);
        sum4 += h1.x * x1;
        sum5 += h1.y * x1;
        sum6 += h1.z * x1;
        sum7 += h1.w * x1;
        let g2 = subgroupBroadcast(held0, 2u);
        sum8 += g2.x * x0;
        sum9 += g2.y * x0;
        sum10 += g2.z * x0;
        sum11 += g2.w * x0;
        let h2 = subgroupBroadcast(held1, 2u);
        sum8 += h2.x * x1;
        sum9 += h2.y * x1;
        sum10 += h2.z * x1;
        sum11 += h2.w * x1;
        let g3 = subgroupBroadcast(held0, 3u);
        sum12 += g3.x * x0;
        sum13 += g3.y * x0;
        sum14 += g3.z * x0;
        sum15 += g3.w * x0;
        let h3 = subgroupBroadcast(held1, 3u);
        sum12 += h3.x * x1;
        sum13 += h3.y * x1;
        sum14 += h3.z * x1;
        sum15 += h3.w * x1;
        let g4 = subgroupBroadcast(held0, 4u);
        sum16 += g4.x * x0;
        sum17 += g4.y * x0;
        sum18 += g4.z * x0;
        sum19 += g4.w * x0;
        let h4 = subgroupBroadcast(held1, 4u);
        sum16 += h4.x * x1;
        sum17 += h4.y * x1;
        sum18 += h4.z * x1;
        sum19 += h4.w * x1;
        let g5 = subgroupBroadcast(held0, 5u);
        sum20 += g5.x * x0;
        sum21 += g5.y * x0;
        sum22 += g5.z * x0;
        sum23 += g5.w * x0;
        let h5 = subgroupBroadcast(held1, 5u);
        sum20 += h5.x * x1;
        sum21 += h5.y * x1;
        sum22 += h5.z * x1;
        sum23 += h5.w * x1;
        let g6 = subgroupBroadcast(held0, 6u);
        sum24 += g6.x * x0;
        sum25 += g6.y * x0;
        sum26 += g6.z * x0;
        sum27 += g6.w * x0;
        let h6 = subgroupBroadcast(held1, 6u);
        sum24 += h6.x * x1;
        sum25 += h6.y * x1;
        sum26 += h6.z * x1;
        sum27 += h6.w * x1;
        let g7 = subgroupBroadcast(held0, 7u);
        sum28 += g7.x * x0;
        sum29 += g7.y * x0;
        sum30 += g7.z * x0;
        sum31 += g7.w * x0;
        let h7 = subgroupBroadcast(held1, 7u);
        sum28 += h7.x * x1;
        sum29 += h7.y * x1;
        sum30 += h7.z * x1;
        sum31 += h7.w * x1;
        // The third pixel's products and the fourth's, for each vec4 of channels.
        let a0 = subgroupBroadcast(held2, 0u);
        sum0 += a0.x * x2;
        sum1 += a0.y * x2;
        sum2 += a0.z * x2;
        sum3 += a0.w * x2;
        let b0 = subgroupBroadcast(held3, 0u);
        sum0 += b0.x * x3;
        sum1 += b0.y * x3;
        sum2 += b0.z * x3;
        sum3 += b0.w * x3;
        let a1 = subgroupBroadcast(held2, 1u);
        sum4 += a1.x * x2;
        sum5 += a1.y * x2;
        sum6 += a1.z * x2;
        sum7 += a1.w * x2;
        let b1 = subgroupBroadcast(held3, 1u);
        sum4 += b1.x * x3;
        sum5 += b1.y * x3;
        sum6 += b1.z * x3;
        sum7 += b1.w * x3;
        let a2 = subgroupBroadcast(held2, 2u);
        sum8 += a2.x * x2;
        sum9 += a2.y * x2;
        sum10 += a2.z * x2;
        sum11 += a2.w * x2;
        let b2 = subgroupBroadcast(held3, 2u);
        sum8 += b2.x * x3;
        sum9 += b2.y * x3;
        sum10 += b2.z * x3;
        sum11 += b2.w * x3;
        let a3 = subgroupBroadcast(held2, 3u);
        sum12 += a3.x * x2;
        sum13 += a3.y * x2;
        sum14 += a3.z * x2;
        sum15 += a3.w * x2;
        let b3 = subgroupBroadcast(held3, 3u);
        sum12 += b3.x * x3;
        sum13 += b3.y * x3;
        sum14 += b3.z * x3;
        sum15 += b3.w * x3;
        let a4 = subgroupBroadcast(held2, 4u);
        sum16 += a4.x * x2;
        sum17 += a4.y * x2;
        sum18 += a4.z * x2;
        sum19 += a4.w * x2;
        let b4 = subgroupBroadcast(held3, 4u);
        sum16 += b4.x * x3;
        sum17 += b4.y * x3;
        sum18 += b4.z * x3;
        sum19 += b4.w * x3;
        let a5 = subgroupBroadcast(held2, 5u);
        sum20 += a5.x * x2;
        sum21 += a5.y * x2;
        sum22 += a5.z * x2;
        sum23 += a5.w * x2;
        let b5 = subgroupBroadcast(held3, 5u);
        sum20 += b5.x * x3;
        sum21 += b5.y * x3;
        sum22 += b5.z * x3;
        sum23 += b5.w * x3;
        let a6 = subgroupBroadcast(held2, 6u);
        sum24 += a6.x * x2;
        sum25 += a6.y * x2;
        sum26 += a6.z * x2;
        sum27 += a6.w * x2;
        let b6 = subgroupBroadcast(held3, 6u);
        sum24 += b6.x * x3;
        sum25 += b6.y * x3;
        sum26 += b6.z * x3;
        sum27 += b6.w * x3;
        let a7 = subgroupBroadcast(held2, 7u);
        sum28 += a7.x * x2;
        sum29 += a7.y * x2;
        sum30 += a7.z * x2;
        sum31 += a7.w * x2;
        let b7 = subgroupBroadcast(held3, 7u);
        sum28 += b7.x * x3;
        sum29 += b7.y * x3;
        sum30 += b7.z * x3;
        sum31 += b7.w * x3;
//#else
//#if WIDE
        // The order of what is loaded and dropped is what LLVM makes most of; in others the loop takes up to a fifth longer.
//#if POINTWISE
        let x = unpack_floats(input[x_at]);
        let held = unpack_floats(grad_output[g_at]);
        let y = unpack_floats(input[x_at + conv.in_pitch4]);
        let next = unpack_floats(grad_output[g_at + conv.out_pitch4]);
        x_at += PIXELS * conv.in_pitch4;
//#else
        // After an odd number of pixels there is no second one.
        let second = pixel + 1u < end;
        let held = unpack_floats(grad_output[g_at]);
        let ahead = unpack_floats(grad_output[g_at + select(0u, conv.out_pitch4, second)]);
        let x = input_under(column, x_start, place, true);
        place = after(place);
        let y = input_under(column, x_start, place, second);
        place = after(place);
        let next = select(vec4f(), ahead, second);
//#endif
        let g0 = subgroupBroadcast(held, 0u);
        let h0 = subgroupBroadcast(next, 0u);
        sum0 += g0.x * x + h0.x * y;
        sum1 += g0.y * x + h0.y * y;
        sum2 += g0.z * x + h0.z * y;
        sum3 += g0.w * x + h0.w * y;
        let g1 = subgroupBroadcast(held, 1u);
        let h1 = subgroupBroadcast(next, 1u);
        sum4 += g1.x * x + h1.x * y;
        sum5 += g1.y * x + h1.y * y;
        sum6 += g1.z * x + h1.z * y;
        sum7 += g1.w * x + h1.w * y;
        let g2 = subgroupBroadcast(held, 2u);
        let h2 = subgroupBroadcast(next, 2u);
        sum8 += g2.x * x + h2.x * y;
        sum9 += g2.y * x + h2.y * y;
        sum10 += g2.z * x + h2.z * y;
        sum11 += g2.w * x + h2.w * y;
        let g3 = subgroupBroadcast(held, 3u);
        let h3 = subgroupBroadcast(next, 3u);
        sum12 += g3.x * x + h3.x * y;
        sum13 += g3.y * x + h3.y * y;
        sum14 += g3.z * x + h3.z * y;
        sum15 += g3.w * x + h3.w * y;
        let g4 = subgroupBroadcast(held, 4u);
        let h4 = subgroupBroadcast(next, 4u);
        sum16 += g4.x * x + h4.x * y;
        sum17 += g4.y * x + h4.y * y;
        sum18 += g4.z * x + h4.z * y;
        sum19 += g4.w * x + h4.w * y;
        let g5 = subgroupBroadcast(held, 5u);
        let h5 = subgroupBroadcast(next, 5u);
        sum20 += g5.x * x + h5.x * y;
        sum21 += g5.y * x + h5.y * y;
        sum22 += g5.z * x + h5.z * y;
        sum23 += g5.w * x + h5.w * y;
        let g6 = subgroupBroadcast(held, 6u);
        let h6 = subgroupBroadcast(next, 6u);
        sum24 += g6.x * x + h6.x * y;
        sum25 += g6.y * x + h6.y * y;
        sum26 += g6.z * x + h6.z * y;
        sum27 += g6.w * x + h6.w * y;
        let g7 = subgroupBroadcast(held, 7u);
        let h7 = subgroupBroadcast(next, 7u);
        sum28 += g7.x * x + h7.x * y;
        sum29 += g7.y * x + h7.y * y;
        sum30 += g7.z * x + h7.z * y;
        sum31 += g7.w * x + h7.w * y;
//#else
        let held = unpack_floats(grad_output[g_at]);
        let x = input_under(column, x_start, place, true);
        place = after(place);
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
//#endif
//#endif
        g_at += PIXELS * conv.out_pitch4;
        continuing {
            pixel += PIXELS;
            break if pixel >= end;
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
