//#variant winograd2_input
//#variant winograd4_input F4
//
// The input's side of a Winograd convolution (shared/winograd.wgsl): tiles of t x t pixels, m apart, at their points.
//
//   points[tile][point][c] = (B' d B)[point],  d the tile's t x t pixels of channel c, zero outside of the map
//
// With the points as groups, a 1x1 convolution then multiplies them by the weight's points. Map and points have channels
// padded to vec4s. Four channels of a tile an invocation, 64 to a workgroup, channels fastest, folded.
//#import shared/fold.wgsl
//#import shared/winograd.wgsl
//#import shared/winograd_tiles.wgsl
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> points: array<vec4f>;

// Rows and columns before the first wrap to large numbers, so that one comparison covers both edges.
fn input_at(image: u32, row: u32, column: u32, channel4: u32) -> vec4f {
    let inside = row < tiles.height && column < tiles.width;
    let at = ((image * tiles.height + row) * tiles.width + column) * tiles.channels4 + channel4;
    return select(vec4f(), input[select(0u, at, inside)], inside);
}

fn line(image: u32, row: u32, column: u32, channel4: u32) -> Line {
//#if F4
    return Line(
        input_at(image, row, column, channel4),
        input_at(image, row, column + 1u, channel4),
        input_at(image, row, column + 2u, channel4),
        input_at(image, row, column + 3u, channel4),
        input_at(image, row, column + 4u, channel4),
        input_at(image, row, column + 5u, channel4),
    );
//#else
    return Line(
        input_at(image, row, column, channel4),
        input_at(image, row, column + 1u, channel4),
        input_at(image, row, column + 2u, channel4),
        input_at(image, row, column + 3u, channel4),
    );
//#endif
}

// A column of the tile's points.
fn store(first: u32, column: u32, v: Line) {
    let at = first + column * tiles.channels4;
    let step = SIDE * tiles.channels4;
    points[at] = v.v0;
    points[at + step] = v.v1;
    points[at + 2u * step] = v.v2;
    points[at + 3u * step] = v.v3;
//#if F4
    points[at + 4u * step] = v.v4;
    points[at + 5u * step] = v.v5;
//#endif
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    let channel4 = i % tiles.channels4;
    let tile = i / tiles.channels4;
    if tile >= tiles.tiles {
        return;
    }
    let rest = tile / tiles.columns;
    let row = (rest % tiles.rows) * OUTPUTS - tiles.padding.x;
    let column = (tile % tiles.columns) * OUTPUTS - tiles.padding.y;
    let image = rest / tiles.rows;
    let at = tile * POINTS * tiles.channels4 + channel4;
//#if F4
    let d0 = input_points(line(image, row, column, channel4));
    let d1 = input_points(line(image, row + 1u, column, channel4));
    let d2 = input_points(line(image, row + 2u, column, channel4));
    let d3 = input_points(line(image, row + 3u, column, channel4));
    let d4 = input_points(line(image, row + 4u, column, channel4));
    let d5 = input_points(line(image, row + 5u, column, channel4));
    store(at, 0u, input_points(Line(d0.v0, d1.v0, d2.v0, d3.v0, d4.v0, d5.v0)));
    store(at, 1u, input_points(Line(d0.v1, d1.v1, d2.v1, d3.v1, d4.v1, d5.v1)));
    store(at, 2u, input_points(Line(d0.v2, d1.v2, d2.v2, d3.v2, d4.v2, d5.v2)));
    store(at, 3u, input_points(Line(d0.v3, d1.v3, d2.v3, d3.v3, d4.v3, d5.v3)));
    store(at, 4u, input_points(Line(d0.v4, d1.v4, d2.v4, d3.v4, d4.v4, d5.v4)));
    store(at, 5u, input_points(Line(d0.v5, d1.v5, d2.v5, d3.v5, d4.v5, d5.v5)));
//#else
    let d0 = input_points(line(image, row, column, channel4));
    let d1 = input_points(line(image, row + 1u, column, channel4));
    let d2 = input_points(line(image, row + 2u, column, channel4));
    let d3 = input_points(line(image, row + 3u, column, channel4));
    store(at, 0u, input_points(Line(d0.v0, d1.v0, d2.v0, d3.v0)));
    store(at, 1u, input_points(Line(d0.v1, d1.v1, d2.v1, d3.v1)));
    store(at, 2u, input_points(Line(d0.v2, d1.v2, d2.v2, d3.v2)));
    store(at, 3u, input_points(Line(d0.v3, d1.v3, d2.v3, d3.v3)));
//#endif
}
