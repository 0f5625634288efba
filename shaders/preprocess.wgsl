//#axis - | _f16 HALF
//
// preprocess: output[n,h,w,c] = (bytes[n,h,w,c] / 255 - mean[c]) / std[c], and 0 for the fourth channel
//
// torchvision's ToTensor and Normalize. Images arrive as packed RGB bytes, a quarter of the upload of floats.
// One pixel per invocation, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/stored.wgsl
struct Preprocess {
    mean: vec4f,
    deviation: vec4f,
    pixels: u32,
}
@group(0) @binding(0) var<uniform> preprocess: Preprocess;
@group(0) @binding(1) var<storage, read> bytes: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<Stored4>;

fn byte(index: u32) -> f32 {
    return f32((bytes[index / 4u] >> ((index % 4u) * 8u)) & 255u);
}

fn make(i: u32) {
    if i >= preprocess.pixels {
        return;
    }
    let rgb = vec3f(byte(i * 3u), byte(i * 3u + 1u), byte(i * 3u + 2u));
    output[i] = Stored4(vec4f((rgb / 255.0 - preprocess.mean.xyz) / preprocess.deviation.xyz, 0.0));
}
