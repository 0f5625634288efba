//! What an output may be off by, and how far it is.

use super::case::{Allowed, Expected};
use crate::ops::host::Array;
use crate::reference::{Comparison, compare_f64};

/// Square of the rounding error of f32, 2^-24.
const ROUNDING2: f64 = 1.0 / (1u64 << 48) as f64;
/// Square of the largest relative error of one rounding to f16, 2^-11, and twice that for drivers that round towards zero,
/// whose errors are on average a third of the square of 2^-10.
const HALF_ROUNDING2: f64 = 2.0 / (1u64 << 22) as f64;
/// The smallest normal f16, 2^-14: drivers may flush smaller values to zero.
const HALF_MIN_POSITIVE: f64 = 1.0 / 16_384.0;
/// The largest f16.
const HALF_MAX: f64 = 65_504.0;

/// The NMSE that a tolerance allows for an output of `count` values. A sum of n products of random signs that are added one by one has an
/// NMSE of about n / 6 times the square of the rounding error. Four times n leaves room for unlucky orders and for drivers that round
/// towards zero. A few values may all be small by chance while their errors are not.
pub(super) fn limit(allowed: Allowed, count: usize) -> f64 {
    match allowed {
        Allowed::Exact => 0.0,
        Allowed::Roundings(terms) => 4.0 * ROUNDING2 * (1.0 + terms) * (1.0 + 16.0 / count.max(1) as f64),
        Allowed::Stored(terms) | Allowed::Gradient(terms) => limit(Allowed::Roundings(terms), count) + HALF_ROUNDING2,
    }
}

/// Compares one output. Drivers may flush numbers below the smallest normal one to zero, so errors of that size do not count.
pub(super) fn compare_output(found: &Array, expected: &Expected) -> Comparison {
    let floor = match expected.allowed {
        Allowed::Exact => 4.0 * f64::from(f32::MIN_POSITIVE),
        Allowed::Roundings(terms) => 4.0 * (terms + 1.0) * f64::from(f32::MIN_POSITIVE),
        Allowed::Stored(_) | Allowed::Gradient(_) => HALF_MIN_POSITIVE,
    };
    let most = if let Allowed::Gradient(_) = expected.allowed { HALF_MAX } else { f64::from(f32::MAX) };
    let expected: Vec<f64> = expected.tensor.data.iter().map(|&value| overflowed(value, most)).collect();
    let found: Vec<f64> = found.data.iter().map(|&value| f64::from(value)).collect();
    let near = |f: f64, e: f64| (f - e).abs() <= floor;
    let forgiven = found.iter().zip(&expected).map(|(&f, &e)| if near(f, e) { e } else { f });
    compare_f64(&forgiven.collect::<Vec<f64>>(), &expected)
}

/// Values larger than `most`, as f32, are expected to be infinite.
fn overflowed(value: f64, most: f64) -> f64 {
    let rounded = f64::from(value as f32);
    if rounded.is_nan() || rounded.abs() <= most { value } else { f64::INFINITY.copysign(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Tensor;

    #[test]
    fn flushed_denormals_are_forgiven_and_nothing_else() {
        let expected = |value| Expected::exact("output", Tensor::new(&[2], vec![1.0, value]));
        let nmse = |found: f32, value| {
            compare_output(&Array { shape: vec![2], data: vec![1.0, found] }, &expected(value)).nmse
        };
        assert_eq!(nmse(0.0, 1e-40), 0.0);
        assert_eq!(nmse(f32::INFINITY, 1e300), 0.0);
        assert!(nmse(0.0, 1e-30) > 0.0);
        assert_eq!(nmse(f32::NAN, 0.0), f64::INFINITY);
    }
}
