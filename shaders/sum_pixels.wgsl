//#axis - | _f16 HALF
//
// sum_pixels: partials[j,c] = sum over the j-th slice of pixels m of input[m,c]
//
// The gradient of a bias, or any sum over N, H and W, in slices, which sum_partials.wgsl adds. NHWC.
// One vec4 of channels of one slice per invocation, 64 to a workgroup, folded; neighbours read neighbouring channels.
//#import shared/item.wgsl
//#import shared/stored.wgsl
struct Size {
    pixels: u32,
    channels4: u32,
    slice: u32,  // pixels of a slice
    slices: u32,
    pitch4: u32, // vec4s from one pixel to the next
}
@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

fn make(i: u32) {
    let slice = i / size.channels4;
    if slice >= size.slices {
        return;
    }
    let c = i % size.channels4;
    var sum = vec4f();
    for (var pixel = slice * size.slice; pixel < min((slice + 1u) * size.slice, size.pixels); pixel++) {
        sum += unpack4(input[pixel * size.pitch4 + c]);
    }
    partials[i] = sum;
}
