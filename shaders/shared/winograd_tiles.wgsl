// Geometry of the tiles that a map is cut into, shared by the kernels that read or write maps. NHWC, channels padded to vec4s.
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
    end: u32,
}
@group(0) @binding(0) var<uniform> tiles: Tiles;
