//#variant conv2d_backward_weight_gemm
//#variant conv2d_backward_weight_gemm_f16 HALF
//#unchecked
//#if HALF
enable f16;
//#endif
//
// The gradient of a convolution by its weight,
//
//   grad_weight[k,r,s,c] = sum over n,p,q of grad_output[n,p,q,k] * input[n, p*stride+r*dilation-padding, q*…, c]
//
// as a split-K GEMM with workgroup tiles, for hardware GPUs. The reduction runs over the pixels of grad_output: a slice of them
// for each partial result, which a second pass (sum_partials.wgsl) adds in a fixed order, so that the bits never change. A column is
// a vec4 of input channels under one tap; columns of all taps follow one another, so that a stem of three channels fills a tile too.
//
// A workgroup of 128 invocations makes 64 output channels x 16 columns, 16 pixels at a time: every invocation fetches two vec4s of
// grad_output and two of the input into workgroup memory (8 KiB), while the tile before is multiplied, and accumulates 8 channels
// x 1 column.
//
// dispatch: column_tiles * row_tiles * groups * slices workgroups, column tiles fastest (they share grad_output), folded.
//#import shared/fold.wgsl
//#import shared/conv2d_backward_weight.wgsl
const STEPS: u32 = 16u; // pixels of a tile
const SIDE4: u32 = 16u; // columns of a tile, and vec4s of its output channels
const LINES: u32 = 8u;  // pixels that the workgroup fetches at once

// [pixel][four output channels] and [pixel][column].
var<workgroup> grads: array<vec4f, STEPS * SIDE4>;
var<workgroup> inputs: array<vec4f, STEPS * SIDE4>;

// Four output channels at a pixel; zero past the slice's end.
fn grad_at(pixel: u32, end: u32, channel4: u32) -> vec4f {
    if pixel >= end {
        return vec4f();
    }
    return unpack_floats(grad_output[pixel * conv.out_pitch4 + channel4]);
}

// A column's part of the input for a pixel; zero past the slice's end.
fn column_input(pixel: u32, end: u32, column: Column) -> vec4f {
    if pixel >= end {
        return vec4f();
    }
    let row = pixel / conv.out_width;
    return input_at(column, row / conv.out_height, row % conv.out_height, pixel % conv.out_width);
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = tile_at(unfold(workgroup, count));
    if tile.slice >= conv.slices {
        return;
    }
    // Invocation i fetches for pixels i/16 and i/16 + 8, and makes column i%16 of the channels 4*(i/16).. and 32 after them.
    let place = invocation % SIDE4;
    let line = invocation / SIDE4;
    let column = column_at(tile, tile.column * SIDE4 + place);
    let group_out4 = group_out_vec4s();
    // A group may end in the middle of the tile; the repeated channels are never stored.
    let channel4 = tile.group * group_out4 + min(tile.row * SIDE4 + place, group_out4 - 1u);
    let start = tile.slice * conv.slice;
    let end = min(start + conv.slice, conv.pixels);

    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    var sum4 = vec4f();
    var sum5 = vec4f();
    var sum6 = vec4f();
    var sum7 = vec4f();
    var next_g0 = grad_at(start + line, end, channel4);
    var next_g1 = grad_at(start + line + LINES, end, channel4);
    var next_x0 = column_input(start + line, end, column);
    var next_x1 = column_input(start + line + LINES, end, column);
    for (var first = start; first < end; first += STEPS) {
        grads[invocation] = next_g0;
        grads[invocation + LINES * SIDE4] = next_g1;
        inputs[invocation] = next_x0;
        inputs[invocation + LINES * SIDE4] = next_x1;
        workgroupBarrier();
        let next = first + STEPS + line;
        next_g0 = grad_at(next, end, channel4);
        next_g1 = grad_at(next + LINES, end, channel4);
        next_x0 = column_input(next, end, column);
        next_x1 = column_input(next + LINES, end, column);
        for (var step = 0u; step < STEPS; step++) {
            let x = inputs[step * SIDE4 + place];
            let g0 = grads[step * SIDE4 + line];
            let g1 = grads[step * SIDE4 + line + SIDE4 / 2u];
            sum0 += g0.x * x;
            sum1 += g0.y * x;
            sum2 += g0.z * x;
            sum3 += g0.w * x;
            sum4 += g1.x * x;
            sum5 += g1.y * x;
            sum6 += g1.z * x;
            sum7 += g1.w * x;
        }
        workgroupBarrier();
    }

    let at = tile.column * SIDE4 + place;
    let lower = (tile.row * SIDE4 + line) * 4u;
    store(tile, lower, at, sum0);
    store(tile, lower + 1u, at, sum1);
    store(tile, lower + 2u, at, sum2);
    store(tile, lower + 3u, at, sum3);
    let upper = lower + SIDE4 * 2u;
    store(tile, upper, at, sum4);
    store(tile, upper + 1u, at, sum5);
    store(tile, upper + 2u, at, sum6);
    store(tile, upper + 3u, at, sum7);
}
