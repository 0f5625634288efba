// Bindings and window arithmetic that the pooling kernels share. NHWC, channels padded to a multiple of 4.
//#import shared/stored.wgsl
//#import shared/pool2d_block.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read_write> output: array<Stored4>;

// The output element of an invocation: image, channels, and the start of its window (may lie above the image).
struct Window {
    image: u32,
    channel4: u32,
    row: i32,
    column: i32,
}

fn window_of(index: u32) -> Window {
    let channel4 = index % pool.channels4;
    let pixel = index / pool.channels4;
    let column = pixel % pool.out_width;
    let rest = pixel / pool.out_width;
    let row = rest % pool.out_height;
    return Window(
        rest / pool.out_height,
        channel4,
        i32(row * pool.stride.x) - i32(pool.padding.x),
        i32(column * pool.stride.y) - i32(pool.padding.y),
    );
}

fn input_at(window: Window, row: i32, column: i32) -> vec4f {
    let pixel = (window.image * pool.in_height + u32(row)) * pool.in_width + u32(column);
    return vec4f(input[pixel * pool.channels4 + window.channel4]);
}
