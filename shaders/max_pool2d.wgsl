//#axis - | _indices INDICES
//#axis - | _f16 HALF
//
// max_pool2d: output[n,p,q,c] = max over r,s of input[n, p*stride+r-padding, q*stride+s-padding, c]
//
// Padding is never the maximum: the window is clipped to the image, and the running maximum starts from its first element, so no
// infinity is needed. NaN is the maximum, as in PyTorch. ceil_mode only changes P and Q, on the host.
// With INDICES, the place of the maximum in its plane, y * W + x, is stored for the backward pass.
// One vec4 of channels per invocation, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/pool2d.wgsl
//#import shared/nan.wgsl
//#if INDICES
@group(0) @binding(3) var<storage, read_write> indices: array<vec4u>;
//#endif

fn make(i: u32) {
    if i >= pool.items {
        return;
    }
    let window = window_of(i);
    let top = max(window.row, 0);
    let left = max(window.column, 0);
    let bottom = min(window.row + i32(pool.kernel.x), i32(pool.in_height));
    let right = min(window.column + i32(pool.kernel.y), i32(pool.in_width));
    var best = input_at(window, top, left);
    var place = vec4u(u32(top) * pool.in_width + u32(left));
    for (var row = top; row < bottom; row++) {
        for (var column = left; column < right; column++) {
            let x = input_at(window, row, column);
            let wins = (x > best) | is_nan(x);
            best = select(best, x, wins);
            place = select(place, vec4u(u32(row) * pool.in_width + u32(column)), wins);
        }
    }
    output[i] = Stored4(best);
//#if INDICES
    indices[i] = place;
//#endif
}
