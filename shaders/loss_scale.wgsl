// loss_scale: the two ends of a backward pass through f16 maps; f16 has no numbers between 0 and 6e-8.
//
// scale:   output[i] = input[i] * scale: the gradient at the start of the pass
// unscale: grad[i] = grad[i] / scale, in place; records if one is not finite, because a map's gradient was beyond f16
//
// The scale is a power of two, so neither rounds. One vec4 per invocation, 64 to a workgroup, folded.
//#import shared/fold.wgsl
struct State {
    scale: f32,
    inverse: f32,
    overflow: atomic<u32>, // 1 if a gradient was not finite; the host clears it before a step
    end: u32,
}
@group(0) @binding(0) var<uniform> size: vec4u; // x: vec4s
@group(0) @binding(1) var<storage, read_write> state: State;
@group(0) @binding(2) var<storage, read> input: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> grad: array<vec4f>;

@compute @workgroup_size(64)
fn scale(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    if i < size.x {
        output[i] = input[i] * state.scale;
    }
}

@compute @workgroup_size(64)
fn unscale(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    if i >= size.x {
        return;
    }
    let g = grad[i];
    // By its bits: a compiler may assume that numbers are finite.
    if any((bitcast<vec4u>(g) & vec4u(0x7f800000u)) == vec4u(0x7f800000u)) {
        atomicStore(&state.overflow, 1u);
    }
    grad[i] = g * state.inverse;
}
