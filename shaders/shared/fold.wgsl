// The host folds a long row of workgroups over two dimensions (65,535 is the most in one); this unfolds it. The last
// row may be partial, so the caller leaves when the index is past its end.
fn unfold(workgroup: vec3u, count: vec3u) -> u32 {
    return workgroup.x + workgroup.y * count.x;
}
