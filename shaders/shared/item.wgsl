// The entry point of kernels with one invocation per item, 64 to a workgroup, folded. The importing file defines `make`.
//#import shared/fold.wgsl
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    make(unfold(workgroup, count) * 64u + invocation);
}
