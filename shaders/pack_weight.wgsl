//#name pack_weight | pack_weight_rows ROWS_FASTEST
//#axis - | _f16 HALF
//
// Reorders a convolution's weight from the order of training to the order in which a kernel reads it.
//
//   pack_weight:       packed[group][tile][r,s][row][column within the tile] = weight[k][r,s][c]
//   pack_weight_rows:  packed[group][column][r,s][row] = weight[k][r,s][c], for cooperative matrices
//
// Forward, rows are input channels c and columns output channels k; transposed, the reverse. `weight` is KRSC with c padded to vec4s; both
// paddings of the packed order are zero. Training changes a weight in each step, so this runs on the GPU. pack_weight: an invocation packs
// a vec4 (four columns) of each of eight rows, so that its place takes integer divisions only once; columns fastest. pack_weight_rows: one
// vec4 of rows per invocation, rows fastest.
//#import shared/item.wgsl
//#import shared/stored.wgsl
struct Pack {
    groups: u32,
    tiles: u32,         // of one group; with ROWS_FASTEST its columns, with padding
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

// The weights of a group under a tap: index of the first one, and for rows and columns the step from one to the next and their number.
struct Source {
    at: u32,
    step: vec2u,
    count: vec2u,
}

fn source_of(group: u32, tap: u32) -> Source {
    let transposed = pack.transposed != 0u;
    let stride = (pack.group_in + 3u) / 4u * 4u;
    let step = vec2u(1u, pack.taps * stride);
    let count = vec2u(pack.group_in, pack.group_out);
    let at = (group * pack.group_out * pack.taps + tap) * stride;
    return Source(at, select(step, step.yx, transposed), select(count, count.yx, transposed));
}

// Zero in the padding.
fn element(source: Source, row: u32, column: u32) -> f32 {
    let there = row < source.count.x && column < source.count.y;
    let at = source.at + row * source.step.x + column * source.step.y;
    return select(0.0, weight[select(0u, at, there)], there);
}

//#if ROWS_FASTEST
fn make(item: u32) {
    let rows4 = pack.rows / 4u;
    let row = item % rows4 * 4u;
    let tap = item / rows4 % pack.taps;
    let column = item / rows4 / pack.taps % pack.tiles;
    let group = item / rows4 / pack.taps / pack.tiles;
    if group >= pack.groups {
        return;
    }
    let source = source_of(group, tap);
    packed[item] = pack4(vec4f({i in 0..4: element(source, row + {i}u, column)}));
}
//#else
const RUN: u32 = 8u;

fn make(item: u32) {
    let column4 = item % pack.side4;
    let a = item / pack.side4;
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
    let source = source_of(group, tap);
    for (var row = start; row < min(start + RUN, pack.rows); row++) {
        let value = vec4f({i in 0..4: element(source, row, column + {i}u)});
        packed[((tile * pack.taps + tap) * pack.rows + row) * pack.side4 + column4] = pack4(value);
    }
}
//#endif
