//! Conversions between floats, integers and halves, in range and out of it.

use half::f16;

use super::answer::{matching, probe, show};
use super::run::{Asker, Draws, column};
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const WIDTH: usize = 6;
/// Floats that no 32-bit integer can hold, signed or unsigned; the first items.
const OUTSIDE: [(&str, f32); 5] =
    [("1e10", 1e10), ("minus_1e10", -1e10), ("nan", f32::NAN), ("inf", f32::INFINITY), ("minus_1", -1.0)];
const HALVES: usize = 1 << 16;

/// The possible results of converting a float.
type Rounding = fn(f32) -> f16;

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let operands = operands();
    let words: Vec<[u32; 4]> =
        operands.iter().map(|&(float, integer, half)| [float.to_bits(), integer, half.into(), 0]).collect();
    let results = asker.ask(KernelSpec::new(shaders::conversions::FILE), &words, [0; 3], words.len() * WIDTH).await?;
    Ok(judge(&operands, &results))
}

/// A float, an integer, and every half.
fn operands() -> Vec<(f32, u32, u16)> {
    let mut draws = Draws::new(7);
    let outside = OUTSIDE.iter().map(|&(_, float)| float);
    let random: Vec<f32> = (0..HALVES)
        .map(|_| {
            let magnitude = draws.within(1.0, 2.0) * draws.within(-26.0, 31.0).floor().exp2();
            if draws.unit() < 0.5 { magnitude } else { -magnitude }
        })
        .collect();
    outside
        .chain(random)
        .take(HALVES)
        .enumerate()
        .map(|(i, float)| (float, (draws.unit() * 2f64.powi(32)) as u32, i as u16))
        .collect()
}

fn judge(operands: &[(f32, u32, u16)], results: &[u32]) -> Vec<Probe> {
    let word = |item: usize, at: usize| results[item * WIDTH + at];
    let mut probes = Vec::new();
    // Whole numbers, in range.
    let mut truncation = |name: &str, at: usize, exact: &dyn Fn(f32) -> Option<u32>| {
        let wrong: Vec<usize> =
            (0..operands.len()).filter(|&item| exact(operands[item].0).is_some_and(|e| e != word(item, at))).collect();
        let detail = wrong.first().map(|&item| format!("{:?} gives {:#x}", operands[item].0, word(item, at)));
        let value = if wrong.is_empty() { "toward zero".to_owned() } else { format!("{} wrong", wrong.len()) };
        probes.push(probe(format!("conversions.{name}"), value, detail.unwrap_or("all in range".into())));
    };
    truncation("f32_to_i32", 0, &|x| (x.abs() < 2f32.powi(31)).then_some(x as i32 as u32));
    truncation("f32_to_u32", 1, &|x| (0.0..2f32.powi(32)).contains(&x).then_some(x as u32));
    for (item, (name, _)) in OUTSIDE.iter().enumerate() {
        if *name != "minus_1" {
            let saturated = operands[item].0 as i32;
            let found = (word(item, 0) as i32).to_string();
            probes.push(probe(format!("conversions.i32_of_{name}"), found, format!("saturated: {saturated}")));
        }
        let saturated = operands[item].0 as u32;
        let found = word(item, 1).to_string();
        probes.push(probe(format!("conversions.u32_of_{name}"), found, format!("saturated: {saturated}")));
    }
    // Integers as floats.
    let rounding = |name: &str, at: usize, exact: &dyn Fn(u32) -> f64| {
        let each = |f: fn(f64) -> f32| operands.iter().map(|&(_, integer, _)| f(exact(integer))).collect();
        let answers = [("nearest", each(|x| x as f32)), ("toward zero", each(toward_zero))];
        let (value, detail) = matching(&column(results, WIDTH, at), &answers);
        probe(format!("conversions.{name}"), value, detail)
    };
    probes.push(rounding("i32_to_f32", 2, &|integer| f64::from(integer as i32)));
    probes.push(rounding("u32_to_f32", 3, &|integer| f64::from(integer)));
    probes.extend(halves(operands, results));
    probes
}

fn toward_zero(exact: f64) -> f32 {
    let nearest = exact as f32;
    if f64::from(nearest).abs() > exact.abs() { f32::from_bits(nearest.to_bits() - 1) } else { nearest }
}

