//#name winograd2_grad_output | winograd4_grad_output F4
//#axis - | _wide WIDE
//#axis - | _f16 HALF
//#unchecked
//#enable f16 if HALF
//
// The gradient's side of a Winograd convolution's gradient by its weight (shared/winograd.wgsl).
//
//   points[tile][point][k] = (A y A')[point],  y the tile's m x m pixels of grad_output's channel k, zero outside of the map
//
// Four channels of a tile an invocation, 64 to a workgroup, channels fastest, folded.
//#import shared/fold.wgsl
//#import shared/winograd.wgsl
//#import shared/winograd_tiles.wgsl
//#import shared/winograd_points.wgsl

fn line(image: u32, row: u32, column: u32, channel4: u32) -> Outputs {
//#if F4
    return Outputs(
        map_at(image, row, column, channel4),
        map_at(image, row, column + 1u, channel4),
        map_at(image, row, column + 2u, channel4),
        map_at(image, row, column + 3u, channel4),
    );
//#else
    return Outputs(
        map_at(image, row, column, channel4),
        map_at(image, row, column + 1u, channel4),
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
    let y0 = gradient_points(line(image, row, column, channel4));
    let y1 = gradient_points(line(image, row + 1u, column, channel4));
    let y2 = gradient_points(line(image, row + 2u, column, channel4));
    let y3 = gradient_points(line(image, row + 3u, column, channel4));
    store(place.at, 0u, gradient_points(Outputs(y0.v0, y1.v0, y2.v0, y3.v0)));
    store(place.at, 1u, gradient_points(Outputs(y0.v1, y1.v1, y2.v1, y3.v1)));
    store(place.at, 2u, gradient_points(Outputs(y0.v2, y1.v2, y2.v2, y3.v2)));
    store(place.at, 3u, gradient_points(Outputs(y0.v3, y1.v3, y2.v3, y3.v3)));
    store(place.at, 4u, gradient_points(Outputs(y0.v4, y1.v4, y2.v4, y3.v4)));
    store(place.at, 5u, gradient_points(Outputs(y0.v5, y1.v5, y2.v5, y3.v5)));
//#else
    let y0 = gradient_points(line(image, row, column, channel4));
    let y1 = gradient_points(line(image, row + 1u, column, channel4));
    store(place.at, 0u, gradient_points(Outputs(y0.v0, y1.v0)));
    store(place.at, 1u, gradient_points(Outputs(y0.v1, y1.v1)));
    store(place.at, 2u, gradient_points(Outputs(y0.v2, y1.v2)));
    store(place.at, 3u, gradient_points(Outputs(y0.v3, y1.v3)));
//#endif
}
