//#unchecked
// One-dimensional transforms of Winograd convolutions F(m x m, 3 x 3) (Lavin and Gray 2016, "Fast algorithms for convolutional
// neural networks"): polynomials are multiplied through their values at t = m + 2 points, one of which is infinity.
//
//   output = A' [ (G weight G') * (B' input B) ] A        a t x t tile of input, * elementwise, sums over channels between
//   grad_weight = G' [ (B' input B) * (A grad_output A') ] G
//
// Points are 0, +-1 for m = 2, and 0, +-3/4, +-3/2 for m = 4: exact in f32, with half the error of 0, +-1, +-2. Even and odd powers are
// summed separately, so that a pair of points costs one addition more than a single point.
const SIDE: u32 = {SIDE}u;       // t
const OUTPUTS: u32 = {OUTPUTS}u; // m
//#if F4
const A1: f32 = 0.75;
const B1: f32 = 1.5;
const A2: f32 = 0.5625;
const B2: f32 = 2.25;
const A3: f32 = 0.421875;
const B3: f32 = 3.375;
const SUM2: f32 = 2.8125;      // A2 + B2
const PRODUCT2: f32 = 1.265625; // A2 * B2
// Inverse products of a point's differences to the others.
const N0: f32 = 0.7901234567901234;   // 1 / (A2 B2)
const NA: f32 = -0.5267489711934157;  // 1 / (2 A2 (A2 - B2))
const NB: f32 = 0.13168724279835392;  // 1 / (2 B2 (B2 - A2))
//#endif

struct Line {
//#for i in 0..SIDE
    v{i}: vec4f,
//#endfor
}

struct Outputs {
//#for i in 0..OUTPUTS
    v{i}: vec4f,
//#endfor
}

struct Taps {
    v0: vec4f,
    v1: vec4f,
    v2: vec4f,
}

//#if F4
// B' d
fn input_points(d: Line) -> Line {
    let even_a = d.v4 - B2 * d.v2;
    let even_b = d.v4 - A2 * d.v2;
    let odd_a = A1 * (d.v3 - B2 * d.v1);
    let odd_b = B1 * (d.v3 - A2 * d.v1);
    return Line(
        PRODUCT2 * d.v0 - SUM2 * d.v2 + d.v4,
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        PRODUCT2 * d.v1 - SUM2 * d.v3 + d.v5,
    );
}

// A' m
fn outputs_of(m: Line) -> Outputs {
    let sum_a = m.v1 + m.v2;
    let sum_b = m.v3 + m.v4;
    let difference_a = m.v1 - m.v2;
    let difference_b = m.v3 - m.v4;
    return Outputs(
        m.v0 + sum_a + sum_b,
        A1 * difference_a + B1 * difference_b,
        A2 * sum_a + B2 * sum_b,
        A3 * difference_a + B3 * difference_b + m.v5,
    );
}

// A y
fn gradient_points(y: Outputs) -> Line {
    let even_a = y.v0 + A2 * y.v2;
    let even_b = y.v0 + B2 * y.v2;
    let odd_a = A1 * y.v1 + A3 * y.v3;
    let odd_b = B1 * y.v1 + B3 * y.v3;
    return Line(y.v0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, y.v3);
}

// G g
fn weight_points(g: Taps) -> Line {
    let even_a = NA * (g.v0 + A2 * g.v2);
    let even_b = NB * (g.v0 + B2 * g.v2);
    let odd_a = NA * A1 * g.v1;
    let odd_b = NB * B1 * g.v1;
    return Line(N0 * g.v0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, g.v2);
}

// G' u
fn taps_of(u: Line) -> Taps {
    let sum_a = NA * (u.v1 + u.v2);
    let sum_b = NB * (u.v3 + u.v4);
    let difference_a = NA * (u.v1 - u.v2);
    let difference_b = NB * (u.v3 - u.v4);
    return Taps(N0 * u.v0 + sum_a + sum_b, A1 * difference_a + B1 * difference_b, A2 * sum_a + B2 * sum_b + u.v5);
}
//#else
fn input_points(d: Line) -> Line {
    return Line(d.v2 - d.v0, d.v2 + d.v1, d.v2 - d.v1, d.v3 - d.v1);
}

fn outputs_of(m: Line) -> Outputs {
    return Outputs(m.v0 + m.v1 + m.v2, m.v1 - m.v2 + m.v3);
}

fn gradient_points(y: Outputs) -> Line {
    return Line(y.v0, y.v0 + y.v1, y.v0 - y.v1, y.v1);
}

fn weight_points(g: Taps) -> Line {
    let even = 0.5 * (g.v0 + g.v2);
    let odd = 0.5 * g.v1;
    return Line(-g.v0, even + odd, even - odd, g.v2);
}

fn taps_of(u: Line) -> Taps {
    let sum = 0.5 * (u.v1 + u.v2);
    return Taps(sum - u.v0, 0.5 * (u.v1 - u.v2), sum + u.v3);
}
//#endif
