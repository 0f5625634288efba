//#unchecked
// Bindings, geometry and stores that the kernels of the weight gradient share. NHWC, channels of each
// group padded to a multiple of 4.
//
//   grad_weight[k,r,s,c] = sum over n,p,q of grad_output[n,p,q,k] * input[n, p*stride+r*dilation-padding, q*…, c]
//
// This is a split-K GEMM whose reduction runs over the pixels of grad_output. Each slice of pixels gives a partial result, and
// sum_partials.wgsl adds these in a fixed order, so that the bits never change. A column is a vec4 of input channels under one tap. The
// columns of all taps are consecutive, so that a stem of three channels fills a tile too.
//#import shared/stored.wgsl
struct BackwardWeight {
    in_height: u32,
    in_width: u32,
    in_pitch4: u32,           // vec4s from one input pixel to the next
    group_in4: u32,           // vec4s of one group
    out_height: u32,
    out_width: u32,
    out_pitch4: u32,
    group_out_channels: u32,  // channels of one group, without padding
    pixels: u32,              // N * P * Q
    slice: u32,               // pixels of one partial result
    slices: u32,
    columns: u32,             // taps * group_in4
    column_tiles: u32,
    row_tiles: u32,           // of output channels, in one group
    groups: u32,
    kernel_width: u32,
    stride: vec2u,
    padding: vec2u,
    dilation: vec2u,
}

@group(0) @binding(0) var<uniform> conv: BackwardWeight;

@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read> grad_output: array<Stored4>;
// [slice][group][output channel][column]
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

// The tile of a workgroup or invocation, from its index in the dispatch. Column tiles are fastest, since they share the rows of
// grad_output.
struct Tile {
    column: u32,
    row: u32,
    group: u32,
    slice: u32,
}

fn tile_at(index: u32) -> Tile {
    let column = index % conv.column_tiles;
    let a = index / conv.column_tiles;
    let row = a % conv.row_tiles;
    let b = a / conv.row_tiles;
    return Tile(column, row, b % conv.groups, b / conv.groups);
}

// vec4s of one group of grad_output.
fn group_out_vec4s() -> u32 {
    return (conv.group_out_channels + 3u) / 4u;
}

// The vec4 `channel4` of a group's output channels at a pixel. What is past the group's last one repeats that, and the products with it are
// never stored.
fn grad_channel4(tile: Tile, channel4: u32) -> u32 {
    return tile.group * group_out_vec4s() + min(channel4, group_out_vec4s() - 1u);
}

// A column of the input: the offset of its tap from an output pixel, and its channels.
struct Column {
    offset: vec2u, // two's complement
    channel4: u32,
}

fn column_at(tile: Tile, index: u32) -> Column {
    // The surplus columns of a partial tile repeat the last one and are never stored.
    let i = min(index, conv.columns - 1u);
    let tap = i / conv.group_in4;
    let rs = vec2u(tap / conv.kernel_width, tap % conv.kernel_width);
    return Column(rs * conv.dilation - conv.padding, tile.group * conv.group_in4 + i % conv.group_in4);
}

// Four input channels under a column's tap at an output pixel of image n, row p, column q.
fn input_at(column: Column, n: u32, p: u32, q: u32) -> vec4f {
    let row = p * conv.stride.x + column.offset.x;
    let at = q * conv.stride.y + column.offset.y;
    if row >= conv.in_height || at >= conv.in_width {
        return vec4f();
    }
    return unpack4(input[((n * conv.in_height + row) * conv.in_width + at) * conv.in_pitch4 + column.channel4]);
}

fn store(tile: Tile, channel: u32, column: u32, sum: vec4f) {
    if channel < conv.group_out_channels && column < conv.columns {
        let row = (tile.slice * conv.groups + tile.group) * conv.group_out_channels + channel;
        partials[row * conv.columns + column] = sum;
    }
}

// Stores one column of four output channels.
fn store_four(tile: Tile, channel: u32, column: u32, sums: array<vec4f, 4>) {
//#for i in 0..4
    store(tile, channel + {i}u, column, sums[{i}]);
//#endfor
}
