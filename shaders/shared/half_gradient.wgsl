// Gradients as f16, which ends at 65,504. What a conversion makes of larger values is up to the driver, and some saturate. A step
// whose gradients don't fit has to be noticed, so they become infinite here: twice the largest value is, and so is twice infinity.
fn half_gradient(v: vec4f) -> vec4<f16> {
    let stored = vec4<f16>(v);
    return select(stored, stored + stored, abs(v) > vec4f(65504.0));
}
