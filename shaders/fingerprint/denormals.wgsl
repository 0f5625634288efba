// Are numbers below the smallest normal one, 2^-126, kept or flushed to zero?
//
// results of an item (d, e, x, y), where d and e are denormal, x and y normal, and x*y is denormal: d + e; x*y; d * 2^60;
// x/2^60; d * 1; min(d, 1); sqrt(d); fma(x, y, d); whether d > 0. `copy` moves bits through f32 loads and stores.
// dispatch: a workgroup for 64 items.
//#import shared/probe.wgsl
@group(0) @binding(3) var<storage, read> floats: array<f32>;
@group(0) @binding(4) var<storage, read_write> copies: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let x = bitcast<vec4f>(operands[item]);
    // From the uniform block, so that they are no constants to a compiler.
    let large = f32(size.y);
    let one = f32(size.z);
    let at = item * 9u;
    put(at, x.x + x.y);
    put(at + 1u, x.z * x.w);
    put(at + 2u, x.x * large * large);
    put(at + 3u, x.z / large / large);
    put(at + 4u, x.x * one);
    put(at + 5u, min(x.x, one));
    put(at + 6u, sqrt(x.x));
    put(at + 7u, fma(x.z, x.w, x.x));
    results[at + 8u] = select(0u, 1u, x.x > 0.0);
}

@compute @workgroup_size(64)
fn copy(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    for (var i = 0u; i < 4u; i++) {
        copies[item * 4u + i] = floats[item * 4u + i];
    }
}
