//! The classifier that is trained: a linear layer, in PyTorch's layout.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::error::{Error, Result};
use crate::ops::linear::Linear;

/// Sizes of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadShape {
    /// Features of an example: `in_features`.
    pub features: usize,
    /// Classes: `out_features`.
    pub classes: usize,
}

/// `torch.nn.Linear(features, classes)`: `logits = weight · features + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Features and classes.
    pub shape: HeadShape,
    /// `[classes, features]`, row-major.
    pub weight: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
}

/// The random stream of the initial weights. The validation split has stream 0 and the epochs count up from 1.
const STREAM: u64 = u64::MAX;

impl HeadShape {
    /// The layer over a batch of `rows`.
    pub(super) fn layer(&self, rows: usize) -> Linear {
        Linear { rows, in_features: self.features, out_features: self.classes }
    }

    /// Elements of the weight.
    pub fn weights(&self) -> usize {
        self.features * self.classes
    }
}

impl Head {
    /// A head of given weights.
    ///
    /// # Errors
    /// [`Error::Shape`] if they don't have `shape`, or are not finite.
    pub fn new(shape: HeadShape, weight: Vec<f32>, bias: Vec<f32>) -> Result<Self> {
        let HeadShape { features, classes } = shape;
        if classes == 0 || features == 0 || weight.len() != shape.weights() || bias.len() != classes {
            return Err(Error::shape(
                "head",
                format!(
                    "a weight of {} and a bias of {} elements don't make a layer of {features} features and {classes} \
                     classes",
                    weight.len(),
                    bias.len()
                ),
            ));
        }
        if weight.iter().chain(&bias).any(|value| !value.is_finite()) {
            return Err(Error::shape("head", "a weight is not a finite number; start from other weights"));
        }
        Ok(Self { shape, weight, bias })
    }

    /// The logits of one example, summed in f64.
    pub fn logits(&self, features: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks(self.shape.features).zip(&self.bias);
        rows.map(|(row, &bias)| {
            let products = row.iter().zip(features).map(|(&w, &x)| f64::from(w) * f64::from(x));
            (f64::from(bias) + products.sum::<f64>()) as f32
        })
        .collect()
    }

    /// # Errors
    /// [`Error::Shape`] if this is no head of `shape`.
    pub fn check(&self, shape: HeadShape) -> Result<()> {
        if self.shape == shape {
            return Ok(());
        }
        Err(Error::shape(
            "head",
            format!(
                "it has {} features and {} classes, but the data has {} and {}; use the network and the classes that it \
                 was made for",
                self.shape.features, self.shape.classes, shape.features, shape.classes
            ),
        ))
    }

    /// A fresh layer as `torch.nn.Linear` draws it: weight and bias uniform in ±1/sqrt(features). The numbers are
    /// 24-bit fractions from ChaCha8 seeded with `seed` (weights row by row, then the bias), the same on every platform.
    pub fn random(shape: HeadShape, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STREAM);
        let bound = 1.0 / (shape.features.max(1) as f64).sqrt();
        let mut draw = || {
            let unit = f64::from(rng.next_u32() >> 8) / f64::from(1 << 24);
            ((2.0 * unit - 1.0) * bound) as f32
        };
        let weight = (0..shape.weights()).map(|_| draw()).collect();
        let bias = (0..shape.classes).map(|_| draw()).collect();
        Self { shape, weight, bias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_weights_are_uniform_and_repeatable() {
        let shape = HeadShape { features: 400, classes: 7 };
        let head = Head::random(shape, 3);
        assert_eq!(head, Head::random(shape, 3));
        assert_ne!(head, Head::random(shape, 4));
        assert!(Head::new(shape, head.weight.clone(), head.bias.clone()).is_ok());
        let bound = 0.05;
        assert!(head.weight.iter().chain(&head.bias).all(|w| w.abs() <= bound));
        let mean = head.weight.iter().sum::<f32>() / 2800.0;
        let variance = head.weight.iter().map(|w| w * w).sum::<f32>() / 2800.0;
        assert!(mean.abs() < 0.002, "{mean}");
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.1, "{variance}");
    }

    #[test]
    fn weights_that_do_not_fit_are_refused() {
        let shape = HeadShape { features: 2, classes: 1 };
        assert!(Head::new(shape, vec![0.0], vec![0.0]).is_err());
        assert!(Head::new(shape, vec![0.0, f32::NAN], vec![0.0]).is_err());
    }
}
