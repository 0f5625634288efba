//#axis - | _f16 HALF
//#enable f16 if HALF
//
// pack_weight: a convolution's weight from the order that it is trained in to the one that a kernel reads.
//
//   packed[group][tile][r,s][row][column within the tile] = weight[k][r,s][c]
//
// where forward rows are input channels c and columns output channels k, and transposed the other way round. `weight` is
// KRSC with c padded to vec4s; both paddings of the packed order are zero. Training changes a weight at each step, so this
// happens on the GPU. A vec4 (four columns) of each of eight rows an invocation, so that its place is worked out once for all
// of them (integer divisions are dear); 64 to a workgroup, columns fastest, folded.
//#import shared/fold.wgsl
//#import shared/stored.wgsl
struct Pack {
    groups: u32,
    tiles: u32,         // of one group
    taps: u32,
    rows: u32,          // with padding
    side4: u32,         // vec4s of columns of a tile
    group_out: u32,     // output channels of one group
    group_in: u32,      // input channels of one group
    transposed: u32,
}
@group(0) @binding(0) var<uniform> pack: Pack;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<Stored4>;

const RUN: u32 = 8u;

// Element `at` of the weight, or 0 where there is none.
fn element(at: u32, there: bool) -> f32 {
    return select(0.0, weight[select(0u, at, there)], there);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    let column4 = i % pack.side4;
    let a = i / pack.side4;
    let runs = (pack.rows + RUN - 1u) / RUN;
    let start = (a % runs) * RUN;
    let b = a / runs;
    let tap = b % pack.taps;
    let tile = b / pack.taps;
    let group = tile / pack.tiles;
    if group >= pack.groups {
        return;
    }
    let column = ((tile % pack.tiles) * pack.side4 + column4) * 4u;
    let transposed = pack.transposed != 0u;
    let stride = (pack.group_in + 3u) / 4u * 4u;
    let most = select(vec2u(pack.group_in, pack.group_out), vec2u(pack.group_out, pack.group_in), transposed);
    let row_step = select(1u, pack.taps * stride, transposed);
    let column_step = select(pack.taps * stride, 1u, transposed);
    let origin = (group * pack.group_out * pack.taps + tap) * stride + column * column_step;
    for (var row = start; row < min(start + RUN, pack.rows); row++) {
        let at = origin + row * row_step;
        let there = row < most.x;
        let value = vec4f(
            element(at, there && column < most.y),
            element(at + column_step, there && column + 1u < most.y),
            element(at + 2u * column_step, there && column + 2u < most.y),
            element(at + 3u * column_step, there && column + 3u < most.y),
        );
        packed[((tile * pack.taps + tap) * pack.rows + row) * pack.side4 + column4] = pack4(value);
    }
}
