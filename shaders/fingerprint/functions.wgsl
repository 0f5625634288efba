// How far are the built-in functions from the exact value?
//
// results of an item (x, y, z, w): exp(x); exp2(x); log(y); log2(y); pow(y, w); sin(z); cos(z); tanh(z); inverseSqrt(y).
// dispatch: a workgroup for 64 items.
//#import shared/probe.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let x = bitcast<vec4f>(operands[item]);
    let at = item * 9u;
    put(at, exp(x.x));
    put(at + 1u, exp2(x.x));
    put(at + 2u, log(x.y));
    put(at + 3u, log2(x.y));
    put(at + 4u, pow(x.y, x.w));
    put(at + 5u, sin(x.z));
    put(at + 6u, cos(x.z));
    put(at + 7u, tanh(x.z));
    put(at + 8u, inverseSqrt(x.y));
}
