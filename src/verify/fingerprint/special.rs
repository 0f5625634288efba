//! NaN, infinities and signed zeros. WGSL lets an implementation assume that they are absent, so the results show what a driver's compiler
//! assumes.

use super::answer::{probe, show};
use super::run::Asker;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

/// The questions, in the order of the shader's results, and the answers of IEEE 754 (or the C library).
const VALUES: [(&str, &str); 27] = [
    ("nan_plus_1", "NaN"),
    ("nan_times_0", "NaN"),
    ("min_nan_1", "1"),
    ("min_1_nan", "1"),
    ("max_nan_1", "1"),
    ("max_1_nan", "1"),
    ("clamp_nan_0_1", "NaN"),
    ("sqrt_nan", "NaN"),
    ("inf_minus_inf", "NaN"),
    ("inf_times_0", "NaN"),
    ("inf_plus_1", "inf"),
    ("1_over_0", "inf"),
    ("minus_1_over_0", "-inf"),
    ("0_over_0", "NaN"),
    ("sqrt_minus_1", "NaN"),
    ("log_0", "-inf"),
    ("log_minus_1", "NaN"),
    ("exp_1000", "inf"),
    ("exp_minus_1000", "0"),
    ("exp_minus_inf", "0"),
    ("tanh_100", "1"),
    ("tanh_inf", "1"),
    ("inverseSqrt_0", "inf"),
    ("pow_0_0", "1"),
    ("0_times_minus_1", "-0"),
    ("minus_0", "-0"),
    ("overflow", "inf"),
];
const COMPARISONS: [(&str, bool); 7] = [
    ("nan_equals_nan", false),
    ("nan_differs_from_nan", true),
    ("nan_less_than_1", false),
    ("nan_at_least_1", false),
    ("not_nan_less_than_1", true),
    ("inf_greater_than_3e38", true),
    ("minus_0_equals_0", true),
];

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let operands = [f32::NAN, f32::INFINITY, 1.0, 0.0].map(f32::to_bits);
    let count = VALUES.len() + COMPARISONS.len();
    Ok(judge(&asker.ask(KernelSpec::new(shaders::special::FILE), &[operands], [0; 3], count).await?))
}

fn judge(results: &[u32]) -> Vec<Probe> {
    let (values, comparisons) = results.split_at(VALUES.len());
    let judged = |name: &str, found: String, expected: String| {
        let detail = if found == expected { "as IEEE 754".to_owned() } else { format!("IEEE 754 has {expected}") };
        probe(format!("special.{name}"), found, detail)
    };
    let values = values.iter().zip(VALUES).map(|(&bits, (name, expected))| {
        let value = f32::from_bits(bits);
        judged(name, if value == 1.0 { "1".into() } else { show(value) }, expected.into())
    });
    let comparisons = comparisons
        .iter()
        .zip(COMPARISONS)
        .map(|(&word, (name, expected))| judged(name, (word != 0).to_string(), expected.to_string()));
    values.chain(comparisons).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_word() {
        let ieee = |text: &str| match text {
            "NaN" => f32::NAN,
            other => other.parse().unwrap(),
        };
        let mut results: Vec<u32> = VALUES.iter().map(|(_, expected)| ieee(expected).to_bits()).collect();
        results.extend(COMPARISONS.iter().map(|&(_, expected)| u32::from(expected)));
        assert!(judge(&results).iter().all(|probe| probe.detail == "as IEEE 754"));
        // Each result inverted or zeroed must be noticed.
        for at in 0..results.len() {
            let mut wrong = results.clone();
            wrong[at] = if at < VALUES.len() { 42f32.to_bits() } else { 1 - wrong[at] };
            let probes = judge(&wrong);
            assert!(probes[at].detail.starts_with("IEEE 754 has"), "{:?}", probes[at]);
            assert_eq!(probes.iter().filter(|probe| probe.detail != "as IEEE 754").count(), 1);
        }
        results[25] = 0;
        assert_eq!(judge(&results)[25].value, "0", "the sign of zero counts");
    }
}
