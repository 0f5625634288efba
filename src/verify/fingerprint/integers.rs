//! Integer division and remainder, which a driver may compute through floats, and WGSL's definitions where there is no quotient:
//! x / 0 = x, x % 0 = 0, and the smallest integer over -1 is itself.

use super::answer::probe;
use super::run::{Asker, Draws};
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const WIDTH: usize = 4;

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let operands = operands();
    let words: Vec<[u32; 4]> = operands.iter().map(|&[x, y]| [x as u32, y as u32, 0, 0]).collect();
    let results = asker.ask(KernelSpec::new(shaders::integers::FILE), &words, [0; 3], words.len() * WIDTH).await?;
    Ok(judge(&operands, &results))
}

/// Every divisor from -300 to 300 and the extremes, under dividends of all sizes.
fn operands() -> Vec<[i32; 2]> {
    let mut draws = Draws::new(6);
    let fixed = [0, 1, -1, 7, -7, 255, 65_535, 65_536, 16_777_217, i32::MAX, i32::MIN];
    let dividends: Vec<i32> =
        fixed.into_iter().chain((0..21).map(|_| (draws.unit() * 2f64.powi(32)) as u32 as i32)).collect();
    let divisors = (-300..=300).chain([65_537, -65_537, i32::MAX, i32::MIN]);
    divisors.flat_map(|divisor| dividends.iter().map(move |&dividend| [dividend, divisor])).collect()
}

/// The four results as WGSL defines them.
fn exact([x, y]: [i32; 2]) -> [u32; WIDTH] {
    let (ux, uy) = (x as u32, y as u32);
    [
        if y == 0 { x } else { x.wrapping_div(y) } as u32,
        if y == 0 { 0 } else { x.wrapping_rem(y) } as u32,
        ux.checked_div(uy).unwrap_or(ux),
        ux.checked_rem(uy).unwrap_or(0),
    ]
}

fn judge(operands: &[[i32; 2]], results: &[u32]) -> Vec<Probe> {
    let overflows = |[x, y]: [i32; 2]| x == i32::MIN && y == -1;
    let mut probes = Vec::new();
    for (at, name) in ["division", "remainder", "unsigned_division", "unsigned_remainder"].into_iter().enumerate() {
        let signed = at < 2;
        // Existing quotients, divisors of zero, and the one overflow.
        let mut over = |suffix: &str, wanted: &dyn Fn([i32; 2]) -> bool| {
            let chosen = || (0..operands.len()).filter(|&item| wanted(operands[item]));
            let wrong: Vec<usize> =
                chosen().filter(|&item| results[item * WIDTH + at] != exact(operands[item])[at]).collect();
            let detail = wrong.first().map(|&item| {
                let ([x, y], found) = (operands[item], results[item * WIDTH + at]);
                let [found, exact] = [found, exact(operands[item])[at]];
                if signed {
                    format!("{x} and {y} give {}, not {}", found as i32, exact as i32)
                } else {
                    format!("{} and {} give {found}, not {exact}", x as u32, y as u32)
                }
            });
            let value = if wrong.is_empty() { "as WGSL has it".into() } else { format!("{} wrong", wrong.len()) };
            let all = format!("all of {}", chosen().count());
            probes.push(probe(format!("integers.{name}{suffix}"), value, detail.unwrap_or(all)));
        };
        over("", &|item| item[1] != 0 && !overflows(item));
        over("_by_zero", &|item| item[1] == 0);
        if signed {
            over("_overflow", &overflows);
        }
    }
    probes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(f: impl Fn([i32; 2]) -> [u32; WIDTH]) -> Vec<String> {
        let operands = operands();
        let results: Vec<u32> = operands.iter().flat_map(|&item| f(item)).collect();
        judge(&operands, &results).into_iter().map(|probe| probe.value).collect()
    }

    #[test]
    fn division_through_floats_is_noticed() {
        assert_eq!(values(exact), ["as WGSL has it"; 10]);
        let reciprocal = values(|[x, y]| {
            let [a, b, c, d] = exact([x, y]);
            if y == 0 { [a, b, c, d] } else { [(x as f32 * (1.0 / y as f32)) as i32 as u32, b, c, d] }
        });
        assert!(reciprocal[0].ends_with("wrong") && reciprocal[1] == "as WGSL has it", "{reciprocal:?}");
        let ones = values(|[x, y]| if y == 0 { [u32::MAX; 4] } else { exact([x, y]) });
        for (at, value) in ones.iter().enumerate() {
            assert_eq!(value.ends_with("wrong"), [1, 4, 7, 9].contains(&at), "{at}: {value}");
        }
    }
}
