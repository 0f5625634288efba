//! `loss_scale`: both ends of a scaled backward pass: the first gradient `g * scale`, and the unscaled result `g / scale`.

use super::Tensor;

/// `input * scale`.
pub fn scale(input: &Tensor, scale: f64) -> Tensor {
    Tensor { data: input.data.iter().map(|g| g * scale).collect(), ..input.clone() }
}

/// `grad / scale`, and whether every value is finite.
pub fn unscale(grad: &Tensor, scale: f64) -> (Tensor, bool) {
    let divided = Tensor { data: grad.data.iter().map(|g| g / scale).collect(), ..grad.clone() };
    (divided, grad.data.iter().all(|g| g.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scaled_comes_back() {
        let grad = Tensor::new(&[3], vec![1.5, -2e-8, 0.0]);
        let scaled = scale(&grad, 65_536.0);
        assert_eq!(scaled.data[0], 98_304.0);
        assert_eq!(unscale(&scaled, 65_536.0), (grad.clone(), true));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!unscale(&Tensor::new(&[2], vec![1.0, bad]), 2.0).1, "{bad}");
        }
    }
}
