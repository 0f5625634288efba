// Reading a column of points, for the kernels that transform back from them.
//#import shared/winograd_stored.wgsl
@group(0) @binding(1) var<storage, read> points: array<Point4>;

// The column that begins at `at`, its points `step` apart.
fn column_at(at: u32, step: u32) -> Line {
//#if F4
    return Line(
        unpack_point(points[at]),
        unpack_point(points[at + step]),
        unpack_point(points[at + 2u * step]),
        unpack_point(points[at + 3u * step]),
        unpack_point(points[at + 4u * step]),
        unpack_point(points[at + 5u * step]),
    );
//#else
    return Line(
        unpack_point(points[at]),
        unpack_point(points[at + step]),
        unpack_point(points[at + 2u * step]),
        unpack_point(points[at + 3u * step]),
    );
//#endif
}
