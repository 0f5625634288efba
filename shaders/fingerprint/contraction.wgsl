// Is a product that is added to something rounded before (two roundings) or not (one: a fused multiply-add)?
//
// results of an item (a, b, c, d): a*b + c; -c - a*b; fma(a, b, c); dot((a, b, c, d), (b, c, d, a)).
// dispatch: a workgroup for 64 items.
//#import shared/probe.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let x = bitcast<vec4f>(operands[item]);
    put(item * 4u, x.x * x.y + x.z);
    put(item * 4u + 1u, -x.z - x.x * x.y);
    put(item * 4u + 2u, fma(x.x, x.y, x.z));
    put(item * 4u + 3u, dot(x, x.yzwx));
}
