//! Batch normalisation in eval mode, folded into the convolution before it.

use crate::error::{Error, Result};

/// Folds `y = (conv(x) - mean) / sqrt(var + eps) * gamma + beta` into a convolution with bias, in f64:
///
/// `weight'[k,c,r,s] = weight[k,c,r,s] * gamma[k] / sqrt(var[k] + eps)`,
/// `bias'[k] = beta[k] - mean[k] * gamma[k] / sqrt(var[k] + eps)`.
///
/// `weight` is OIHW with as many output channels K as `gamma`, `beta`, `mean` and `var` have elements; gives weight' (as
/// long as `weight`) and bias' `[K]`. Errors: lengths that don't fit, a variance that leaves nothing to divide by, a result
/// that f32 can't hold.
pub fn fold_bn(
    weight: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    var: &[f32],
    eps: f64,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let channels = gamma.len();
    let lengths = [beta.len(), mean.len(), var.len()];
    if channels == 0 || weight.is_empty() || !weight.len().is_multiple_of(channels) || lengths != [channels; 3] {
        let problem = format!("weight has {} elements, gamma {channels}, beta, mean, var {lengths:?}", weight.len());
        return Err(Error::shape("fold_bn", problem + "; give one of the latter for each output channel"));
    }
    let mut folded = Vec::with_capacity(weight.len());
    let mut bias = Vec::with_capacity(channels);
    for (k, filter) in weight.chunks_exact(weight.len() / channels).enumerate() {
        let deviation = (f64::from(var[k]) + eps).sqrt();
        if deviation.is_nan() || deviation <= 0.0 {
            let problem = format!("channel {k} has variance {} and eps {eps}; their sum must be positive", var[k]);
            return Err(Error::shape("fold_bn", problem));
        }
        let scale = f64::from(gamma[k]) / deviation;
        let start = folded.len();
        folded.extend(filter.iter().map(|w| (f64::from(*w) * scale) as f32));
        bias.push((f64::from(beta[k]) - f64::from(mean[k]) * scale) as f32);
        if !bias[k].is_finite() || folded[start..].iter().any(|w| !w.is_finite()) {
            let problem = format!("channel {k} overflows f32 with gamma {}, variance {}, eps {eps}", gamma[k], var[k]);
            return Err(Error::shape("fold_bn", problem));
        }
    }
    Ok((folded, bias))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_equals_convolution_then_normalisation() {
        let (weight, gamma, beta) = ([1.0, 2.0, -3.0, 0.5, 0.25, 4.0], [0.5, 2.0], [0.1, -0.2]);
        let (mean, var, eps) = ([0.3, -0.7], [0.04, 2.25], 1e-5);
        let (folded, bias) = fold_bn(&weight, &gamma, &beta, &mean, &var, eps).unwrap();
        let input = [0.7, -1.1, 2.0];
        for k in 0..2 {
            let dot = |w: &[f32]| w.iter().zip(input).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
            let (g, b, m, v) = (gamma[k] as f64, beta[k] as f64, mean[k] as f64, var[k] as f64);
            let expected = (dot(&weight[3 * k..][..3]) - m) / (v + eps).sqrt() * g + b;
            let found = dot(&folded[3 * k..][..3]) + f64::from(bias[k]);
            assert!((expected - found).abs() < 1e-5, "{k}: {expected} {found}");
            // Negative control: the epsilon and the mean matter at this tolerance.
            assert!((expected - dot(&folded[3 * k..][..3])).abs() > 1e-2);
        }
    }

    #[test]
    fn unit_variance_less_epsilon_changes_nothing() {
        let (folded, bias) = fold_bn(&[3.5], &[1.0], &[0.25], &[0.0], &[1.0 - 1e-5], 1e-5).unwrap();
        assert_eq!((folded[0], bias[0]), (3.5, 0.25));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(fold_bn(&[1.0; 5], &[1.0; 2], &[0.0; 2], &[0.0; 2], &[1.0; 2], 1e-5).is_err());
        assert!(fold_bn(&[1.0; 4], &[1.0; 2], &[0.0; 2], &[0.0; 1], &[1.0; 2], 1e-5).is_err());
        assert!(fold_bn(&[], &[], &[], &[], &[], 1e-5).is_err());
        assert!(fold_bn(&[1.0], &[1.0], &[0.0], &[0.0], &[-1.0], 1e-5).is_err());
        assert!(fold_bn(&[1.0], &[1.0], &[0.0], &[0.0], &[f32::NAN], 1e-5).is_err());
        assert!(fold_bn(&[f32::MAX], &[f32::MAX], &[0.0], &[0.0], &[0.0], 1e-5).is_err());
    }
}
