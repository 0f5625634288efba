//! The distance of a result from its expected values, in the measures of a verification report.

/// The distance between found and expected values. Matching NaN and infinities count as equal; any other pair with a
/// non-finite member counts as infinitely wrong, so that no tolerance lets it through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Number of expected values.
    pub count: usize,
    /// Normalised mean square error: the sum of squared errors over the sum of squared expected values; zero for equal
    /// values, infinite for errors where everything expected is zero.
    pub nmse: f64,
    /// Largest absolute error.
    pub max_abs: f64,
    /// Largest error relative to its own expected value, over the values expected to be non-zero.
    pub max_rel: f64,
    /// Largest absolute finite expected value: the scale of [`Self::max_abs`].
    pub scale: f64,
    /// Flat index of the (first) largest absolute error; 0 if there is none.
    pub worst_index: usize,
    /// Value found at `worst_index`.
    pub worst_found: f64,
    /// Value expected at `worst_index`.
    pub worst_expected: f64,
    /// Number of pairs in which one value is NaN or infinite and the other is not the same.
    pub non_finite_mismatches: usize,
}

impl Comparison {
    /// Largest absolute error over the largest expected magnitude: the tolerance-friendly relative error, which
    /// cancellation in a single element doesn't blow up. Zero for equal values.
    pub fn max_scaled(&self) -> f64 {
        if self.max_abs == 0.0 { 0.0 } else { self.max_abs / self.scale }
    }
}

/// Compares f32 values, as a kernel wrote them, with the twin's. An expected value that overflows f32 is expected to
/// be infinite. Different lengths are an infinite error at the first index that only one side has.
pub fn compare(found: &[f32], expected: &[f64]) -> Comparison {
    let pairs = found.iter().zip(expected).map(|(&found, &expected)| {
        let expected = if (expected as f32).is_finite() { expected } else { f64::from(expected as f32) };
        (f64::from(found), expected)
    });
    accumulate(pairs, found.len(), expected.len())
}

/// [`compare`] for values found in f64.
pub fn compare_f64(found: &[f64], expected: &[f64]) -> Comparison {
    accumulate(found.iter().copied().zip(expected.iter().copied()), found.len(), expected.len())
}

fn accumulate(pairs: impl Iterator<Item = (f64, f64)>, found_len: usize, expected_len: usize) -> Comparison {
    let mut result = Comparison {
        count: expected_len,
        nmse: 0.0,
        max_abs: 0.0,
        max_rel: 0.0,
        scale: 0.0,
        worst_index: 0,
        worst_found: 0.0,
        worst_expected: 0.0,
        non_finite_mismatches: 0,
    };
    let (mut squared_error, mut squared_expected) = (0.0, 0.0);
    for (index, (found, expected)) in pairs.enumerate() {
        if index == 0 {
            (result.worst_found, result.worst_expected) = (found, expected);
        }
        let error = if found.is_finite() && expected.is_finite() {
            squared_expected += expected * expected;
            result.scale = result.scale.max(expected.abs());
            (found - expected).abs()
        } else if found == expected || (found.is_nan() && expected.is_nan()) {
            0.0
        } else {
            result.non_finite_mismatches += 1;
            f64::INFINITY
        };
        squared_error += error * error;
        if error > result.max_abs {
            result.max_abs = error;
            (result.worst_index, result.worst_found, result.worst_expected) = (index, found, expected);
        }
        if error.is_infinite() {
            result.max_rel = f64::INFINITY;
        } else if error > 0.0 && expected != 0.0 {
            result.max_rel = result.max_rel.max(error / expected.abs());
        }
    }
    if squared_error > 0.0 {
        result.nmse = if squared_error.is_finite() { squared_error / squared_expected } else { f64::INFINITY };
    }
    if found_len != expected_len {
        result.worst_index = found_len.min(expected_len);
        (result.worst_found, result.worst_expected) = (f64::NAN, f64::NAN);
        (result.nmse, result.max_abs, result.max_rel) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;

    #[test]
    fn equal_values_have_no_error() {
        let found = compare(&[1.0, -2.0, f32::NAN, f32::INFINITY, -0.0], &[1.0, -2.0, NAN, 1e39, 0.0]);
        assert_eq!((found.nmse, found.max_abs, found.max_rel, found.max_scaled()), (0.0, 0.0, 0.0, 0.0));
        assert_eq!((found.count, found.non_finite_mismatches, found.scale), (5, 0, 2.0));
        assert_eq!(compare(&[], &[]).max_abs, 0.0);
    }

    #[test]
    fn errors_are_measured_and_located() {
        let found = compare(&[1.0, 4.5, 0.25, 0.0], &[1.0, 4.0, 0.0, 0.1]);
        assert_eq!((found.max_abs, found.max_rel), (0.5, 1.0));
        assert_eq!((found.worst_index, found.worst_found, found.worst_expected), (1, 4.5, 4.0));
        let nmse = (0.25 + 0.0625 + 0.01) / (1.0 + 16.0 + 0.01);
        assert!((found.nmse - nmse).abs() < 1e-15, "{found:?}");
        assert_eq!(found.max_scaled(), 0.125);
    }

    /// The negative control: each of these must be caught by every measure, whatever the tolerance.
    #[test]
    fn broken_values_are_infinitely_wrong() {
        for (found, expected) in [
            (vec![1.0, NAN], vec![1.0, 2.0]),
            (vec![1.0, 2.0], vec![1.0, NAN]),
            (vec![1.0, INF], vec![1.0, 2.0]),
            (vec![1.0, INF], vec![1.0, -INF]),
            (vec![1.0, NAN], vec![1.0, INF]),
            (vec![1.0, 3.0], vec![1.0, INF]),
            (vec![1.0, NAN], vec![1.0, 0.0]),
            (vec![1.0], vec![1.0, 2.0]),
            (vec![1.0, 2.0], vec![1.0]),
        ] {
            let single: Vec<f32> = found.iter().map(|&value| value as f32).collect();
            for result in [compare(&single, &expected), compare_f64(&found, &expected)] {
                let measures = [result.nmse, result.max_abs, result.max_rel, result.max_scaled()];
                assert_eq!(measures, [INF; 4], "{found:?} against {expected:?}: {result:?}");
                assert_eq!(result.worst_index, 1);
            }
        }
        // If only zeros are expected, an error has no scale, and relative measures are infinite.
        let zeros = compare(&[0.0, 1e-30], &[0.0, 0.0]);
        assert_eq!((zeros.nmse, zeros.max_scaled(), zeros.worst_index), (INF, INF, 1));
    }
}
