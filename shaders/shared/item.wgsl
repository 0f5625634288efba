// One invocation makes one item: what that is, the function `make` of the file that imports this says. 64 to a workgroup, folded.
//#import shared/fold.wgsl
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    make(unfold(workgroup, count) * 64u + invocation);
}
