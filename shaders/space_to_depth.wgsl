//#axis - | _f16 HALF
//
// space_to_depth: output[n,i,j,(a,b,c)] = input[n, i*stride+a-padding, j*stride+b-padding, c], and 0 outside of the input
//
// where (a,b,c) = (a * stride + b) * C + c. The pixels of a block of stride x stride become the channels of one pixel without gaps, so that
// a convolution of few channels has full vectors (src/ops/space_to_depth.rs).
// One block per invocation, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/stored.wgsl
struct SpaceToDepth {
    in_height: u32,
    in_width: u32,
    in_pitch: u32, // values from one pixel to the next
    in_channels: u32,
    out_height: u32,
    out_width: u32,
    out_pitch: u32,
    blocks: u32,
    stride: vec2u,
    padding: vec2u,
}
@group(0) @binding(0) var<uniform> depth: SpaceToDepth;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(2) var<storage, read_write> output: array<Stored>;

fn make(i: u32) {
    if i >= depth.blocks {
        return;
    }
    let rest = i / depth.out_width;
    let image = rest / depth.out_height;
    let corner = vec2u(rest % depth.out_height, i % depth.out_width) * depth.stride - depth.padding;
    var at = i * depth.out_pitch;
    for (var a = 0u; a < depth.stride.x; a++) {
        for (var b = 0u; b < depth.stride.y; b++) {
            // Rows above the input wrap to large numbers, so that one comparison covers both ends.
            let row = corner.x + a;
            let column = corner.y + b;
            let there = row < depth.in_height && column < depth.in_width;
            let source = ((image * depth.in_height + row) * depth.in_width + column) * depth.in_pitch;
            let first = select(0u, source, there);
            for (var c = 0u; c < depth.in_channels; c++) {
                output[at] = select(Stored(), input[first + c], there);
                at++;
            }
        }
    }
    for (; at < (i + 1u) * depth.out_pitch; at++) {
        output[at] = Stored();
    }
}
