//! How a probe's answer is said.

use crate::verify::report::Probe;

/// A probe's answer.
pub(super) fn probe(name: impl Into<String>, value: impl Into<String>, detail: impl Into<String>) -> Probe {
    Probe { name: name.into(), value: value.into(), detail: detail.into() }
}

/// The answer whose expected bits all results equal, or `mixed` (each result equals one of some) or `other`.
///
/// `answers` are the possible answers, each with its result for every item; NaN is `f32::NAN` in both.
pub(super) fn matching(found: &[f32], answers: &[(&str, Vec<f32>)]) -> (String, String) {
    let equal = |expected: &[f32]| found.iter().zip(expected).filter(|(a, b)| a.to_bits() == b.to_bits()).count();
    if let Some((name, _)) = answers.iter().find(|(_, expected)| equal(expected) == found.len()) {
        return ((*name).into(), format!("all of {}", found.len()));
    }
    let mut details: Vec<String> =
        answers.iter().map(|(name, expected)| format!("{name} {} of {}", equal(expected), found.len())).collect();
    if let Some((_, expected)) = answers.first()
        && let Some((value, exact)) = found.iter().zip(expected).find(|(a, b)| a.to_bits() != b.to_bits())
    {
        details.push(format!("first {} where {} would be {}", show(*value), show(*exact), answers[0].0));
    }
    let covered = (0..found.len())
        .all(|item| answers.iter().any(|(_, expected)| expected[item].to_bits() == found[item].to_bits()));
    ((if covered { "mixed" } else { "other" }).into(), details.join(", "))
}

/// A float as a short text.
pub(super) fn show(value: f32) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        (if value > 0.0 { "inf" } else { "-inf" }).into()
    } else if value == 0.0 {
        (if value.is_sign_negative() { "-0" } else { "0" }).into()
    } else {
        format!("{value:?}")
    }
}
