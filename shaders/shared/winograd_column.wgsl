// Reading a column of points, for the kernels that transform back from them.
@group(0) @binding(1) var<storage, read> points: array<vec4f>;

// The column that begins at `at`, its points `step` apart.
fn column_at(at: u32, step: u32) -> Line {
//#if F4
    return Line(
        points[at],
        points[at + step],
        points[at + 2u * step],
        points[at + 3u * step],
        points[at + 4u * step],
        points[at + 5u * step],
    );
//#else
    return Line(
        points[at],
        points[at + step],
        points[at + 2u * step],
        points[at + 3u * step],
    );
//#endif
}
