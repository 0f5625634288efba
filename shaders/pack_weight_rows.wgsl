//#axis - | _f16 HALF
//#enable f16 if HALF
//
// pack_weight_rows: a convolution's weight from the order that it is trained in to the one that cooperative matrices read.
//
//   packed[group][column][r,s][row] = weight[k][r,s][c]
//
// where forward rows are input channels c and columns output channels k, and transposed the other way round. `weight` is
// KRSC with c padded to vec4s; both paddings of the packed order are zero. A vec4 of rows an invocation; 64 to a workgroup, rows
// fastest, folded.
//#import shared/fold.wgsl
//#import shared/stored.wgsl
struct Pack {
    groups: u32,
    columns: u32,       // of one group, with padding
    taps: u32,
    rows4: u32,         // vec4s of rows
    group_out: u32,     // output channels of one group
    group_in: u32,      // input channels of one group
    transposed: u32,
}
@group(0) @binding(0) var<uniform> pack: Pack;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<Stored4>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    let row = i % pack.rows4 * 4u;
    let tap = i / pack.rows4 % pack.taps;
    let column = i / pack.rows4 / pack.taps % pack.columns;
    let group = i / pack.rows4 / pack.taps / pack.columns;
    if group >= pack.groups {
        return;
    }
    let transposed = pack.transposed != 0u;
    let stride = (pack.group_in + 3u) / 4u * 4u;
    let most = select(vec2u(pack.group_in, pack.group_out), vec2u(pack.group_out, pack.group_in), transposed);
    let row_step = select(1u, pack.taps * stride, transposed);
    let column_step = select(pack.taps * stride, 1u, transposed);
    let at = (group * pack.group_out * pack.taps + tap) * stride + row * row_step + column * column_step;
    var value = vec4f();
    for (var j = 0u; j < 4u; j++) {
        if row + j < most.x && column < most.y {
            value[j] = weight[at + j * row_step];
        }
    }
    packed[i] = pack4(value);
}
