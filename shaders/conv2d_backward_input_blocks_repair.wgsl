//#axis - BLOCKS
//#axis - | _f16 HALF GRADIENT
//
// Recomputes the pixels of grad_input that a kernel for blocks of pixels (src/ops/conv2d/blocks.rs) made NaN, with their own taps only:
// through the zero weights that pad a block's kernel, a NaN or an infinity of grad_output reaches pixels that never meet it. One pixel
// (one vec4) per invocation; 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored>;

// The sum over the taps that pixel `at` of an image meets.
fn sum_at(image: u32, at: vec2u) -> vec4f {
    let pixel = at % conv.block;
    let v = pixel.x * conv.block.y + pixel.y;
    let tile = v / conv.weight_side4;
    let column = v % conv.weight_side4;
    let origin = at / conv.block * conv.stride;
    var sum = vec4f();
    for (var i = 0u; i < conv.own_kernel.x * conv.own_kernel.y; i++) {
        let rs = vec2u(i / conv.own_kernel.y, i % conv.own_kernel.y);
        // A negative distance wraps to far outside of grad_output; its remainder has no meaning.
        let distance = at + conv.own_padding - rs;
        let pq = distance / conv.own_stride;
        let meets = all(distance % conv.own_stride == vec2u()) && all(at + conv.own_padding >= rs)
            && pq.x < conv.source_height && pq.y < conv.source_width;
        if meets {
            let tap = pq + conv.padding - origin;
            let row = (tile * conv.kernel.x * conv.kernel.y + tap.x * conv.kernel.y + tap.y) * conv.weight_rows;
            let source = ((image * conv.source_height + pq.x) * conv.source_width + pq.y) * conv.source_pitch4 * 4u;
            for (var k = 0u; k < conv.group_source_channels; k++) {
                sum += f32(input[source + k]) * unpack4(weight[(row + k) * conv.weight_side4 + column]);
            }
        }
    }
    return sum;
}

fn make(i: u32) {
    let rest = i / conv.map.y;
    let image = rest / conv.map.x;
    if image >= conv.images {
        return;
    }
    if any(is_nan(unpack4(output[i]))) {
        var value = sum_at(image, vec2u(rest % conv.map.x, i % conv.map.y));
        if conv.residual != 0u {
            value += unpack4(residual[i]);
        }
        output[i] = pack4(value);
    }
}
