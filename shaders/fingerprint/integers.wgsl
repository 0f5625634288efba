// Are quotients and remainders of integers exact, and what is x / 0?
//
// results of an item (x, y, …): x / y; x % y; the same with both taken as unsigned.
// dispatch: a workgroup for 64 items.
//#import shared/probe.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let u = operands[item].xy;
    let i = bitcast<vec2i>(u);
    let at = item * 4u;
    results[at] = bitcast<u32>(i.x / i.y);
    results[at + 1u] = bitcast<u32>(i.x % i.y);
    results[at + 2u] = u.x / u.y;
    results[at + 3u] = u.x % u.y;
}
