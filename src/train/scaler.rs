//! Standardised features, folded into the head afterwards.
//!
//! A head learns on `(x - mean) / scale`; since that is affine, the layer `weight / scale`, `bias - weight · mean / scale`
//! gives the same logits on `x`, and a plain linear layer is all that is saved.

use super::head::Head;

/// Mean and scale of every feature over the training set.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaler {
    /// Of each feature.
    pub mean: Vec<f32>,
    /// `sqrt(variance + floor^2)`, where the floor is a tenth of the features' mean standard deviation: a feature that
    /// hardly varies in the training set must not dominate where it does.
    pub scale: Vec<f32>,
}

impl Scaler {
    /// Mean and scale of the columns of `features`, rows of `columns` values; in f64, so the same everywhere.
    pub fn fit(features: &[f32], columns: usize) -> Self {
        let rows = (features.len() / columns.max(1)).max(1) as f64;
        let mut mean = vec![0.0f64; columns];
        for row in features.chunks_exact(columns.max(1)) {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        mean.iter_mut().for_each(|sum| *sum /= rows);
        let mut variance = vec![0.0f64; columns];
        for row in features.chunks_exact(columns.max(1)) {
            for ((sum, &x), mean) in variance.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(x) - mean).powi(2);
            }
        }
        variance.iter_mut().for_each(|sum| *sum /= rows);
        let typical = variance.iter().map(|v| v.sqrt()).sum::<f64>() / columns.max(1) as f64;
        // Features that never vary at all stay as they are.
        let floor = if typical > 0.0 { 0.1 * typical } else { 1.0 };
        Self {
            mean: mean.iter().map(|&m| m as f32).collect(),
            scale: variance.iter().map(|v| (v + floor * floor).sqrt() as f32).collect(),
        }
    }

    /// Standardises one row in place.
    pub fn apply(&self, row: &mut [f32]) {
        for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
            *x = (*x - mean) / scale;
        }
    }

    /// The head on unscaled features that gives the logits of `head` on standardised ones.
    pub fn fold(&self, head: &Head) -> Head {
        let mut folded = head.clone();
        for (row, bias) in folded.weight.chunks_exact_mut(self.mean.len()).zip(&mut folded.bias) {
            let mut shift = 0.0f64;
            for ((w, &mean), &scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                let weight = f64::from(*w) / f64::from(scale);
                shift += weight * f64::from(mean);
                *w = weight as f32;
            }
            *bias = (f64::from(*bias) - shift) as f32;
        }
        folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::HeadShape;

    fn logits(head: &Head, row: &[f32]) -> Vec<f64> {
        let dot = |w: &[f32]| w.iter().zip(row).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum::<f64>();
        let rows = head.weight.chunks_exact(head.shape.features);
        rows.zip(&head.bias).map(|(w, &b)| dot(w) + f64::from(b)).collect()
    }

    #[test]
    fn a_folded_head_gives_the_same_logits() {
        let (columns, classes) = (13, 4);
        // Features of very different sizes, one of which never varies.
        let features: Vec<f32> = (0..20 * columns)
            .map(|i| ((i * i + 3 * i) % 17) as f32 * [1e-3, 1.0, 50.0, 0.0][i % columns % 4] + 5.0)
            .collect();
        let scaler = Scaler::fit(&features, columns);
        let head = Head::random(HeadShape { features: columns, classes }, 1);
        let folded = scaler.fold(&head);
        for row in features.chunks_exact(columns) {
            let mut scaled = row.to_vec();
            scaler.apply(&mut scaled);
            for (a, b) in logits(&head, &scaled).into_iter().zip(logits(&folded, row)) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
            // Negative control: the unfolded head differs on unscaled features.
            assert!((logits(&head, row)[0] - logits(&head, &scaled)[0]).abs() > 1e-2);
        }
    }

    #[test]
    fn columns_are_centred_and_scaled() {
        let scaler = Scaler::fit(&[1.0, 0.0, 3.0, 0.0], 2);
        assert_eq!(scaler.mean, [2.0, 0.0]);
        assert!((scaler.scale[0] - 1.0).abs() < 2e-3 && scaler.scale[1] == 0.05, "{scaler:?}");
        assert_eq!(Scaler::fit(&[7.0, 7.0], 1).scale, [1.0]);
    }
}
