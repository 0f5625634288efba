//#name winograd2_weight SIDE=4 OUTPUTS=2 | winograd4_weight F4 SIDE=6 OUTPUTS=4
//
// Transforms a 3x3 weight to points (shared/winograd.wgsl), in the order in which the 1x1 convolution with one group per point reads it.
//
//   packed[point][tile][row][column within the tile] = (G g G')[point],  g the 3x3 taps from row to column
//
// Forward, rows are input channels and columns output channels. Transposed, for the input gradient, the reverse, with the taps rotated by
// 180 degrees. `weight` is KRSC with c padded to vec4s, as in training; rows and columns past its channels are zero. Four columns of a row
// per invocation, 64 to a workgroup, columns fastest, folded.
//#import shared/item.wgsl
//#import shared/winograd.wgsl
struct Pack {
    tiles: u32,      // of one point
    rows: u32,       // with padding
    side4: u32,      // vec4s of columns of a tile
    outputs: u32,
    inputs: u32,
    transposed: u32,
}
@group(0) @binding(0) var<uniform> pack: Pack;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4f>;

// Four columns of a row in the weight: index of the first one, step between them, and which of them exist.
struct Pick {
    at: u32,
    step: u32,
    there: vec4<bool>,
}

fn element(at: u32, there: bool) -> f32 {
    return select(0.0, weight[select(0u, at, there)], there);
}

fn taps_at(pick: Pick, tap: u32) -> vec4f {
    let at = pick.at + select(tap, 8u - tap, pack.transposed != 0u) * ((pack.inputs + 3u) / 4u * 4u);
    return vec4f({i in 0..4: element(at + {i}u * pick.step, pick.there.{xyzw[i]})});
}

// A column of the points.
fn store(first: u32, column: u32, v: Line) {
    let point = pack.tiles * pack.rows * pack.side4;
    let at = first + column * point;
    let step = SIDE * point;
//#for i in 0..SIDE
    packed[at + {i}u * step] = v[{i}];
//#endfor
}

fn make(at: u32) {
    let a = at / pack.side4;
    let row = a % pack.rows;
    let tile = a / pack.rows;
    if tile >= pack.tiles {
        return;
    }
    let column = (tile * pack.side4 + at % pack.side4) * 4u;
    let kernel = 9u * ((pack.inputs + 3u) / 4u * 4u);
    let transposed = pack.transposed != 0u;
    let most = select(vec2u(pack.inputs, pack.outputs), vec2u(pack.outputs, pack.inputs), transposed);
    let steps = select(vec2u(1u, kernel), vec2u(kernel, 1u), transposed);
    let there = vec4u({i in 0..4: column + {i}u}) < vec4u(select(0u, most.y, row < most.x));
    let pick = Pick(row * steps.x + column * steps.y, steps.y, there);
    let g = array({r in 0..3: weight_points(Taps({s in 0..3: taps_at(pick, {3 * r + s}u)}))});
//#for i in 0..SIDE
    store(at, {i}u, weight_points(Taps({r in 0..3: g[{r}][{i}]})));
//#endfor
}
