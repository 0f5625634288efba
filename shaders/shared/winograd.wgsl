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

// A row or column of points, of a tile's outputs, and of taps.
alias Line = array<vec4f, SIDE>;
alias Outputs = array<vec4f, OUTPUTS>;
alias Taps = array<vec4f, 3>;

//#if F4
// B' d
fn input_points(d: Line) -> Line {
    let even_a = d[4] - B2 * d[2];
    let even_b = d[4] - A2 * d[2];
    let odd_a = A1 * (d[3] - B2 * d[1]);
    let odd_b = B1 * (d[3] - A2 * d[1]);
    return Line(
        PRODUCT2 * d[0] - SUM2 * d[2] + d[4],
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        PRODUCT2 * d[1] - SUM2 * d[3] + d[5],
    );
}

// A' m
fn outputs_of(m: Line) -> Outputs {
    let sum_a = m[1] + m[2];
    let sum_b = m[3] + m[4];
    let difference_a = m[1] - m[2];
    let difference_b = m[3] - m[4];
    return Outputs(
        m[0] + sum_a + sum_b,
        A1 * difference_a + B1 * difference_b,
        A2 * sum_a + B2 * sum_b,
        A3 * difference_a + B3 * difference_b + m[5],
    );
}

// A y
fn gradient_points(y: Outputs) -> Line {
    let even_a = y[0] + A2 * y[2];
    let even_b = y[0] + B2 * y[2];
    let odd_a = A1 * y[1] + A3 * y[3];
    let odd_b = B1 * y[1] + B3 * y[3];
    return Line(y[0], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, y[3]);
}

// G g
fn weight_points(g: Taps) -> Line {
    let even_a = NA * (g[0] + A2 * g[2]);
    let even_b = NB * (g[0] + B2 * g[2]);
    let odd_a = NA * A1 * g[1];
    let odd_b = NB * B1 * g[1];
    return Line(N0 * g[0], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, g[2]);
}

// G' u
fn taps_of(u: Line) -> Taps {
    let sum_a = NA * (u[1] + u[2]);
    let sum_b = NB * (u[3] + u[4]);
    let difference_a = NA * (u[1] - u[2]);
    let difference_b = NB * (u[3] - u[4]);
    return Taps(N0 * u[0] + sum_a + sum_b, A1 * difference_a + B1 * difference_b, A2 * sum_a + B2 * sum_b + u[5]);
}
//#else
fn input_points(d: Line) -> Line {
    return Line(d[2] - d[0], d[2] + d[1], d[2] - d[1], d[3] - d[1]);
}

fn outputs_of(m: Line) -> Outputs {
    return Outputs(m[0] + m[1] + m[2], m[1] - m[2] + m[3]);
}

fn gradient_points(y: Outputs) -> Line {
    return Line(y[0], y[0] + y[1], y[0] - y[1], y[1]);
}

fn weight_points(g: Taps) -> Line {
    let even = 0.5 * (g[0] + g[2]);
    let odd = 0.5 * g[1];
    return Line(-g[0], even + odd, even - odd, g[2]);
}

fn taps_of(u: Line) -> Taps {
    let sum = 0.5 * (u[1] + u[2]);
    return Taps(sum - u[0], 0.5 * (u[1] - u[2]), sum + u[3]);
}
//#endif
