enable f16;
// The arithmetic of halves, where the adapter has it.
//
// results of an item (a, b, c, …), halves: a + b; a * b; a / b; sqrt(a); a*b + c; a copy of a; f16(f32(a) * f32(b));
// 0 (results are stored in pairs).
// dispatch: a workgroup for 64 items.
@group(0) @binding(0) var<uniform> size: vec4u; // x: items
@group(0) @binding(1) var<storage, read> operands: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read_write> results: array<f16>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let x = operands[item];
    let at = item * 8u;
    results[at] = x.x + x.y;
    results[at + 1u] = x.x * x.y;
    results[at + 2u] = x.x / x.y;
    results[at + 3u] = sqrt(x.x);
    results[at + 4u] = x.x * x.y + x.z;
    results[at + 5u] = x.x;
    results[at + 6u] = f16(f32(x.x) * f32(x.y));
    results[at + 7u] = f16(0.0);
}
