//! Denormals, the numbers closer to zero than 2^-126: where they are kept as in IEEE 754, and where flushed to zero.

use super::answer::{matching, probe};
use super::run::{Asker, Draws, column};
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const WIDTH: usize = 9;
/// 2^30, twice a factor.
const LARGE: u32 = 1 << 30;

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let operands = operands();
    let bits: Vec<[u32; 4]> = operands.iter().map(|item| item.map(f32::to_bits)).collect();
    let spec = KernelSpec::new(shaders::denormals::FILE);
    let results = asker.ask(spec.clone(), &bits, [LARGE, 1, 0], bits.len() * WIDTH).await?;
    let copies = asker.ask(spec.entry("copy"), &bits, [0; 3], bits.len() * 4).await?;
    Ok(judge(&operands, &results, &copies))
}

/// d and e denormal, x and y normal with a denormal product.
fn operands() -> Vec<[f32; 4]> {
    let mut draws = Draws::new(3);
    let power = |exponent: i32| 2f64.powi(exponent);
    (0..128)
        .map(|_| {
            let [d, e] = [0; 2].map(|_| draws.within(power(-140), power(-128)));
            [d, e, draws.within(power(-71), power(-70)), draws.within(power(-61), power(-60))]
        })
        .collect()
}

/// Each result in IEEE 754.
fn exact([d, e, x, y]: [f32; 4]) -> [f32; WIDTH] {
    let large = LARGE as f32;
    let positive = f32::from_bits(u32::from(d > 0.0));
    [d + e, x * y, d * large * large, x / large / large, d, d.min(1.0), d.sqrt(), x.mul_add(y, d), positive]
}

fn judge(operands: &[[f32; 4]], results: &[u32], copies: &[u32]) -> Vec<Probe> {
    let zeros = vec![0.0; operands.len()];
    let names = ["add", "mul_result", "mul_operand", "div_result", "mul_by_1", "min", "sqrt", "fma", "greater_than_0"];
    let mut probes: Vec<Probe> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let kept = operands.iter().map(|&item| exact(item)[at]).collect();
            let (value, detail) = matching(&column(results, WIDTH, at), &[("kept", kept), ("flushed", zeros.clone())]);
            probe(format!("denormals.{name}"), value, detail)
        })
        .collect();
    let kept = operands.iter().map(|item| item[0]).collect();
    let (value, detail) = matching(&column(copies, 4, 0), &[("kept", kept), ("flushed", zeros)]);
    probes.push(probe("denormals.copy", value, detail));
    probes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of an adapter that changes the exact results with the given function.
    fn values(change: impl Fn(f32) -> f32) -> Vec<String> {
        let operands = operands();
        let results: Vec<u32> =
            operands.iter().flat_map(|&item| exact(item)).map(|value| change(value).to_bits()).collect();
        let copies: Vec<u32> = operands.iter().flatten().map(|&value| change(value).to_bits()).collect();
        judge(&operands, &results, &copies).into_iter().map(|probe| probe.value).collect()
    }

    #[test]
    fn operands_are_what_they_should_be() {
        for item in operands() {
            let [d, e, x, y] = item;
            assert!(d.is_subnormal() && e.is_subnormal() && x.is_normal() && y.is_normal());
            let [sum, product, scaled, quotient, ..] = exact(item);
            assert!(sum.is_subnormal() && product.is_subnormal() && scaled.is_normal() && quotient.is_subnormal());
        }
    }

    #[test]
    fn flushing_is_noticed() {
        assert_eq!(values(|value| value), ["kept"; WIDTH + 1]);
        assert_eq!(values(|_| 0.0), ["flushed"; WIDTH + 1]);
        // Only results flushed: what is normal, as d * 2^60 and sqrt(d), stays.
        let results = values(|value| if value.is_subnormal() { 0.0 } else { value });
        let flushed = "flushed";
        assert_eq!(results, [flushed, flushed, "kept", flushed, flushed, flushed, "kept", flushed, flushed, flushed]);
        assert_eq!(values(|value| value + 1.0), ["other"; WIDTH + 1]);
    }
}
