//#axis - PIXELS=1 | _wide TWO_PIXELS WIDE PIXELS=2 | _quad FOUR_PIXELS WIDE PIXELS=4
//#axis - | _pointwise POINTWISE
//#axis - | _f16 HALF
//#never POINTWISE !WIDE
//
// The weight gradient of a convolution (formula: shared/conv2d_backward_weight.wgsl), with gradients broadcast through
// the subgroup.
//
// For drivers with subgroups of eight (lavapipe). A workgroup is one subgroup; it computes 32 output channels x 8 columns: each lane
// owns one column and all 32 channels in registers. Per pixel it loads one vec4 of the input and one of grad_output, which is broadcast
// to the other lanes. The place in the input moves by additions. A slice is never empty.
//
// TWO_PIXELS and FOUR_PIXELS: two or four pixels per iteration, loaded through 64-bit integers. POINTWISE: for 1x1 kernels without
// stride or padding, over a whole number of iterations. Pixels of grad_output and of the input are then the same, and none is masked.
//
// dispatch: column_tiles * row_tiles * groups * slices workgroups, folded.
//#import shared/fold.wgsl
//#import shared/conv2d_backward_weight.wgsl
//#import shared/window.wgsl

const PIXELS = {PIXELS}u; // per iteration

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
    // Lanes past the group's last channel repeat it; the products with it are never stored.
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

//#for i in 0..32
    var sum{i} = vec4f();
//#endfor
    var pixel = start;
    loop {
//#if FOUR_PIXELS
//#if POINTWISE
        let held0 = unpack4(grad_output[g_at]);
        let held1 = unpack4(grad_output[g_at + conv.out_pitch4]);
        let held2 = unpack4(grad_output[g_at + 2u * conv.out_pitch4]);
        let held3 = unpack4(grad_output[g_at + 3u * conv.out_pitch4]);
        let x0 = unpack4(input[x_at]);
        let x1 = unpack4(input[x_at + conv.in_pitch4]);
        let x2 = unpack4(input[x_at + 2u * conv.in_pitch4]);
        let x3 = unpack4(input[x_at + 3u * conv.in_pitch4]);
        x_at += PIXELS * conv.in_pitch4;
//#else
        // Pixels past the end of the slice are masked.
        let left = end - pixel;
        let inside1 = left > 1u;
        let inside2 = left > 2u;
        let inside3 = left > 3u;
        let held0 = unpack4(grad_output[g_at]);
        let ahead1 = unpack4(grad_output[g_at + select(0u, conv.out_pitch4, inside1)]);
        let ahead2 = unpack4(grad_output[g_at + select(0u, 2u * conv.out_pitch4, inside2)]);
        let ahead3 = unpack4(grad_output[g_at + select(0u, 3u * conv.out_pitch4, inside3)]);
        let x0 = input_under(column, x_start, place, true);
        place = after(place);
//#for p in 1..4
        let x{p} = input_under(column, x_start, place, inside{p});
        place = after(place);
//#endfor
        let held1 = select(vec4f(), ahead1, inside1);
        let held2 = select(vec4f(), ahead2, inside2);
        let held3 = select(vec4f(), ahead3, inside3);
//#endif
        // For each vec4 of channels the products of the first and second pixel, then those of the third and fourth.
//#for two in 0..2
//#for i in 0..8
//#for p in 2 * two..2 * two + 2
        let {g,h,a,b[p]}{i} = subgroupBroadcast(held{p}, {i}u);
//#for c in 0..4
        sum{4 * i + c} += {g,h,a,b[p]}{i}.{xyzw[c]} * x{p};
//#endfor
//#endfor
//#endfor
//#endfor
//#elif TWO_PIXELS
        // In this order of loads and selections LLVM emits the fastest code. In others the loop takes up to a fifth longer.
//#if POINTWISE
        let x = unpack4(input[x_at]);
        let held = unpack4(grad_output[g_at]);
        let y = unpack4(input[x_at + conv.in_pitch4]);
        let next = unpack4(grad_output[g_at + conv.out_pitch4]);
        x_at += PIXELS * conv.in_pitch4;
//#else
        // If the number of pixels is odd, the last iteration has no second one.
        let second = pixel + 1u < end;
        let held = unpack4(grad_output[g_at]);
        let ahead = unpack4(grad_output[g_at + select(0u, conv.out_pitch4, second)]);
        let x = input_under(column, x_start, place, true);
        place = after(place);
        let y = input_under(column, x_start, place, second);
        place = after(place);
        let next = select(vec4f(), ahead, second);
//#endif
//#for i in 0..8
        let g{i} = subgroupBroadcast(held, {i}u);
        let h{i} = subgroupBroadcast(next, {i}u);
//#for c in 0..4
        sum{4 * i + c} += g{i}.{xyzw[c]} * x + h{i}.{xyzw[c]} * y;
//#endfor
//#endfor
//#else
        let held = unpack4(grad_output[g_at]);
        let x = input_under(column, x_start, place, true);
        place = after(place);
//#for i in 0..8
        let g{i} = subgroupBroadcast(held, {i}u);
//#for c in 0..4
        sum{4 * i + c} += g{i}.{xyzw[c]} * x;
//#endfor
//#endfor
//#endif
        g_at += PIXELS * conv.out_pitch4;
        continuing {
            pixel += PIXELS;
            break if pixel >= end;
        }
    }
    let first = tile.row * 32u;
    let at = tile.column * 8u + lane;
//#for i in 0..32
    store(tile, first + {i}u, at, sum{i});
//#endfor
}
