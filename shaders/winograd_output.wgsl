//#name winograd2 | winograd4 F4
//#axis _output | _grad_input GRADIENT
//#axis - | _wide WIDE
//#axis - | _f16 HALF
//#never GRADIENT !HALF
//#unchecked
//#enable f16 if HALF
//
// The output's side of a Winograd convolution (shared/winograd.wgsl): from products at the points to m x m pixels.
//
//   output[pixel][k] = relu((A' points[tile] A)[pixel] + bias[k] + residual[pixel][k])
//
// The gradient by an input that came out of a ReLU (`rectified`) goes through it instead; as f16 it has shaders of its own, whose
// stores never saturate.
// Four channels of a tile an invocation, 64 to a workgroup, channels fastest, folded. A tile's pixels past the map are dropped.
//#import shared/fold.wgsl
//#import shared/relu.wgsl
//#import shared/stored.wgsl
//#import shared/winograd.wgsl
//#import shared/winograd_tiles.wgsl
//#import shared/winograd_column.wgsl
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> residual: array<Stored4>;
@group(0) @binding(4) var<storage, read> rectified: array<Stored4>;
@group(0) @binding(5) var<storage, read_write> output: array<Stored4>;

fn put(image: u32, row: u32, column: u32, channel4: u32, sum: vec4f) {
    if row >= tiles.height || column >= tiles.width {
        return;
    }
    let at = ((image * tiles.height + row) * tiles.width + column) * tiles.pitch4 + channel4;
    var value = sum;
    if tiles.biased != 0u {
        value += bias[channel4];
    }
    if tiles.residual != 0u {
        value += unpack4(residual[at]);
    }
    if tiles.relu != 0u {
        value = rectify(value);
    }
    if tiles.rectified != 0u {
        value = rectify_backward(unpack4(rectified[at]), value);
    }
    output[at] = pack4(value);
}

fn store(image: u32, row: u32, column: u32, channel4: u32, v: Outputs) {
    put(image, row, column, channel4, v.v0);
    put(image, row, column + 1u, channel4, v.v1);
//#if F4
    put(image, row, column + 2u, channel4, v.v2);
    put(image, row, column + 3u, channel4, v.v3);
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
    let at = place.at;
    let step = SIDE * tiles.channels4;
//#if F4
    let m0 = outputs_of(column_at(at, step));
    let m1 = outputs_of(column_at(at + 1u * tiles.channels4, step));
    let m2 = outputs_of(column_at(at + 2u * tiles.channels4, step));
    let m3 = outputs_of(column_at(at + 3u * tiles.channels4, step));
    let m4 = outputs_of(column_at(at + 4u * tiles.channels4, step));
    let m5 = outputs_of(column_at(at + 5u * tiles.channels4, step));
    store(image, row, column, channel4, outputs_of(Line(m0.v0, m1.v0, m2.v0, m3.v0, m4.v0, m5.v0)));
    store(image, row + 1u, column, channel4, outputs_of(Line(m0.v1, m1.v1, m2.v1, m3.v1, m4.v1, m5.v1)));
    store(image, row + 2u, column, channel4, outputs_of(Line(m0.v2, m1.v2, m2.v2, m3.v2, m4.v2, m5.v2)));
    store(image, row + 3u, column, channel4, outputs_of(Line(m0.v3, m1.v3, m2.v3, m3.v3, m4.v3, m5.v3)));
//#else
    let m0 = outputs_of(column_at(at, step));
    let m1 = outputs_of(column_at(at + 1u * tiles.channels4, step));
    let m2 = outputs_of(column_at(at + 2u * tiles.channels4, step));
    let m3 = outputs_of(column_at(at + 3u * tiles.channels4, step));
    store(image, row, column, channel4, outputs_of(Line(m0.v0, m1.v0, m2.v0, m3.v0)));
    store(image, row + 1u, column, channel4, outputs_of(Line(m0.v1, m1.v1, m2.v1, m3.v1)));
//#endif
}
