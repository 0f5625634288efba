//! What the tests share: the adapters, and examples that a linear head can learn, though not at once.

use std::sync::Arc;

use gpu_resnet::gpu::{AdapterChoice, Gpu};
use gpu_resnet::train::{Examples, HeadShape};
use gpu_resnet::weights::{hash_targets, hash_tensor};
use pollster::FutureExt as _;

/// The first usable adapter.
pub fn adapter() -> Arc<Gpu> {
    Gpu::open(&AdapterChoice::default())
        .block_on()
        .expect("a usable adapter; scripts/setup.sh installs a software driver")
}

/// Noisy features around one centre a class.
pub struct Data {
    pub shape: HeadShape,
    features: Vec<f32>,
    labels: Vec<u32>,
    train: usize,
}

impl Data {
    /// `train` examples to learn and `val` to validate on. Odd sizes leave padding everywhere.
    pub fn new(shape: HeadShape, train: usize, val: usize) -> Self {
        let count = train + val;
        let labels: Vec<u32> = hash_targets("labels", count, shape.classes as u64).iter().map(|&l| l as u32).collect();
        let centres = hash_tensor("centres", shape.classes * shape.features, |u| u);
        let mut features = hash_tensor("noise", count * shape.features, |u| 1.2 * u);
        for (row, &label) in features.chunks_exact_mut(shape.features).zip(&labels) {
            let centre = &centres[label as usize * shape.features..][..shape.features];
            row.iter_mut().zip(centre).for_each(|(x, c)| *x += c);
        }
        Self { shape, features, labels, train }
    }

    pub fn small() -> Self {
        Self::new(HeadShape { features: 37, classes: 5 }, 203, 61)
    }

    pub fn train(&self) -> Examples<'_> {
        let (features, labels) = (&self.features[..self.train * self.shape.features], &self.labels[..self.train]);
        Examples { features, labels }
    }

    pub fn val(&self) -> Examples<'_> {
        let (features, labels) = (&self.features[self.train * self.shape.features..], &self.labels[self.train..]);
        Examples { features, labels }
    }
}
