//#axis - | _f16 HALF GRADIENT
//#enable f16 if HALF
//
// add: output[i] = input[i] + other[i]
//
// The residual addition of pre-activation blocks.
// Layout-free: a flat run of vec4s. One vec4 an invocation, 64 to a workgroup, folded.
//#import shared/fold.wgsl
//#import shared/stored.wgsl
@group(0) @binding(0) var<uniform> size4: vec4u; // x: vec4s
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read> other: array<Stored4>;
@group(0) @binding(3) var<storage, read_write> output: array<Stored4>;

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
    output[i] = pack4(unpack4(input[i]) + unpack4(other[i]));
}
