//! The weighted mean of several adapters' gradients.

use rayon::prelude::*;

/// Values that one task averages.
const CHUNK: usize = 1 << 15;

/// Writes the mean of `parts` into `mean`: gradients, all equally long, each with its weight. Sums are f64, in the order of `parts`.
pub(super) fn weighted_mean(parts: &[(&[f32], f64)], mean: &mut Vec<f32>) {
    let total: f64 = parts.iter().map(|(_, weight)| weight).sum();
    mean.resize(parts.first().map_or(0, |(values, _)| values.len()), 0.0);
    mean.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
        let from = chunk * CHUNK;
        for (i, out) in out.iter_mut().enumerate() {
            let sum: f64 = parts.iter().map(|(values, weight)| f64::from(values[from + i]) * weight).sum();
            *out = (sum / total) as f32;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_weighted_and_has_the_precision_of_f64() {
        let n = CHUNK + 3;
        let (a, b, c) = (vec![1.0f32; n], vec![1e-8f32; n], vec![-1.0f32; n]);
        let mut mean = vec![7.0; 2];
        weighted_mean(&[(&a, 4.0), (&b, 2.0), (&c, 4.0)], &mut mean);
        assert_eq!(mean.len(), n);
        // In f32 the sum of the first two would be 4.
        assert!(mean.iter().all(|&m| (m / 2e-9 - 1.0).abs() < 1e-6), "{}", mean[0]);
        weighted_mean(&[(&a, 3.0), (&c, 1.0)], &mut mean);
        assert!(mean.iter().all(|&m| m == 0.5));
    }
}
