// Reads a column of points, for the kernels that transform points back.
//#import shared/floats.wgsl
@group(0) @binding(1) var<storage, read> points: array<Float4>;

// The column that begins at `at`, its points `step` apart.
fn column_at(at: u32, step: u32) -> Line {
    return Line({i in 0..SIDE: unpack_floats(points[at + {i}u * step])});
}
