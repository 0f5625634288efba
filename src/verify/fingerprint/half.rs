//! The arithmetic of halves: rounding, contraction, range, denormals. A driver may compute in f32 and round at the end, or
//! keep an intermediate in f32.

use ::half::f16;

use super::answer::{matching, probe, show};
use super::run::{Asker, Draws};
use super::ulp;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const WIDTH: usize = 8;
/// Items of ordinary numbers, then as many with denormals, then one that overflows.
const ITEMS: usize = 512;

/// A probe's name, the place of its result, and the exact value.
type Question = (&'static str, usize, fn([f64; 3]) -> f64);

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let operands = operands();
    let pair = |low: f16, high: f16| u32::from(low.to_bits()) | u32::from(high.to_bits()) << 16;
    let words: Vec<u32> = operands.iter().flat_map(|&[a, b, c]| [pair(a, b), pair(c, f16::ZERO)]).collect();
    let kernel = KernelSpec::new(shaders::half::FILE);
    let results = asker.ask_words(kernel, &words, operands.len(), [0; 3], operands.len() * WIDTH / 2).await?;
    let halves: Vec<f16> =
        results.iter().flat_map(|&word| [word as u16, (word >> 16) as u16]).map(f16::from_bits).collect();
    Ok(judge(&operands, &halves))
}

fn operands() -> Vec<[f16; 3]> {
    let mut draws = Draws::new(8);
    let mut half = |from: f64, to: f64| f16::from_f64(from + (to - from) * draws.unit());
    let mut items: Vec<[f16; 3]> = (0..ITEMS)
        .map(|_| {
            let [a, b] = [half(0.5, 4.0), half(0.5, 4.0)];
            [a, b, -(a * b)]
        })
        .collect();
    items.extend((0..ITEMS).map(|_| {
        let tiny = half(2f64.powi(-22), 2f64.powi(-15));
        [tiny, half(0.25, 1.0), f16::ZERO]
    }));
    items.push([f16::from_f32(60_000.0), f16::from_f32(50_000.0), f16::ZERO]);
    items
}

fn judge(operands: &[[f16; 3]], results: &[f16]) -> Vec<Probe> {
    let found = |at: usize, items: std::ops::Range<usize>| -> Vec<f32> {
        items.map(|item| results[item * WIDTH + at].to_f32()).collect()
    };
    let ordinary = || operands.iter().take(ITEMS).map(|item| item.map(f16::to_f64));
    let mut probes = Vec::new();
    let exact: [Question; 5] = [
        ("add", 0, |[a, b, _]| a + b),
        ("mul", 1, |[a, b, _]| a * b),
        ("div", 2, |[a, b, _]| a / b),
        ("sqrt", 3, |[a, _, _]| a.sqrt()),
        ("narrowing", 6, |[a, b, _]| a * b),
    ];
    for (name, at, f) in exact {
        let errors = ordinary().enumerate().map(|(item, x)| ulp::half(results[item * WIDTH + at], f(x)));
        let (worst, _) = ulp::worst(errors);
        let nearest = ordinary().enumerate().filter(|&(i, x)| results[i * WIDTH + at] == f16::from_f64(f(x))).count();
        let value = if nearest == ITEMS { "nearest".into() } else { ulp::show(worst) };
        probes.push(probe(format!("f16.{name}"), value, format!("{nearest} of {ITEMS} to nearest")));
    }
    let fused = ordinary().map(|[a, b, c]| f16::from_f64(a * b + c).to_f32()).collect();
    let twice = ordinary().map(|[a, b, c]| f16::from_f64(f16::from_f64(a * b).to_f64() + c).to_f32()).collect();
    let (value, detail) = matching(&found(4, 0..ITEMS), &[("rounded twice", twice), ("fused", fused)]);
    probes.push(probe("f16.contraction", value, detail));

    let tiny = || operands[ITEMS..2 * ITEMS].iter().map(|item| item.map(f16::to_f64));
    let zeros = vec![0.0; ITEMS];
    for (name, at, kept) in [
        ("denormal_result", 1, tiny().map(|[a, b, _]| f16::from_f64(a * b).to_f32()).collect::<Vec<f32>>()),
        ("denormal_copy", 5, tiny().map(|[a, _, _]| a as f32).collect()),
    ] {
        let (value, detail) = matching(&found(at, ITEMS..2 * ITEMS), &[("kept", kept), ("flushed", zeros.clone())]);
        probes.push(probe(format!("f16.{name}"), value, detail));
    }
    probes.push(probe(
        "f16.overflow",
        show(found(0, 2 * ITEMS..2 * ITEMS + 1)[0]),
        "60000 + 50000; the largest is 65504",
    ));
    probes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(f: impl Fn([f64; 3]) -> [f64; WIDTH], round: impl Fn(f64) -> f16) -> Vec<String> {
        let operands = operands();
        let results: Vec<f16> = operands.iter().flat_map(|item| f(item.map(f16::to_f64))).map(round).collect();
        judge(&operands, &results).into_iter().map(|probe| probe.value).collect()
    }

    fn exact([a, b, c]: [f64; 3]) -> [f64; WIDTH] {
        [a + b, a * b, a / b, a.sqrt(), a * b + c, a, a * b, 0.0]
    }

    #[test]
    fn halves_are_judged() {
        let nearest = "nearest";
        let ieee = values(exact, f16::from_f64);
        assert_eq!(ieee, [nearest, nearest, nearest, nearest, nearest, "fused", "kept", "kept", "inf"]);
        let twice = values(
            |[a, b, c]| {
                let mut x = exact([a, b, c]);
                x[4] = f16::from_f64(a * b).to_f64() + c;
                x
            },
            f16::from_f64,
        );
        assert_eq!(twice[5], "rounded twice");
        let flushing = values(exact, |x| {
            let x = x.clamp(-65_504.0, 65_504.0);
            f16::from_f64(if x.abs() < 2f64.powi(-14) { 0.0 } else { x })
        });
        assert_eq!(flushing[6..], ["flushed", "flushed", "65504.0"]);
        let off = values(exact, |x| f16::from_bits(f16::from_f64(x).to_bits() + 1));
        assert!(off[..5].iter().all(|value| value.ends_with("ULP")), "{off:?}");
    }
}
