//! The order of sums: may a compiler treat addition as associative?

use super::answer::{matching, probe};
use super::run::{Asker, Draws, column};
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const WIDTH: usize = 5;
/// Terms of the loop's sum.
const TERMS: u32 = 64;

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let operands = operands();
    let bits: Vec<[u32; 4]> = operands.iter().map(|item| item.map(f32::to_bits)).collect();
    let results = asker.ask(KernelSpec::new(shaders::sums::FILE), &bits, [TERMS, 0, 0], bits.len() * WIDTH).await?;
    Ok(judge(&operands, &results))
}

/// a large, b near -a, c and d small.
fn operands() -> Vec<[f32; 4]> {
    let mut draws = Draws::new(2);
    (0..256)
        .map(|_| {
            let a = draws.within(1e5, 1e6);
            [a, -a * draws.within(0.99, 1.0), draws.within(0.1, 1.0), draws.within(0.1, 1.0)]
        })
        .collect()
}

fn looped([a, b, c, d]: [f32; 4]) -> f32 {
    (0..TERMS as usize).fold(0.0, |sum, i| sum + [a, b, c, d][i % 4])
}

fn judge(operands: &[[f32; 4]], results: &[u32]) -> Vec<Probe> {
    let each = |f: fn([f32; 4]) -> f32| operands.iter().map(|&item| f(item)).collect::<Vec<f32>>();
    let ask = |name: &str, at: usize, answers: &[(&str, Vec<f32>)]| {
        let (value, detail) = matching(&column(results, WIDTH, at), answers);
        probe(name, value, detail)
    };
    vec![
        ask(
            "sum.order",
            0,
            &[
                ("left to right", each(|[a, b, c, _]| a + b + c)),
                ("right to left", each(|[a, b, c, _]| a + (b + c))),
                ("outer first", each(|[a, b, c, _]| (a + c) + b)),
            ],
        ),
        ask(
            "sum.parentheses",
            1,
            &[("kept", each(|[a, b, c, d]| (a + b) + (c + d))), ("dropped", each(|[a, b, c, d]| a + b + c + d))],
        ),
        ask(
            "sum.cancellation",
            2,
            &[("computed", each(|[a, _, c, _]| (a + c) - a)), ("simplified", each(|[_, _, c, _]| c))],
        ),
        ask(
            "sum.kahan",
            3,
            &[("computed", each(|[a, _, c, _]| ((a + c) - a) - c)), ("simplified to 0", each(|_| 0.0))],
        ),
        ask(
            "sum.loop",
            4,
            &[
                ("in order", each(looped)),
                (
                    "by columns",
                    each(|[a, b, c, d]| {
                        let n = (TERMS / 4) as f32;
                        a * n + b * n + c * n + d * n
                    }),
                ),
            ],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(f: impl Fn([f32; 4]) -> [f32; 5]) -> Vec<String> {
        let operands = operands();
        let results: Vec<u32> = operands.iter().flat_map(|&item| f(item).map(f32::to_bits)).collect();
        judge(&operands, &results).into_iter().map(|probe| probe.value).collect()
    }

    #[test]
    fn reordering_is_noticed() {
        let strict = values(|x| {
            let [a, b, c, d] = x;
            [a + b + c, (a + b) + (c + d), (a + c) - a, ((a + c) - a) - c, looped(x)]
        });
        assert_eq!(strict, ["left to right", "kept", "computed", "computed", "in order"]);
        let fast = values(|x| {
            let [a, b, c, d] = x;
            [a + (b + c), a + b + c + d, c, 0.0, looped([d, c, b, a])]
        });
        assert_eq!(fast, ["right to left", "dropped", "simplified", "simplified to 0", "other"]);
    }
}
