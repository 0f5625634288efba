// How large are subgroups, and are neighbouring invocations in the same one?
//
// results of an item: the subgroup's size; the invocation's place in it; the sum of the operands, ones, over the subgroup; the index of the
// subgroup's first invocation.
// dispatch: a workgroup for 64 items, of which all are there.
//#import shared/probe.wgsl

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3u,
    @builtin(subgroup_size) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let item = id.x;
    let ones = subgroupAdd(operands[item].x);
    let first = subgroupBroadcastFirst(item);
    if item >= size.x {
        return;
    }
    let at = item * 4u;
    results[at] = subgroup;
    results[at + 1u] = lane;
    results[at + 2u] = ones;
    results[at + 3u] = first;
}
