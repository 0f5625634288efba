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
//#import shared/workgroup.wgsl
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

fn make(index: u32, invocation: u32) {
    let tile = tile_at(index);
    if tile.slice >= conv.slices {
        return;
    }
    // Loading: invocation i loads column i%16, and the vec4 i%16 of output channels, of the pixels i/16, i/16 + LINES and so on.
    let place = invocation % SIDE4;
    let line = invocation / SIDE4;
    let column = column_at(tile, tile.column * SIDE4 + place);
    let channel4 = grad_channel4(tile, tile.row * SIDE4 + place);
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
    var sums: array<array<array<vec4f, 4>, 2>, 2>;
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
                sums[1][1] = add_products(sums[1][1], h, y);
                sums[1][0] = add_products(sums[1][0], h, x);
                sums[0][1] = add_products(sums[0][1], g, y);
                sums[0][0] = add_products(sums[0][0], g, x);
            }
        }
        workgroupBarrier();
    }

    let at = tile.column * SIDE4 + own_column;
    let channel = (tile.row * SIDE4 + own_channel4) * 4u;
//#for k in 0..2, c in 0..2
    store_four(tile, channel + {k}u * HALF4 * 4u, at + {c}u * HALF4, sums[{k}][{c}]);
//#endfor
}
