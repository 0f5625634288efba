// The rectifier, NaN staying NaN as in PyTorch. max() may drop NaN, and a driver may make a max() of a comparison and a
// select (llvmpipe's GL does), so NaN is told apart by its bits.
//#import shared/nan.wgsl
fn rectify(x: vec4f) -> vec4f {
    return select(max(x, vec4f()), x, is_nan(x));
}

// The gradient g through it, by its input or its output: zero where that is not above zero; it passes where that is NaN.
fn rectify_backward(x: vec4f, g: vec4f) -> vec4f {
    return select(g, vec4f(), (x <= vec4f()) & !is_nan(x));
}
