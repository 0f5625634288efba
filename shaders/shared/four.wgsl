// Four vec4s of sums, each for one of the four values of a vec4.
struct Four {
    a: vec4f,
    b: vec4f,
    c: vec4f,
    d: vec4f,
}

fn four_of(v: vec4f) -> Four {
    return Four(v, v, v, v);
}

fn add_products(sums: Four, x: vec4f, w: vec4f) -> Four {
    return Four(sums.a + w * x.x, sums.b + w * x.y, sums.c + w * x.z, sums.d + w * x.w);
}
