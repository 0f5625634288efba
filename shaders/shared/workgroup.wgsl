// The entry point of kernels with a workgroup for each tile, folded. The importing file defines INVOCATIONS and `make`.
//#import shared/fold.wgsl
@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
//#if LANES
    @builtin(subgroup_invocation_id) invocation: u32, // a workgroup is a subgroup
//#else
    @builtin(local_invocation_index) invocation: u32,
//#endif
) {
    make(unfold(workgroup, count), invocation);
}
