//#form _wide WIDE
//
// sum_partials: output[i] = sum over j of partials[j, i]
//
// The second stage of a split reduction: always in the same order, so that the bits never change.
// One vec4 per invocation, 64 to a workgroup, folded.
//#import shared/floats.wgsl
//#import shared/item.wgsl
@group(0) @binding(0) var<uniform> size: vec4u; // vec4s of the output, partial results
@group(0) @binding(1) var<storage, read> partials: array<Float4>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

fn make(i: u32) {
    if i >= size.x {
        return;
    }
    var sum = vec4f();
    for (var j = 0u; j < size.y; j++) {
        sum += unpack_floats(partials[j * size.x + i]);
    }
    output[i] = sum;
}
