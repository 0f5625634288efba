//#axis - | _f16 HALF
//
// pack_weight_blocks: reorders a convolution's weight from KRSC for the input gradient with few channels, where the channels of a block's
// pixels (a, b) are the columns:
//
//   packed[tile][t,u][k][(a,b),c within the tile] = weight[k][r,s][c],  r = a + padding - stride * (t - reach), s likewise
//
// and zero where r or s lies outside of the kernel, or k in the padding of rows. Channels are padded to one vec4, which an
// invocation packs; 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/stored.wgsl
struct Pack {
    taps: vec2u,
    block: vec2u,
    kernel: vec2u,
    stride: vec2u,
    padding: vec2u,
    reach: vec2u,
    tiles: u32,
    rows: u32,   // with padding
    side4: u32,  // vec4s of columns of a tile
    outputs: u32,
}
@group(0) @binding(0) var<uniform> pack: Pack;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> packed: array<Stored4>;

fn make(i: u32) {
    let a = i / pack.side4;
    let k = a % pack.rows;
    let b = a / pack.rows;
    let tap = b % (pack.taps.x * pack.taps.y);
    let tile = b / (pack.taps.x * pack.taps.y);
    if tile >= pack.tiles {
        return;
    }
    let pixel = tile * pack.side4 + i % pack.side4;
    let at = vec2u(pixel / pack.block.y, pixel % pack.block.y);
    // Negative results wrap to large numbers, so that one comparison covers both ends.
    let rs = at + pack.padding + pack.stride * pack.reach
        - pack.stride * vec2u(tap / pack.taps.y, tap % pack.taps.y);
    let there = at.x < pack.block.x && k < pack.outputs && all(rs < pack.kernel);
    let source = select(0u, (k * pack.kernel.x + rs.x) * pack.kernel.y + rs.y, there);
    packed[i] = pack4(select(vec4f(), weight[source], there));
}
