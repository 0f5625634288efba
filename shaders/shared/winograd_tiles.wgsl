// The tiles of a map, for the kernels that read or write maps. NHWC, channels padded to vec4s.
struct Tiles {
    height: u32, // of the map
    width: u32,
    channels4: u32,
    rows: u32, // tiles of an image
    columns: u32,
    tiles: u32, // of all images
    padding: vec2u,
    biased: u32,
    relu: u32,
    residual: u32,
    pitch4: u32,        // vec4s from one pixel of the map to the next
    points_pitch4: u32, // from one tile's points to the next
    rectified: u32,
}
@group(0) @binding(0) var<uniform> tiles: Tiles;

// The work of invocation i: four channels of a tile. The tile's first pixel is at `row`, `column` of the map (two's complement), its points
// begin at `at`.
struct Place {
    image: u32,
    row: u32,
    column: u32,
    channel4: u32,
    at: u32,
    there: bool,
}

fn place_of(i: u32) -> Place {
    let channel4 = i % tiles.channels4;
    let tile = i / tiles.channels4;
    let rest = tile / tiles.columns;
    let row = (rest % tiles.rows) * OUTPUTS - tiles.padding.x;
    let column = (tile % tiles.columns) * OUTPUTS - tiles.padding.y;
    let at = tile * tiles.points_pitch4 + channel4;
    return Place(rest / tiles.rows, row, column, channel4, at, tile < tiles.tiles);
}
