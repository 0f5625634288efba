//#name winograd2_input | winograd4_input F4
//#axis - | _wide WIDE
//#axis - | _f16 HALF
//#unchecked
//#enable f16 if HALF
//
// The input's side of a Winograd convolution (shared/winograd.wgsl): tiles of t x t pixels, m apart, at their points.
//
//   points[tile][point][c] = (B' d B)[point],  d the tile's t x t pixels of channel c, zero outside of the map
//
// Points are f32 whatever the map is: they are up to 26 times as large as what they are made of.
// With the points as groups, a 1x1 convolution then multiplies them by the weight's points. Map and points have channels
// padded to vec4s. Four channels of a tile an invocation, 64 to a workgroup, channels fastest, folded.
//#import shared/fold.wgsl
//#import shared/winograd.wgsl
//#import shared/winograd_tiles.wgsl
//#import shared/winograd_points.wgsl

fn line(image: u32, row: u32, column: u32, channel4: u32) -> Line {
//#if F4
    return Line(
        map_at(image, row, column, channel4),
        map_at(image, row, column + 1u, channel4),
        map_at(image, row, column + 2u, channel4),
        map_at(image, row, column + 3u, channel4),
        map_at(image, row, column + 4u, channel4),
        map_at(image, row, column + 5u, channel4),
    );
//#else
    return Line(
        map_at(image, row, column, channel4),
        map_at(image, row, column + 1u, channel4),
        map_at(image, row, column + 2u, channel4),
        map_at(image, row, column + 3u, channel4),
    );
//#endif
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let place = place_of(unfold(workgroup, count) * 64u + invocation);
    if !place.there {
        return;
    }
    let image = place.image;
    let row = place.row;
    let column = place.column;
    let channel4 = place.channel4;
//#if F4
    let d0 = input_points(line(image, row, column, channel4));
    let d1 = input_points(line(image, row + 1u, column, channel4));
    let d2 = input_points(line(image, row + 2u, column, channel4));
    let d3 = input_points(line(image, row + 3u, column, channel4));
    let d4 = input_points(line(image, row + 4u, column, channel4));
    let d5 = input_points(line(image, row + 5u, column, channel4));
    store(place.at, 0u, input_points(Line(d0.v0, d1.v0, d2.v0, d3.v0, d4.v0, d5.v0)));
    store(place.at, 1u, input_points(Line(d0.v1, d1.v1, d2.v1, d3.v1, d4.v1, d5.v1)));
    store(place.at, 2u, input_points(Line(d0.v2, d1.v2, d2.v2, d3.v2, d4.v2, d5.v2)));
    store(place.at, 3u, input_points(Line(d0.v3, d1.v3, d2.v3, d3.v3, d4.v3, d5.v3)));
    store(place.at, 4u, input_points(Line(d0.v4, d1.v4, d2.v4, d3.v4, d4.v4, d5.v4)));
    store(place.at, 5u, input_points(Line(d0.v5, d1.v5, d2.v5, d3.v5, d4.v5, d5.v5)));
//#else
    let d0 = input_points(line(image, row, column, channel4));
    let d1 = input_points(line(image, row + 1u, column, channel4));
    let d2 = input_points(line(image, row + 2u, column, channel4));
    let d3 = input_points(line(image, row + 3u, column, channel4));
    store(place.at, 0u, input_points(Line(d0.v0, d1.v0, d2.v0, d3.v0)));
    store(place.at, 1u, input_points(Line(d0.v1, d1.v1, d2.v1, d3.v1)));
    store(place.at, 2u, input_points(Line(d0.v2, d1.v2, d2.v2, d3.v2)));
    store(place.at, 3u, input_points(Line(d0.v3, d1.v3, d2.v3, d3.v3)));
//#endif
}
