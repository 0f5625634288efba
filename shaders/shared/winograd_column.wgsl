// Reading a column of points, for the kernels that transform back from them.
//#import shared/floats.wgsl
@group(0) @binding(1) var<storage, read> points: array<Float4>;

// The column that begins at `at`, its points `step` apart.
fn column_at(at: u32, step: u32) -> Line {
//#if F4
    return Line(
        unpack_floats(points[at]),
        unpack_floats(points[at + step]),
        unpack_floats(points[at + 2u * step]),
        unpack_floats(points[at + 3u * step]),
        unpack_floats(points[at + 4u * step]),
        unpack_floats(points[at + 5u * step]),
    );
//#else
    return Line(
        unpack_floats(points[at]),
        unpack_floats(points[at + step]),
        unpack_floats(points[at + 2u * step]),
        unpack_floats(points[at + 3u * step]),
    );
//#endif
}
