//#axis - | _f16 HALF
//
// The weight gradient of a convolution (formula: shared/conv2d_backward_weight.wgsl), register-blocked.
//
// For every adapter. Each invocation computes 8 output channels x 4 columns in registers; per pixel it loads two vec4s of
// grad_output and four of the input for 128 multiply-adds.
//
// dispatch: one invocation per tile, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/conv2d_backward_weight.wgsl

fn make(item: u32) {
    let tile = tile_at(item);
    if tile.slice >= conv.slices {
        return;
    }
    let columns = array({x in 0..4: column_at(tile, tile.column * 4u + {x}u)});
    let group_out4 = group_out_vec4s();
    let own4 = tile.group * group_out4 + tile.row * 2u;
    // A group may end in the middle of the tile; the repeated channels are never stored.
    let next4 = min(own4 + 1u, (tile.group + 1u) * group_out4 - 1u);
    let start = tile.slice * conv.slice;
    let end = min(start + conv.slice, conv.pixels);
    var q = start % conv.out_width;
    var p = (start / conv.out_width) % conv.out_height;
    var n = start / (conv.out_width * conv.out_height);

    var sums: array<array<vec4f, 4>, 8>;
    for (var pixel = start; pixel < end; pixel++) {
        let g0 = unpack4(grad_output[pixel * conv.out_pitch4 + own4]);
        let g1 = unpack4(grad_output[pixel * conv.out_pitch4 + next4]);
//#for x in 0..4
        let x{x} = input_at(columns[{x}], n, p, q);
//#for k in 0..8
        sums[{k}][{x}] += g{k / 4}.{xyzw[k % 4]} * x{x};
//#endfor
//#endfor
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
//#for k in 0..8, x in 0..4
    store(tile, first + {k}u, at + {x}u, sums[{k}][{x}]);
//#endfor
}
