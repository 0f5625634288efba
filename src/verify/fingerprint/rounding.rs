//! The rounding of f32 arithmetic. IEEE 754 wants the nearest float; Vulkan lets division be off by 2.5 ULP and sqrt by
//! as much as inverseSqrt and division together, and leaves the direction of rounding open.

use super::answer::probe;
use super::run::{Asker, Draws, column};
use super::ulp;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const WIDTH: usize = 6;

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let operands = operands();
    let bits: Vec<[u32; 4]> = operands.iter().map(|&[a, b]| [a.to_bits(), b.to_bits(), 0, 0]).collect();
    let results = asker.ask(KernelSpec::new(shaders::rounding::FILE), &bits, [0; 3], bits.len() * WIDTH).await?;
    Ok(judge(&operands, &results))
}

/// Positive, of similar size, so that every result is normal and no sum is trivial.
fn operands() -> Vec<[f32; 2]> {
    let mut draws = Draws::new(4);
    (0..4096).map(|_| [0; 2].map(|_| (draws.within(1.0, 2.0)) * 2f32.powi(draws.within(-10.0, 10.0) as i32))).collect()
}

/// The results in f64, in which sums, differences and products of two f32 are exact but for a few sums.
fn exact([a, b]: [f32; 2]) -> [f64; WIDTH] {
    let [a, b] = [f64::from(a), f64::from(b)];
    [a + b, a - b, a * b, a / b, a.sqrt(), 1.0 / b]
}

fn judge(operands: &[[f32; 2]], results: &[u32]) -> Vec<Probe> {
    let names = ["add", "sub", "mul", "div", "sqrt", "reciprocal"];
    let judged = names.iter().enumerate().map(|(at, name)| {
        let found = column(results, WIDTH, at);
        let exact: Vec<f64> = operands.iter().map(|&item| exact(item)[at]).collect();
        let (value, detail) = direction(&found, &exact);
        probe(format!("rounding.{name}"), value, detail)
    });
    judged.collect()
}

/// To which neighbour all results are rounded, or how far they are off.
fn direction(found: &[f32], exact: &[f64]) -> (String, String) {
    let all = |f: fn(f64) -> f32| found.iter().zip(exact).filter(|(found, exact)| **found == f(**exact)).count();
    let (worst, at) = ulp::worst(found.iter().zip(exact).map(|(&found, &exact)| ulp::single(found, exact)));
    let nearest = all(|exact| exact as f32);
    let detail = format!(
        "{nearest} of {} to nearest; worst {}, {:?} for {:?}",
        found.len(),
        ulp::show(worst),
        found[at],
        exact[at]
    );
    if nearest == found.len() {
        ("nearest".into(), format!("all of {}", found.len()))
    } else if all(toward_zero) == found.len() {
        ("toward zero".into(), detail)
    } else {
        (ulp::show(worst), detail)
    }
}

fn toward_zero(exact: f64) -> f32 {
    let nearest = exact as f32;
    // The float next to it on the side of zero, if rounding went away from zero.
    if f64::from(nearest).abs() > exact.abs() { f32::from_bits(nearest.to_bits() - 1) } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(round: impl Fn(f64) -> f32) -> Vec<String> {
        let operands = operands();
        let results: Vec<u32> =
            operands.iter().flat_map(|&item| exact(item)).map(|exact| round(exact).to_bits()).collect();
        judge(&operands, &results).into_iter().map(|probe| probe.value).collect()
    }

    #[test]
    fn directions_are_told_apart() {
        assert_eq!(values(|exact| exact as f32), ["nearest"; WIDTH]);
        assert_eq!(values(toward_zero), ["toward zero"; WIDTH]);
        for value in values(|exact| f32::from_bits((exact as f32).to_bits() + 2)) {
            let ulps: f64 = value.strip_suffix(" ULP").unwrap().parse().unwrap();
            assert!((1.5..=2.5).contains(&ulps), "{value}");
        }
        // One wrong result of thousands is enough.
        let operands = operands();
        let mut results: Vec<u32> =
            operands.iter().flat_map(|&item| exact(item)).map(|exact| (exact as f32).to_bits()).collect();
        results[3] += 1;
        let values: Vec<String> = judge(&operands, &results).into_iter().map(|probe| probe.value).collect();
        assert!(values[3] != "nearest" && values[2] == "nearest", "{values:?}");
    }
}
