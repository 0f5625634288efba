// max_pool2d: output[n,p,q,c] = max over r,s of input[n, p*stride+r-padding, q*stride+s-padding, c]
//
// Padding never wins: the window is cut to the image, and the running maximum starts from its first element, so no
// infinity is needed. NaN wins, as in PyTorch. ceil_mode is the host's affair: it only changes P and Q.
// One vec4 of channels an invocation, 64 to a workgroup, folded.
//#import shared/fold.wgsl
//#import shared/pool2d.wgsl
//#import shared/nan.wgsl

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    if i >= pool.outputs {
        return;
    }
    let window = window_of(i);
    let top = max(window.row, 0);
    let left = max(window.column, 0);
    let bottom = min(window.row + i32(pool.kernel.x), i32(pool.in_height));
    let right = min(window.column + i32(pool.kernel.y), i32(pool.in_width));
    var best = input_at(window, top, left);
    for (var row = top; row < bottom; row++) {
        for (var column = left; column < right; column++) {
            let x = input_at(window, row, column);
            best = select(best, x, (x > best) | is_nan(x));
        }
    }
    output[i] = best;
}
