// Adds products to four vec4s of sums, each for one of the four values of a vec4.
fn add_products(sums: array<vec4f, 4>, x: vec4f, w: vec4f) -> array<vec4f, 4> {
    return array({i in 0..4: sums[{i}] + w * x.{xyzw[i]}});
}
