//! Fused multiply-adds: is a product rounded before it is added to something?

use super::answer::{matching, probe};
use super::run::{Asker, Draws, column};
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const WIDTH: usize = 4;

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let operands = operands();
    let bits: Vec<[u32; 4]> = operands.iter().map(|item| item.map(f32::to_bits)).collect();
    let results = asker.ask(KernelSpec::new(shaders::contraction::FILE), &bits, [0; 3], bits.len() * WIDTH).await?;
    Ok(judge(&operands, &results))
}

/// a, b and d at random; c is the negated rounded product, so that two roundings leave 0 and one leaves the product's error.
fn operands() -> Vec<[f32; 4]> {
    let mut draws = Draws::new(1);
    (0..256)
        .map(|_| {
            let (a, b) = (draws.within(1.0, 2.0), draws.within(1.0, 2.0));
            [a, b, -(a * b), draws.within(-2.0, 2.0)]
        })
        .collect()
}

fn judge(operands: &[[f32; 4]], results: &[u32]) -> Vec<Probe> {
    let each = |f: fn([f32; 4]) -> f32| operands.iter().map(|&item| f(item)).collect::<Vec<f32>>();
    let ask = |name: &str, at: usize, answers: &[(&str, Vec<f32>)]| {
        let (value, detail) = matching(&column(results, WIDTH, at), answers);
        probe(name, value, detail)
    };
    vec![
        ask(
            "fma.contraction",
            0,
            &[("rounded twice", each(|[a, b, c, _]| a * b + c)), ("fused", each(|[a, b, c, _]| a.mul_add(b, c)))],
        ),
        ask(
            "fma.contraction_minus",
            1,
            &[("rounded twice", each(|[a, b, c, _]| -c - a * b)), ("fused", each(|[a, b, c, _]| (-a).mul_add(b, -c)))],
        ),
        ask(
            "fma.builtin",
            2,
            &[("fused", each(|[a, b, c, _]| a.mul_add(b, c))), ("rounded twice", each(|[a, b, c, _]| a * b + c))],
        ),
        ask(
            "fma.dot",
            3,
            &[
                ("in order, rounded twice", each(|[a, b, c, d]| a * b + b * c + c * d + d * a)),
                ("in order, fused", each(|[a, b, c, d]| d.mul_add(a, c.mul_add(d, b.mul_add(c, a * b))))),
                ("backwards, rounded twice", each(|[a, b, c, d]| d * a + c * d + b * c + a * b)),
                ("backwards, fused", each(|[a, b, c, d]| a.mul_add(b, b.mul_add(c, c.mul_add(d, d * a))))),
                ("in pairs", each(|[a, b, c, d]| (a * b + b * c) + (c * d + d * a))),
            ],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(f: impl Fn(usize, [f32; 4]) -> [f32; 4]) -> Vec<String> {
        let operands = operands();
        let results: Vec<u32> =
            operands.iter().enumerate().flat_map(|(i, &item)| f(i, item).map(f32::to_bits)).collect();
        judge(&operands, &results).into_iter().map(|probe| probe.value).collect()
    }

    #[test]
    fn fused_and_unfused_adapters_are_told_apart() {
        let fused = |[a, b, c, d]: [f32; 4]| {
            let dot = d.mul_add(a, c.mul_add(d, b.mul_add(c, a * b)));
            [a.mul_add(b, c), (-a).mul_add(b, -c), a.mul_add(b, c), dot]
        };
        let twice = |[a, b, c, d]: [f32; 4]| [a * b + c, -c - a * b, a * b + c, (a * b + b * c) + (c * d + d * a)];
        assert_eq!(values(|_, item| fused(item)), ["fused", "fused", "fused", "in order, fused"]);
        assert_eq!(values(|_, item| twice(item)), ["rounded twice", "rounded twice", "rounded twice", "in pairs"]);
        let mixed = values(|i, item| if i % 2 == 0 { fused(item) } else { twice(item) });
        assert_eq!(mixed, ["mixed"; 4]);
        assert_eq!(values(|_, item| twice(item).map(|value| value + 1.0)), ["other"; 4]);
    }
}
