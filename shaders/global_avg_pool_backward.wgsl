//#axis - | _f16 HALF GRADIENT
//
// global_avg_pool_backward: grad_input[n,h,w,c] = grad_output[n,c] / (H*W)
//
// grad_output is always f32.
// One vec4 of channels of one pixel per invocation, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/stored.wgsl
@group(0) @binding(0) var<uniform> size: vec4u; // pixels of an image, vec4s of channels, inputs as vec4s, pitch
@group(0) @binding(1) var<storage, read> grad_output: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> grad_input: array<Stored4>;

fn make(i: u32) {
    if i >= size.z {
        return;
    }
    let pixel = i / size.y;
    let channel4 = i % size.y;
    grad_input[pixel * size.w + channel4] = pack4(grad_output[pixel / size.x * size.y + channel4] / f32(size.x));
}
