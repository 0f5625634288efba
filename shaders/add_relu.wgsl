//#axis - | _f16 HALF
//
// add_relu: output[i] = max(input[i] + other[i], 0)
//
// The end of a residual block: a[l+2] = g(z[l+2] + a[l]). NaN stays NaN.
// Independent of the layout: a flat run of vec4s. One vec4 per invocation, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/relu.wgsl
//#import shared/stored.wgsl
@group(0) @binding(0) var<uniform> size4: vec4u; // x: vec4s
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read> other: array<Stored4>;
@group(0) @binding(3) var<storage, read_write> output: array<Stored4>;

fn make(i: u32) {
    if i >= size4.x {
        return;
    }
    output[i] = pack4(rectify(unpack4(input[i]) + unpack4(other[i])));
}
