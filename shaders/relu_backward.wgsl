//#axis - | _f16 HALF GRADIENT
//#form _wide WIDE
//#never HALF WIDE
//#enable f16 if HALF
//
// relu_backward: grad_input[i] = grad_output[i] where input[i] > 0, else 0
//
// input may be the forward pass's input or its output, which have the same sign. NaN lets the gradient pass, as in PyTorch.
// Layout-free: a flat run of vec4s. One vec4 an invocation, 64 to a workgroup, folded.
//#import shared/maps.wgsl
//#import shared/fold.wgsl
//#import shared/relu.wgsl
@group(0) @binding(0) var<uniform> size4: vec4u; // x: vec4s
@group(0) @binding(1) var<storage, read> input: array<Float4>;
@group(0) @binding(2) var<storage, read> grad_output: array<Float4>;
@group(0) @binding(3) var<storage, read_write> output: array<Float4>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    if i >= size4.x {
        return;
    }
    output[i] = pack_floats(rectify_backward(unpack_floats(input[i]), unpack_floats(grad_output[i])));
}
