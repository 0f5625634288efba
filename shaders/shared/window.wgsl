// How the kernels of the weight gradient move from pixel to pixel without divisions. Used with conv2d_backward_weight.wgsl.

// The start of an output pixel's window in the input, without padding.
struct Place {
    row: u32,
    column: u32,
    index: u32, // of its first vec4
}

fn place_of(pixel: u32) -> Place {
    let row = (pixel / conv.out_width) % conv.out_height * conv.stride.x;
    let column = pixel % conv.out_width * conv.stride.y;
    let image = pixel / (conv.out_width * conv.out_height);
    return Place(row, column, ((image * conv.in_height + row) * conv.in_width + column) * conv.in_pitch4);
}

// The next pixel's place, by additions only.
fn after(place: Place) -> Place {
    let end = conv.stride * vec2u(conv.out_height, conv.out_width);
    let row_ends = place.column + conv.stride.y == end.y;
    let row = place.row + select(0u, conv.stride.x, row_ends);
    let image_ends = row == end.x;
    // From the end of a row or an image to the start of the next one, in pixels of the input.
    let to_row = conv.stride.x * conv.in_width - end.y;
    let to_image = (conv.in_height - end.x) * conv.in_width;
    let pixels = conv.stride.y + select(0u, to_row, row_ends) + select(0u, to_image, image_ends);
    return Place(
        select(row, 0u, image_ends),
        select(place.column + conv.stride.y, 0u, row_ends),
        place.index + pixels * conv.in_pitch4,
    );
}

// vec4s from a window's start to a column's (two's complement).
fn column_start(column: Column) -> u32 {
    return (column.offset.x * conv.in_width + column.offset.y) * conv.in_pitch4 + column.channel4;
}

// Four input channels under a column's tap, `start` vec4s from a window's start; zero where they are padding or not `wanted`.
fn input_under(column: Column, start: u32, place: Place, wanted: bool) -> vec4f {
    let inside = wanted && place.row + column.offset.x < conv.in_height && place.column + column.offset.y < conv.in_width;
    return select(vec4f(), unpack4(input[select(0u, place.index + start, inside)]), inside);
}
