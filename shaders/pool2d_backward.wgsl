//#name avg_pool2d_backward | max_pool2d_backward MAX
//#axis - | _f16 HALF GRADIENT
//
// max_pool2d_backward: grad_input[n,h,w,c] = sum of grad_output[n,p,q,c] over the windows whose maximum is (h,w)
// avg_pool2d_backward: grad_input[n,h,w,c] = sum of grad_output[n,p,q,c] / |window (p,q)| over the windows that hold (h,w)
//
// Each input pixel gathers from the windows over it, in a fixed order: no atomics. One vec4 of channels per invocation, 64
// to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/stored.wgsl
//#import shared/pool2d_block.wgsl
@group(0) @binding(1) var<storage, read> grad_output: array<Stored4>;
@group(0) @binding(2) var<storage, read_write> grad_input: array<Stored4>;
//#if MAX
@group(0) @binding(3) var<storage, read> indices: array<vec4u>; // of grad_output's shape: y * W + x of the maximum
//#endif

// The first window along an axis that contains position `at`, and the one after the last.
fn windows(at: u32, kernel: u32, stride: u32, padding: u32, count: u32) -> vec2u {
    let reach = at + padding;
    let first = select(0u, (reach - kernel) / stride + 1u, reach >= kernel);
    return vec2u(first, min(reach / stride + 1u, count));
}

// Elements of a window along an axis, zeros of the padding included, but nothing beyond it.
fn extent(window: u32, kernel: u32, stride: u32, padding: u32, size: u32) -> f32 {
    let start = window * stride;
    return f32(min(start + kernel, size + 2u * padding) - start);
}

fn make(i: u32) {
    if i >= pool.items {
        return;
    }
    let c = i % pool.channels4;
    let pixel = i / pool.channels4;
    let column = pixel % pool.in_width;
    let rest = pixel / pool.in_width;
    let row = rest % pool.in_height;
    let image = rest / pool.in_height;
    let rows = windows(row, pool.kernel.x, pool.stride.x, pool.padding.x, pool.out_height);
    let columns = windows(column, pool.kernel.y, pool.stride.y, pool.padding.y, pool.out_width);
    var sum = vec4f();
    for (var p = rows.x; p < rows.y; p++) {
        for (var q = columns.x; q < columns.y; q++) {
            let at = ((image * pool.out_height + p) * pool.out_width + q) * pool.channels4 + c;
            let g = unpack4(grad_output[at]);
//#if MAX
            sum += select(vec4f(), g, indices[at] == vec4u(row * pool.in_width + column));
//#else
            let high = extent(p, pool.kernel.x, pool.stride.x, pool.padding.x, pool.in_height);
            let wide = extent(q, pool.kernel.y, pool.stride.y, pool.padding.y, pool.in_width);
            sum += g / (high * wide);
//#endif
        }
    }
    grad_input[i] = pack4(sum);
}
