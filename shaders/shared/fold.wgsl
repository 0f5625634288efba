// The index of a workgroup. The host folds a long row of workgroups into two dimensions, since one dimension has at most 65,535. The
// last row may be partial, so the caller returns if the index is past its end.
fn unfold(workgroup: vec3u, count: vec3u) -> u32 {
    return workgroup.x + workgroup.y * count.x;
}
