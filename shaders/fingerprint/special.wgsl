// What becomes of NaN, infinities and signed zeros?
//
// The operands are one item, (NaN, inf, 1, 0). Results are in the order of the table in
// src/verify/fingerprint/special.rs; comparisons are 1 where they hold.
// dispatch: one workgroup, one invocation.
//#import shared/probe.wgsl

fn holds(at: u32, condition: bool) {
    results[at] = select(0u, 1u, condition);
}

@compute @workgroup_size(1)
fn main() {
    let x = bitcast<vec4f>(operands[0]);
    let nan = x.x;
    let inf = x.y;
    let one = x.z;
    let zero = x.w;
    put(0u, nan + one);
    put(1u, nan * zero);
    put(2u, min(nan, one));
    put(3u, min(one, nan));
    put(4u, max(nan, one));
    put(5u, max(one, nan));
    put(6u, clamp(nan, zero, one));
    put(7u, sqrt(nan));
    put(8u, inf - inf);
    put(9u, inf * zero);
    put(10u, inf + one);
    put(11u, one / zero);
    put(12u, -one / zero);
    put(13u, zero / zero);
    put(14u, sqrt(-one));
    put(15u, log(zero));
    put(16u, log(-one));
    put(17u, exp(one * 1000.0));
    put(18u, exp(one * -1000.0));
    put(19u, exp(-inf));
    put(20u, tanh(one * 100.0));
    put(21u, tanh(inf));
    put(22u, inverseSqrt(zero));
    put(23u, pow(zero, zero));
    put(24u, zero * -one);
    put(25u, -zero);
    put(26u, (one * 3e38) * 10.0);
    holds(27u, nan == nan);
    holds(28u, nan != nan);
    holds(29u, nan < one);
    holds(30u, nan >= one);
    holds(31u, !(nan < one));
    holds(32u, inf > one * 3e38);
    holds(33u, -zero == zero);
}
