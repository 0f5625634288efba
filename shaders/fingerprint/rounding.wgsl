// How are the results of arithmetic rounded?
//
// results of an item (a, b, …): a + b; a - b; a * b; a / b; sqrt(a); 1 / b.
// dispatch: a workgroup for 64 items.
//#import shared/probe.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let x = bitcast<vec4f>(operands[item]);
    let at = item * 6u;
    put(at, x.x + x.y);
    put(at + 1u, x.x - x.y);
    put(at + 2u, x.x * x.y);
    put(at + 3u, x.x / x.y);
    put(at + 4u, sqrt(x.x));
    put(at + 5u, 1.0 / x.y);
}
