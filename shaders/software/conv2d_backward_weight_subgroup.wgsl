//#axis - PIXELS=1 TOGETHER=1 | _wide TWO_PIXELS WIDE PIXELS=2 | _quad FOUR_PIXELS WIDE PIXELS=4 TOGETHER=2
//#axis - | _pointwise POINTWISE
//#axis - LANES
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
//#import shared/workgroup.wgsl
//#import shared/conv2d_backward_weight.wgsl
//#import shared/window.wgsl

const INVOCATIONS: u32 = 8u;
const PIXELS = {PIXELS}u; // per iteration

fn make(index: u32, lane: u32) {
    let tile = tile_at(index);
    if tile.slice >= conv.slices {
        return;
    }
    let column = column_at(tile, tile.column * 8u + lane);
    let own4 = grad_channel4(tile, tile.row * 8u + lane);
    let start = tile.slice * conv.slice;
    let end = min(start + conv.slice, conv.pixels);
//#if POINTWISE
    var x_at = start * conv.in_pitch4 + column.channel4;
//#else
    var place = place_of(start);
    let x_start = column_start(column);
//#endif
    var g_at = start * conv.out_pitch4 + own4;

    var sums: array<vec4f, 32>;
    var pixel = start;
    loop {
//#if POINTWISE TWO_PIXELS
        // In this order LLVM emits the fastest code. In others the loop takes up to a fifth longer.
//#for p in 0..2
        let x{p} = unpack4(input[x_at + {p}u * conv.in_pitch4]);
        let held{p} = unpack4(grad_output[g_at + {p}u * conv.out_pitch4]);
//#endfor
        x_at += PIXELS * conv.in_pitch4;
//#elif POINTWISE
//#for p in 0..PIXELS
        let held{p} = unpack4(grad_output[g_at + {p}u * conv.out_pitch4]);
//#endfor
//#for p in 0..PIXELS
        let x{p} = unpack4(input[x_at + {p}u * conv.in_pitch4]);
//#endfor
        x_at += PIXELS * conv.in_pitch4;
//#else
        // Pixels past the end of the slice are masked.
        let left = end - pixel;
        let live = array(true, {p in 1..PIXELS: left > {p}u});
        let next = array({p in 0..PIXELS: unpack4(grad_output[g_at + select(0u, {p}u * conv.out_pitch4, live[{p}])])});
//#for p in 0..PIXELS
        let x{p} = input_under(column, x_start, place, live[{p}]);
        place = after(place);
//#endfor
        let held0 = next[0];
//#for p in 1..PIXELS
        let held{p} = select(vec4f(), next[{p}], live[{p}]);
//#endfor
//#endif
//#if TWO_PIXELS
//#for i in 0..8
        let g{i} = subgroupBroadcast(held0, {i}u);
        let h{i} = subgroupBroadcast(held1, {i}u);
//#for c in 0..4
        sums[{4 * i + c}] += g{i}.{xyzw[c]} * x0 + h{i}.{xyzw[c]} * x1;
//#endfor
//#endfor
//#else
        // For each vec4 of channels the products of the first and second pixel, then those of the third and fourth.
//#for t in 0..PIXELS / TOGETHER, i in 0..8, p in TOGETHER * t..TOGETHER * (t + 1)
        let g{i}_{p} = subgroupBroadcast(held{p}, {i}u);
//#for c in 0..4
        sums[{4 * i + c}] += g{i}_{p}.{xyzw[c]} * x{p};
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
    store(tile, first + {i}u, at, sums[{i}]);
//#endfor
}
