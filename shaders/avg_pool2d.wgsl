//#axis - | _f16 HALF
//
// avg_pool2d: output[n,p,q,c] = 1/|window| * sum over r,s of input[n, p*stride+r-padding, q*stride+s-padding, c]
//
// PyTorch's count_include_pad: |window| counts the zeros of the padding, but nothing beyond it.
// One vec4 of channels per invocation, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/pool2d.wgsl

fn make(i: u32) {
    if i >= pool.items {
        return;
    }
    let window = window_of(i);
    let padded_bottom = min(window.row + i32(pool.kernel.x), i32(pool.in_height + pool.padding.x));
    let padded_right = min(window.column + i32(pool.kernel.y), i32(pool.in_width + pool.padding.y));
    // In floats: the product of two large extents overflows an integer.
    let size = f32(padded_bottom - window.row) * f32(padded_right - window.column);
    let bottom = min(padded_bottom, i32(pool.in_height));
    let right = min(padded_right, i32(pool.in_width));
    var sum = vec4f();
    for (var row = max(window.row, 0); row < bottom; row++) {
        for (var column = max(window.column, 0); column < right; column++) {
            sum += input_at(window, row, column);
        }
    }
    output[i] = Stored4(sum / size);
}
