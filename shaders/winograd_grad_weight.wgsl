//#name winograd2_grad_weight | winograd4_grad_weight F4
//#unchecked
//
// The weight's side of a Winograd convolution's gradient by its weight (shared/winograd.wgsl).
//
//   grad_weight[k][r,s][c] = (G' points[·][k][c] G)[r,s]
//
// `points` is what the gradient by the weight of the 1x1 convolution over the points' groups gives; both have input channels padded to
// vec4s. Four input channels of an output channel an invocation, 64 to a workgroup, folded.
//#import shared/fold.wgsl
//#import shared/winograd.wgsl
//#import shared/winograd_column.wgsl
struct Size {
    outputs: u32,
    padded_outputs: u32, // from one point to the next
    inputs4: u32,
    end: u32,
}
@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(2) var<storage, read_write> grad_weight: array<vec4f>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let at = unfold(workgroup, count) * 64u + invocation;
    let output = at / size.inputs4;
    if output >= size.outputs {
        return;
    }
    let point = size.padded_outputs * size.inputs4;
    let step = SIDE * point;
    let to = output * 9u * size.inputs4 + at % size.inputs4;
//#if F4
    let u0 = taps_of(column_at(at, step));
    let u1 = taps_of(column_at(at + 1u * point, step));
    let u2 = taps_of(column_at(at + 2u * point, step));
    let u3 = taps_of(column_at(at + 3u * point, step));
    let u4 = taps_of(column_at(at + 4u * point, step));
    let u5 = taps_of(column_at(at + 5u * point, step));
    let g0 = taps_of(Line(u0.v0, u1.v0, u2.v0, u3.v0, u4.v0, u5.v0));
    grad_weight[to] = g0.v0;
    grad_weight[to + size.inputs4] = g0.v1;
    grad_weight[to + 2u * size.inputs4] = g0.v2;
    let g1 = taps_of(Line(u0.v1, u1.v1, u2.v1, u3.v1, u4.v1, u5.v1));
    grad_weight[to + 3u * size.inputs4] = g1.v0;
    grad_weight[to + 4u * size.inputs4] = g1.v1;
    grad_weight[to + 5u * size.inputs4] = g1.v2;
    let g2 = taps_of(Line(u0.v2, u1.v2, u2.v2, u3.v2, u4.v2, u5.v2));
    grad_weight[to + 6u * size.inputs4] = g2.v0;
    grad_weight[to + 7u * size.inputs4] = g2.v1;
    grad_weight[to + 8u * size.inputs4] = g2.v2;
//#else
    let u0 = taps_of(column_at(at, step));
    let u1 = taps_of(column_at(at + 1u * point, step));
    let u2 = taps_of(column_at(at + 2u * point, step));
    let u3 = taps_of(column_at(at + 3u * point, step));
    let g0 = taps_of(Line(u0.v0, u1.v0, u2.v0, u3.v0));
    grad_weight[to] = g0.v0;
    grad_weight[to + size.inputs4] = g0.v1;
    grad_weight[to + 2u * size.inputs4] = g0.v2;
    let g1 = taps_of(Line(u0.v1, u1.v1, u2.v1, u3.v1));
    grad_weight[to + 3u * size.inputs4] = g1.v0;
    grad_weight[to + 4u * size.inputs4] = g1.v1;
    grad_weight[to + 5u * size.inputs4] = g1.v2;
    let g2 = taps_of(Line(u0.v2, u1.v2, u2.v2, u3.v2));
    grad_weight[to + 6u * size.inputs4] = g2.v0;
    grad_weight[to + 7u * size.inputs4] = g2.v1;
    grad_weight[to + 8u * size.inputs4] = g2.v2;
//#endif
}
