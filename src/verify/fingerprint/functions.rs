//! The accuracy of the built-in functions, as the largest error of a sweep. WGSL allows exp 3 + 2|x| ULP, log 3 ULP,
//! inverseSqrt 2 ULP, and sin and cos 2^-11 absolutely; tanh and pow inherit theirs from the functions they are computed with.

use super::answer::probe;
use super::run::{Asker, Draws, column};
use super::ulp;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const WIDTH: usize = 9;

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let operands = operands();
    let bits: Vec<[u32; 4]> = operands.iter().map(|item| item.map(f32::to_bits)).collect();
    let results = asker.ask(KernelSpec::new(shaders::functions::FILE), &bits, [0; 3], bits.len() * WIDTH).await?;
    Ok(judge(&operands, &results))
}

/// x in [-86, 86], y = 2^u for u in [-100, 100], z in [-pi, pi], and w such that y^w is between 2^-100 and 2^100. Results
/// are all normal.
fn operands() -> Vec<[f32; 4]> {
    let mut draws = Draws::new(5);
    (0..8192)
        .map(|_| {
            let pi = std::f64::consts::PI;
            let u = draws.within(1.0, 100.0) * if draws.unit() < 0.5 { 1.0 } else { -1.0 };
            let w = draws.within(-100.0, 100.0) / u;
            [draws.within(-86.0, 86.0), u.exp2(), draws.within(-pi, pi), w]
        })
        .collect()
}

fn exact(item: [f32; 4]) -> [f64; WIDTH] {
    let [x, y, z, w] = item.map(f64::from);
    [x.exp(), x.exp2(), y.ln(), y.log2(), y.powf(w), z.sin(), z.cos(), z.tanh(), 1.0 / y.sqrt()]
}

fn judge(operands: &[[f32; 4]], results: &[u32]) -> Vec<Probe> {
    // The operand of each function, and whether WGSL bounds its absolute error instead of the relative one.
    let functions = [
        ("exp", 0, false),
        ("exp2", 0, false),
        ("log", 1, false),
        ("log2", 1, false),
        ("pow", 1, false),
        ("sin", 2, true),
        ("cos", 2, true),
        ("tanh", 2, false),
        ("inverseSqrt", 1, false),
    ];
    let judged = functions.iter().enumerate().map(|(at, &(name, operand, absolute))| {
        let found = column(results, WIDTH, at);
        let errors = found.iter().zip(operands).map(|(&found, &item)| {
            let exact = exact(item)[at];
            if absolute { (f64::from(found) - exact).abs() } else { ulp::single(found, exact) }
        });
        let (worst, index) = ulp::worst(errors.map(|error| if error.is_nan() { f64::INFINITY } else { error }));
        let item = operands[index];
        let argument =
            if name == "pow" { format!("{:?}, {:?}", item[1], item[3]) } else { format!("{:?}", item[operand]) };
        let detail = format!("{name}({argument}) = {:?}, exactly {:?}", found[index], exact(item)[at]);
        let value = if absolute { format!("{worst:.1e} absolute") } else { ulp::show(worst) };
        probe(format!("accuracy.{name}"), value, detail)
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(change: impl Fn(usize, f32) -> f32) -> Vec<Probe> {
        let operands = operands();
        let results = operands.iter().flat_map(|&item| exact(item)).enumerate();
        let results: Vec<u32> = results.map(|(i, exact)| change(i, exact as f32).to_bits()).collect();
        judge(&operands, &results)
    }

    #[test]
    fn results_are_normal() {
        assert!(operands().iter().all(|&item| exact(item).iter().all(|&exact| (exact as f32).is_normal())));
    }

    #[test]
    fn the_worst_error_is_found() {
        for probe in probes(|_, exact| exact) {
            let (value, unit) = probe.value.split_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert!(value <= if unit == "absolute" { 6e-8 } else { 0.5 }, "{probe:?}");
        }
        // Item 100's exp is off by 64 ULP, and only that.
        let off = probes(|i, exact| if i == 100 * WIDTH { f32::from_bits(exact.to_bits() + 64) } else { exact });
        let ulps: f64 = off[0].value.strip_suffix(" ULP").unwrap().parse().unwrap();
        assert!((63.0..=65.0).contains(&ulps) && off[0].detail.contains(&format!("{:?}", operands()[100][0])));
        assert_eq!(probes(|i, exact| if i == 5 { f32::NAN } else { exact })[5].value, "inf absolute");
        assert_eq!(probes(|i, exact| if i == 7 { f32::NAN } else { exact })[7].value, "infinite");
    }
}
