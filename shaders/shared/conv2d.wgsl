// Bindings, geometry and epilogue that the forward convolution kernels share.
// Activations are NHWC with each group's channels padded to a multiple of 4; sizes named *4 count vec4s.
struct Conv2d {
    in_height: u32,
    in_width: u32,
    in_channels4: u32,        // vec4s from one input pixel to the next
    group_in_channels: u32,   // channels of one group, without padding
    out_height: u32,
    out_width: u32,
    out_channels4: u32,       // vec4s from one output pixel to the next
    group_out_channels4: u32, // vec4s of one group
    pixels: u32,              // N * P * Q
    pixel_tiles: u32,
    channel_tiles: u32,       // of one group
    groups: u32,
    kernel: vec2u,            // height, width
    stride: vec2u,
    padding: vec2u,
    dilation: vec2u,
    relu: u32,
    residual: u32,
}

@group(0) @binding(0) var<uniform> conv: Conv2d;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

// Where an output pixel stands: image, and the input row and column under its kernel's first tap (two's complement).
struct Pixel {
    image: u32,
    row: u32,
    column: u32,
}

fn pixel_at(index: u32) -> Pixel {
    // A partial tile's surplus pixels are computed from pixel 0 and never stored.
    let i = select(0u, index, index < conv.pixels);
    let column = i % conv.out_width;
    let rest = i / conv.out_width;
    let row = rest % conv.out_height;
    return Pixel(rest / conv.out_height, row * conv.stride.x - conv.padding.x, column * conv.stride.y - conv.padding.y);
}

// Whether tap (r, s) of the kernel lies inside the image for this pixel. Rows above the image wrap to large numbers, so
// that one unsigned comparison covers both edges.
fn inside(p: Pixel, r: u32, s: u32) -> bool {
    return p.row + r * conv.dilation.x < conv.in_height && p.column + s * conv.dilation.y < conv.in_width;
}

// Index of the input pixel under tap (r, s); only meaningful where `inside` holds.
fn input_pixel(p: Pixel, r: u32, s: u32) -> u32 {
    let row = p.row + r * conv.dilation.x;
    return (p.image * conv.in_height + row) * conv.in_width + p.column + s * conv.dilation.y;
}

// output = relu(sum + bias + residual), for four channels of one pixel; NaN stays NaN through the ReLU.
fn store(pixel: u32, group: u32, channel4: u32, sum: vec4f) {
    if pixel >= conv.pixels || channel4 >= conv.group_out_channels4 {
        return;
    }
    let channel = group * conv.group_out_channels4 + channel4;
    let at = pixel * conv.out_channels4 + channel;
    var value = sum + bias[channel];
    if conv.residual != 0u {
        value += residual[at];
    }
    if conv.relu != 0u {
        value = select(value, vec4f(), value < vec4f());
    }
    output[at] = value;
}
