//#unchecked
// peak_copy: output[i] = input[i], to measure the cost of a read and a write of memory.
//
// `single`: one vec4 per invocation. `several`: four, a workgroup's width apart, so that accesses stay contiguous and more
// loads are in flight. 64 to a workgroup, folded.
//#import shared/fold.wgsl
@group(0) @binding(0) var<uniform> size: vec4u; // vec4s
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn single(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    if i < size.x {
        output[i] = input[i];
    }
}

@compute @workgroup_size(64)
fn several(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 256u + invocation;
    if i + 192u < size.x {
        let a = input[i];
        let b = input[i + 64u];
        let c = input[i + 128u];
        let d = input[i + 192u];
        output[i] = a;
        output[i + 64u] = b;
        output[i + 128u] = c;
        output[i + 192u] = d;
        return;
    }
    for (var at = i; at < min(i + 256u, size.x); at += 64u) {
        output[at] = input[at];
    }
}
