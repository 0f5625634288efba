// sum + x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3, component by component, so that each product is added from its register. As operations
// on vec4s, all four products would go through memory first. The weight is the first operand, because that one is copied;
// the other ones are fewer and can stay in registers.
fn add_products(sum: vec4f, x: vec4f, w0: vec4f, w1: vec4f, w2: vec4f, w3: vec4f) -> vec4f {
    return vec4f(
        sum.x + w0.x * x.x + w1.x * x.y + w2.x * x.z + w3.x * x.w,
        sum.y + w0.y * x.x + w1.y * x.y + w2.y * x.z + w3.y * x.w,
        sum.z + w0.z * x.x + w1.z * x.y + w2.z * x.z + w3.z * x.w,
        sum.w + w0.w * x.x + w1.w * x.y + w2.w * x.z + w3.w * x.w,
    );
}
