// Converts gradients to f16, whose largest value is 65,504. Drivers may saturate larger values. A step whose gradients do not fit must be
// detected, so they become infinite here: twice the largest value is infinite, and so is twice infinity.
fn half_gradient(v: vec4f) -> vec4<f16> {
    let stored = vec4<f16>(v);
    return select(stored, stored + stored, abs(v) > vec4f(65504.0));
}
