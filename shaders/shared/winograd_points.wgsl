// Reading a map and writing its points, for the kernels that transform one.
//#import shared/stored.wgsl
//#import shared/floats.wgsl
@group(0) @binding(1) var<storage, read> map: array<Stored4>;
@group(0) @binding(2) var<storage, read_write> points: array<Float4>; // [tile][point][channel]

// Zero outside of the map. Rows and columns before the first wrap to large numbers, so that one comparison covers both edges.
fn map_at(image: u32, row: u32, column: u32, channel4: u32) -> vec4f {
    let inside = row < tiles.height && column < tiles.width;
    let at = ((image * tiles.height + row) * tiles.width + column) * tiles.pitch4 + channel4;
    return select(vec4f(), unpack4(map[select(0u, at, inside)]), inside);
}

// A column of the tile's points.
fn store(first: u32, column: u32, v: Line) {
    let at = first + column * tiles.channels4;
    let step = SIDE * tiles.channels4;
    points[at] = pack_floats(v.v0);
    points[at + step] = pack_floats(v.v1);
    points[at + 2u * step] = pack_floats(v.v2);
    points[at + 3u * step] = pack_floats(v.v3);
//#if F4
    points[at + 4u * step] = pack_floats(v.v4);
    points[at + 5u * step] = pack_floats(v.v5);
//#endif
}
