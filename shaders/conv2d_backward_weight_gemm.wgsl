//#axis - | _f16 HALF
//
// The weight gradient of a convolution (formula: shared/conv2d_backward_weight.wgsl), with workgroup tiles, for hardware GPUs.
//
// A workgroup of 64 invocations computes 64 output channels x 16 columns, 8 pixels at a time. Every invocation loads two vec4s of
// grad_output and two of the input. The loads of the next tile are in flight while a tile is multiplied: no load is in a branch,
// addresses are always inside, and values outside become zero when they are stored into workgroup memory (4 KiB). An invocation
// accumulates 8 channels x 2 columns.
//
// dispatch: column_tiles * row_tiles * groups * slices workgroups, column tiles fastest (they share grad_output), folded.
//#import shared/fold.wgsl
//#import shared/conv2d_backward_weight.wgsl
//#import shared/four.wgsl
const INVOCATIONS: u32 = 64u;
const STEPS: u32 = 8u;   // pixels of a tile
const SIDE4: u32 = 16u;  // columns of a tile, and vec4s of its output channels
const HALF4: u32 = SIDE4 / 2u;
const LINES: u32 = INVOCATIONS / SIDE4; // pixels that the workgroup loads at once
const FETCHES: u32 = STEPS / LINES;

// A 1x1 kernel of stride 1 without padding: a pixel of grad_output is one of the input.
override POINTWISE: bool = false;

// [pixel][four output channels] and [pixel][column].
var<workgroup> grads: array<vec4f, STEPS * SIDE4>;
var<workgroup> inputs: array<vec4f, STEPS * SIDE4>;

// A pixel of grad_output: its number and its position, which move from tile to tile without divisions.
struct Pixel {
    index: u32,
    row: u32,
    column: u32,
    image: u32,
}

fn pixel_at(index: u32) -> Pixel {
    let row = index / conv.out_width;
    return Pixel(index, row % conv.out_height, index % conv.out_width, row / conv.out_height);
}

// The rows, columns and images to add for this number of pixels, before any carry.
fn stride_of(pixels: u32) -> Pixel {
    return pixel_at(pixels);
}

fn pixel_after(p: Pixel, stride: Pixel) -> Pixel {
    if POINTWISE {
        return Pixel(p.index + stride.index, 0u, 0u, 0u);
    }
    let column = p.column + stride.column;
    let next_row = column >= conv.out_width;
    let row = p.row + stride.row + select(0u, 1u, next_row);
    let next_image = row >= conv.out_height;
    return Pixel(
        p.index + stride.index,
        select(row, row - conv.out_height, next_image),
        select(column, column - conv.out_width, next_row),
        p.image + stride.image + select(0u, 1u, next_image),
    );
}

//#import shared/place.wgsl

// Four output channels at a pixel.
fn grad_at(p: Pixel, end: u32, channel4: u32) -> Place {
    return place_of(p.index * conv.out_pitch4 + channel4, p.index < end);
}

// Four input channels of a column at a pixel.
fn column_input(p: Pixel, end: u32, column: Column) -> Place {
    let live = p.index < end;
    if POINTWISE {
        return place_of(p.index * conv.in_pitch4 + column.channel4, live);
    }
    let row = p.row * conv.stride.x + column.offset.x;
    let at = p.column * conv.stride.y + column.offset.y;
    let source = ((p.image * conv.in_height + row) * conv.in_width + at) * conv.in_pitch4 + column.channel4;
    return place_of(source, live & (row < conv.in_height) & (at < conv.in_width));
}

fn counted(place: Place, value: vec4f) -> vec4f {
    return select(vec4f(), value, place.counts);
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = tile_at(unfold(workgroup, count));
    if tile.slice >= conv.slices {
        return;
    }
    // Loading: invocation i loads column i%16, and the vec4 i%16 of output channels, of the pixels i/16, i/16 + LINES and so on.
    let place = invocation % SIDE4;
    let line = invocation / SIDE4;
    let column = column_at(tile, tile.column * SIDE4 + place);
    let group_out4 = group_out_vec4s();
    // A group may end in the middle of the tile; the repeated channels are never stored.
    let channel4 = tile.group * group_out4 + min(tile.row * SIDE4 + place, group_out4 - 1u);
    let start = tile.slice * conv.slice;
    let end = min(start + conv.slice, conv.pixels);
    let stride = stride_of(STEPS);
    var pixels: array<Pixel, FETCHES>;
    var grad_places: array<Place, FETCHES>;
    var input_places: array<Place, FETCHES>;
    var next_grads: array<Stored4, FETCHES>;
    var next_inputs: array<Stored4, FETCHES>;
    for (var i = 0u; i < FETCHES; i++) {
        pixels[i] = pixel_at(start + line + i * LINES);
        grad_places[i] = grad_at(pixels[i], end, channel4);
        input_places[i] = column_input(pixels[i], end, column);
        next_grads[i] = grad_output[grad_places[i].at];
        next_inputs[i] = input[input_places[i].at];
    }

    // Computing: invocation i computes columns i%8 and i%8 + 8 of the four channels from 4*(i/8) on, and of those 32 further on.
    let own_column = invocation % HALF4;
    let own_channel4 = invocation / HALF4;
    var sums00 = Four();
    var sums01 = Four();
    var sums10 = Four();
    var sums11 = Four();
    for (var first = start; first < end; first += STEPS) {
        for (var i = 0u; i < FETCHES; i++) {
            grads[invocation + i * INVOCATIONS] = counted(grad_places[i], unpack4(next_grads[i]));
            inputs[invocation + i * INVOCATIONS] = counted(input_places[i], unpack4(next_inputs[i]));
        }
        workgroupBarrier();
        for (var i = 0u; i < FETCHES; i++) {
            pixels[i] = pixel_after(pixels[i], stride);
            grad_places[i] = grad_at(pixels[i], end, channel4);
            input_places[i] = column_input(pixels[i], end, column);
            next_grads[i] = grad_output[grad_places[i].at];
            next_inputs[i] = input[input_places[i].at];
        }
        // Compilers unroll loops of four. What is read last is used first: then there is one wait for all that a step reads.
        for (var four = 0u; four < STEPS; four += 4u) {
            for (var i = 0u; i < 4u; i++) {
                let at = (four + i) * SIDE4;
                let x = inputs[at + own_column];
                let g = grads[at + own_channel4];
                let y = inputs[at + own_column + HALF4];
                let h = grads[at + own_channel4 + HALF4];
                sums11 = add_products(sums11, h, y);
                sums10 = add_products(sums10, h, x);
                sums01 = add_products(sums01, g, y);
                sums00 = add_products(sums00, g, x);
            }
        }
        workgroupBarrier();
    }

    let at = tile.column * SIDE4 + own_column;
    let channel = (tile.row * SIDE4 + own_channel4) * 4u;
    store_four(tile, channel, at, sums00);
    store_four(tile, channel, at + HALF4, sums01);
    store_four(tile, channel + HALF4 * 4u, at, sums10);
    store_four(tile, channel + HALF4 * 4u, at + HALF4, sums11);
}

fn store_four(tile: Tile, channel: u32, column: u32, sums: Four) {
    store(tile, channel, column, sums.a);
    store(tile, channel + 1u, column, sums.b);
    store(tile, channel + 2u, column, sums.c);
    store(tile, channel + 3u, column, sums.d);
}
