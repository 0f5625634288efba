//#name winograd2 SIDE=4 OUTPUTS=2 | winograd4 F4 SIDE=6 OUTPUTS=4
//#axis _input BORDER=2 | _grad_output GRAD_OUTPUT BORDER=0
//#axis - | _wide WIDE
//#axis - | _f16 HALF
//
// Transforms a map's tiles to points (shared/winograd.wgsl): the input of a Winograd convolution, or grad_output for its weight gradient.
//
//   input:        points[tile][point][c] = (B' d B)[point],  d the tile's t x t pixels of channel c, m apart
//   grad_output:  points[tile][point][k] = (A y A')[point],  y the tile's m x m pixels of channel k
//
// Pixels outside of the map are zero. Points are always f32, since they are up to 26 times as large as the map's values. A 1x1
// convolution with one group per point then multiplies them by the weight's points. Map and points have channels padded to vec4s. Four
// channels of a tile an invocation, 64 to a workgroup, channels fastest, folded.
//#import shared/item.wgsl
//#import shared/stored.wgsl
//#import shared/floats.wgsl
//#import shared/winograd.wgsl
//#import shared/winograd_tiles.wgsl
@group(0) @binding(1) var<storage, read> map: array<Stored4>;
@group(0) @binding(2) var<storage, read_write> points: array<Float4>; // [tile][point][channel]

// A row of a tile, and its points.
//#if GRAD_OUTPUT
alias Row = Outputs;

fn row_points(row: Row) -> Line {
    return gradient_points(row);
}
//#else
alias Row = Line;

fn row_points(row: Row) -> Line {
    return input_points(row);
}
//#endif

// Zero outside of the map. Rows and columns before the first wrap to large numbers, so that one comparison covers both edges.
fn map_at(place: Place, row: u32, column: u32) -> vec4f {
    let inside = row < tiles.height && column < tiles.width;
    let at = ((place.image * tiles.height + row) * tiles.width + column) * tiles.pitch4 + place.channel4;
    return select(vec4f(), unpack4(map[select(0u, at, inside)]), inside);
}

fn line(place: Place, row: u32) -> Row {
    return Row({i in 0..OUTPUTS + BORDER: map_at(place, row, place.column + {i}u)});
}

// A column of the tile's points.
fn store(first: u32, column: u32, v: Line) {
    let at = first + column * tiles.channels4;
    let step = SIDE * tiles.channels4;
//#for i in 0..SIDE
    points[at + {i}u * step] = pack_floats(v[{i}]);
//#endfor
}

fn make(item: u32) {
    let place = place_of(item);
    if !place.there {
        return;
    }
    let d = array({i in 0..OUTPUTS + BORDER: row_points(line(place, place.row + {i}u))});
//#for i in 0..SIDE
    store(place.at, {i}u, row_points(Row({j in 0..OUTPUTS + BORDER: d[{j}][{i}]})));
//#endfor
}
