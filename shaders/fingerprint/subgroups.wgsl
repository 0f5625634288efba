// How large are subgroups, are neighbouring invocations in the same one, and do they get each other's values?
//
// results of an item: the subgroup's size; the invocation's place in it; the sum of the operands, ones, over the subgroup; the index of the
// subgroup's first invocation; the index that lane 3 hands to all; those that the neighbours to the side, below and diagonally
// across in the quad hand over.
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
    let handed = subgroupBroadcast(item, 3u);
    let beside = quadSwapX(item);
    let below = quadSwapY(item);
    let across = quadSwapDiagonal(item);
    if item >= size.x {
        return;
    }
    let at = item * 8u;
    results[at] = subgroup;
    results[at + 1u] = lane;
    results[at + 2u] = ones;
    results[at + 3u] = first;
    results[at + 4u] = handed;
    results[at + 5u] = beside;
    results[at + 6u] = below;
    results[at + 7u] = across;
}
