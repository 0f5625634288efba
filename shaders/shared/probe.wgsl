// What the shaders of the numeric fingerprint share: one invocation an item, 64 to a workgroup. Operands and results are
// bits, so that no load or store changes them; operands come from a buffer, so that no compiler computes with them.
@group(0) @binding(0) var<uniform> size: vec4u; // x: items
@group(0) @binding(1) var<storage, read> operands: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> results: array<u32>;

fn put(at: u32, value: f32) {
    results[at] = bitcast<u32>(value);
}
