// pack_weight: a convolution's weight from the order that it is trained in to the one that a kernel reads.
//
//   packed[group][tile][r,s][row][column within the tile] = weight[k][r,s][c]
//
// where forward rows are input channels c and columns output channels k, and transposed the other way round. `weight` is
// KRSC with c padded to vec4s; both paddings of the packed order are zero. Training changes a weight at each step, so this
// happens on the GPU. One vec4 (four columns) an invocation, 64 to a workgroup, folded.
//#import shared/fold.wgsl
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
@group(0) @binding(2) var<storage, read_write> packed: array<vec4f>;

fn element(group: u32, tap: u32, row: u32, column: u32) -> f32 {
    let k = select(column, row, pack.transposed != 0u);
    let c = select(row, column, pack.transposed != 0u);
    if k >= pack.group_out || c >= pack.group_in {
        return 0.0;
    }
    let stride = (pack.group_in + 3u) / 4u * 4u;
    return weight[((group * pack.group_out + k) * pack.taps + tap) * stride + c];
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
    let row = a % pack.rows;
    let b = a / pack.rows;
    let tap = b % pack.taps;
    let tile = b / pack.taps;
    let group = tile / pack.tiles;
    if group >= pack.groups {
        return;
    }
    let column = ((tile % pack.tiles) * pack.side4 + column4) * 4u;
    packed[i] = vec4f(
        element(group, tap, row, column),
        element(group, tap, row, column + 1u),
        element(group, tap, row, column + 2u),
        element(group, tap, row, column + 3u),
    );
}
