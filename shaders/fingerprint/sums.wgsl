// Are sums computed in the order in which they are written, and are terms kept that only rounding makes differ from zero?
//
// results of an item (a, b, c, d): a + b + c; (a + b) + (c + d); (a + c) - a; the error term of Kahan's summation,
// ((a + c) - a) - c; a loop's sum of a, b, c, d over and over, 64 terms.
// dispatch: a workgroup for 64 items.
//#import shared/probe.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let x = bitcast<vec4f>(operands[item]);
    put(item * 5u, x.x + x.y + x.z);
    put(item * 5u + 1u, (x.x + x.y) + (x.z + x.w));
    put(item * 5u + 2u, (x.x + x.z) - x.x);
    let sum = x.x + x.z;
    put(item * 5u + 3u, (sum - x.x) - x.z);
    var total = 0.0;
    for (var i = 0u; i < size.y; i++) {
        total += x[i % 4u];
    }
    put(item * 5u + 4u, total);
}
