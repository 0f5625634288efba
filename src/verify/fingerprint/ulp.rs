//! Errors in units in the last place.

/// The error of `found`, in units in the last place of a float of `digits` mantissa bits (23 for f32, 10 for f16) near
/// `exact`, whose smallest normal exponent is `least`. Infinite if only one of the two is finite.
fn error(found: f64, exact: f64, digits: i32, least: i32) -> f64 {
    if !found.is_finite() || !exact.is_finite() {
        return if found == exact || (found.is_nan() && exact.is_nan()) { 0.0 } else { f64::INFINITY };
    }
    let exponent = ((exact.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(least);
    (found - exact).abs() / 2f64.powi(exponent - digits)
}

/// The error of an f32.
pub(super) fn single(found: f32, exact: f64) -> f64 {
    error(f64::from(found), exact, 23, -126)
}

/// The error of an f16.
pub(super) fn half(found: ::half::f16, exact: f64) -> f64 {
    error(found.to_f64(), exact, 10, -14)
}

/// The largest error and its index.
pub(super) fn worst(errors: impl Iterator<Item = f64>) -> (f64, usize) {
    errors.enumerate().fold((0.0, 0), |worst, (index, error)| if error > worst.0 { (error, index) } else { worst })
}

/// An error as a short text.
pub(super) fn show(error: f64) -> String {
    if error.is_infinite() {
        "infinite".into()
    } else if error < 1000.0 {
        format!("{error:.2} ULP")
    } else {
        format!("{error:.1e} ULP")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_in_units_of_the_last_place() {
        assert_eq!(single(1.0, 1.0), 0.0);
        assert_eq!(single(1.0 + f32::EPSILON, 1.0), 1.0);
        assert_eq!(single(1.0, 1.0 + f64::from(f32::EPSILON) / 2.0), 0.5);
        // Below 2 the unit is half of that above.
        assert_eq!(single(2.0, 2.0 - f64::from(f32::EPSILON)), 1.0);
        assert_eq!(single(0.0, 2f64.powi(-149)), 1.0);
        assert_eq!(half(::half::f16::from_f32(65_504.0), 65_472.0), 1.0);
        assert_eq!([single(f32::NAN, 1.0), single(1.0, f64::INFINITY)], [f64::INFINITY; 2]);
        assert_eq!([single(f32::NAN, f64::NAN), single(f32::INFINITY, f64::INFINITY)], [0.0; 2]);
        assert_eq!(worst([0.5, 2.0, 1.0].into_iter()), (2.0, 1));
    }
}
