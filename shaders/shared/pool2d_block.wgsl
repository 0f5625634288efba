// The uniform block of the pooling kernels, forward and backward.
struct Pool {
    in_height: u32,
    in_width: u32,
    channels4: u32,
    out_height: u32,
    out_width: u32,
    items: u32, // vec4s to compute: of the output, or backward of the input
    kernel: vec2u,
    stride: vec2u,
    padding: vec2u,
}
@group(0) @binding(0) var<uniform> pool: Pool;