/// pack2x16float and unpack2x16float, which need no f16 feature.
fn halves(operands: &[(f32, u32, u16)], results: &[u32]) -> Vec<Probe> {
    let normal = |x: f32| (2f32.powi(-14)..=65_504.0).contains(&x.abs());
    // Those items whose float is `wanted`, as halves in f32, so that they can be matched.
    let pack = |name: &str, wanted: &dyn Fn(f32) -> bool, answers: &[(&str, Rounding)]| {
        let items: Vec<usize> = (0..operands.len()).filter(|&item| wanted(operands[item].0)).collect();
        // One NaN stands for all.
        let half = |word: u32| Some(f16::from_bits(word as u16).to_f32()).filter(|half| !half.is_nan());
        let found: Vec<f32> = items.iter().map(|&i| half(results[i * WIDTH + 4]).unwrap_or(f32::NAN)).collect();
        let answers: Vec<(&str, Vec<f32>)> = answers
            .iter()
            .map(|(answer, f)| (*answer, items.iter().map(|&i| f(operands[i].0).to_f32()).collect()))
            .collect();
        let (value, detail) = matching(&found, &answers);
        probe(format!("conversions.{name}"), value, detail)
    };
    let toward_zero = |x: f32| {
        let nearest = f16::from_f32(x);
        if nearest.to_f32().abs() > x.abs() { f16::from_bits(nearest.to_bits() - 1) } else { nearest }
    };
    let signed_zero = |x: f32| f16::from_f32(0f32.copysign(x));
    let largest = |x: f32| f16::from_f32(65_504f32.copysign(x));
    let kept = |value: f32| if value.is_nan() { f32::INFINITY } else { value };
    let unpack = |name: &str, denormal: bool| {
        let items: Vec<usize> = (0..operands.len())
            .filter(|&i| {
                let half = f16::from_bits(operands[i].2);
                let is_denormal = half.is_finite() && half.to_f32() != 0.0 && !half.is_normal();
                is_denormal == denormal && !half.is_nan()
            })
            .collect();
        let found: Vec<f32> = items.iter().map(|&i| kept(f32::from_bits(results[i * WIDTH + 5]))).collect();
        let exact: Vec<f32> = items.iter().map(|&i| f16::from_bits(operands[i].2).to_f32()).collect();
        let zeros = exact.iter().map(|x| 0f32.copysign(*x)).collect();
        let answer = if denormal { "kept" } else { "exact" };
        let (value, detail) = matching(&found, &[(answer, exact), ("flushed", zeros)]);
        probe(format!("conversions.{name}"), value, detail)
    };
    vec![
        pack("f32_to_f16", &normal, &[("nearest", f16::from_f32), ("toward zero", toward_zero)]),
        pack(
            "f32_to_f16_denormal",
            &|x| x.abs() > 2f32.powi(-25) && x.abs() < 2f32.powi(-15),
            &[("nearest", f16::from_f32), ("toward zero", toward_zero), ("flushed", signed_zero)],
        ),
        pack(
            "f32_to_f16_overflow",
            &|x| x.is_finite() && x.abs() >= 65_536.0,
            &[
                ("inf", |x| f16::from_f32(f32::INFINITY.copysign(x))),
                ("65504", largest),
                ("NaN", |_| f16::from_f32(f32::NAN)),
            ],
        ),
        probe("conversions.f16_of_inf", show(f16::from_bits(results[3 * WIDTH + 4] as u16).to_f32()), "of infinity"),
        unpack("f16_to_f32", false),
        unpack("f16_to_f32_denormal", true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host((float, integer, half): (f32, u32, u16)) -> [u32; WIDTH] {
        [
            float as i32 as u32,
            float as u32,
            (integer as i32 as f32).to_bits(),
            (integer as f32).to_bits(),
            f16::from_f32(float).to_bits().into(),
            f16::from_bits(half).to_f32().to_bits(),
        ]
    }

    fn answers(f: impl Fn((f32, u32, u16)) -> [u32; WIDTH]) -> std::collections::BTreeMap<String, String> {
        let operands = operands();
        let results: Vec<u32> = operands.iter().flat_map(|&item| f(item)).collect();
        let probes = judge(&operands, &results).into_iter();
        probes.map(|probe| (probe.name.trim_start_matches("conversions.").to_owned(), probe.value)).collect()
    }

    #[test]
    fn conversions_are_judged() {
        let exact = answers(host);
        for (name, value) in [
            ("f32_to_i32", "toward zero"),
            ("f32_to_u32", "toward zero"),
            ("i32_of_1e10", "2147483647"),
            ("i32_of_minus_1e10", "-2147483648"),
            ("i32_of_nan", "0"),
            ("u32_of_minus_1", "0"),
            ("i32_to_f32", "nearest"),
            ("u32_to_f32", "nearest"),
            ("f32_to_f16", "nearest"),
            ("f32_to_f16_denormal", "nearest"),
            ("f32_to_f16_overflow", "inf"),
            ("f16_of_inf", "inf"),
            ("f16_to_f32", "exact"),
            ("f16_to_f32_denormal", "kept"),
        ] {
            assert_eq!(exact[name], value, "{name}");
        }
        let flushing = answers(|(float, integer, half)| {
            let [i, u, si, ui, ..] = host((float, integer, half));
            let small = f16::from_bits(half).to_f32().abs() < 2f32.powi(-14);
            let packed = match float {
                x if x.is_infinite() || x.abs() >= 65_520.0 => 65_504f32.copysign(x),
                x if x.abs() < 2f32.powi(-14) => 0f32.copysign(x),
                x => x,
            };
            let unpacked = f16::from_bits(half).to_f32();
            let unpacked = if small { 0f32.copysign(unpacked) } else { unpacked };
            [i + 1, u.wrapping_sub(1), si & !1, ui, f16::from_f32(packed).to_bits().into(), unpacked.to_bits()]
        });
        assert!(flushing["f32_to_i32"].ends_with("wrong") && flushing["f32_to_u32"].ends_with("wrong"));
        assert_ne!(flushing["i32_to_f32"], "nearest");
        for (name, value) in [
            ("f32_to_f16_denormal", "flushed"),
            ("f32_to_f16_overflow", "65504"),
            ("f16_of_inf", "65504.0"),
            ("f16_to_f32_denormal", "flushed"),
        ] {
            assert_eq!(flushing[name], value, "{name}");
        }
    }
}
