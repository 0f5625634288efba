// The ReLU. NaN stays NaN, as in PyTorch. max() may drop NaN, and a driver may turn a comparison and a select into max() (llvmpipe's GL
// does), so NaN is recognised by its bits.
//#import shared/nan.wgsl
fn rectify(x: vec4f) -> vec4f {
    return select(max(x, vec4f()), x, is_nan(x));
}

// The gradient g through the ReLU with input or output x: zero where x is not above zero; it passes where x is NaN.
fn rectify_backward(x: vec4f, g: vec4f) -> vec4f {
    return select(g, vec4f(), (x <= vec4f()) & !is_nan(x));
}
