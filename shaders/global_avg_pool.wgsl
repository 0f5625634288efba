//#axis - | _f16 HALF
//
// global_avg_pool: output[n,c] = 1/(H*W) * sum over h,w of input[n,h,w,c]
//
// The output is always f32.
// One vec4 of channels of one image per invocation, 64 to a workgroup, folded; neighbours read neighbouring channels.
//#import shared/item.wgsl
//#import shared/stored.wgsl
@group(0) @binding(0) var<uniform> size: vec4u; // pixels of an image, vec4s of channels, outputs as vec4s, pitch
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

fn x(at: u32) -> vec4f {
    return vec4f(input[at]);
}

fn make(i: u32) {
    if i >= size.z {
        return;
    }
    let pixels = size.x;
    let channels4 = size.y;
    let pitch4 = size.w;
    let first = (i / channels4) * pixels * pitch4 + i % channels4;
    var sum = vec4f();
    // Partial sums of 64 pixels keep the rounding error of large maps small. Four pixels an iteration, also because Mesa 22's
    // lavapipe silently leaves loops after 65,535 iterations, nested ones counted together.
    let whole = pixels / 4u * 4u;
    for (var start = 0u; start < whole; start += 64u) {
        var part = vec4f();
        for (var pixel = start; pixel < min(start + 64u, whole); pixel += 4u) {
            let at = first + pixel * pitch4;
            part += x(at) + x(at + pitch4) + (x(at + 2u * pitch4) + x(at + 3u * pitch4));
        }
        sum += part;
    }
    for (var pixel = whole; pixel < pixels; pixel++) {
        sum += x(first + pixel * pitch4);
    }
    output[i] = sum / f32(pixels);
}
