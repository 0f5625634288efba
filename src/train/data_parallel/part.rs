//! What one adapter contributes to a step, and what several parts come to.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::train::network_step::StepResult;

/// The gradients of one adapter's batch.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// By the trained parameters, one after another from the last layer to the first, in the layout that they have on the device; without
    /// images of its own it is empty. Divided by the loss scale already.
    pub gradients: Vec<f32>,
    pub report: PartReport,
}

/// What else is known of a [`Part`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PartReport {
    /// Mean loss, correct rows, counted rows, 0.
    #[serde(with = "bits")]
    pub summary: [f32; 4],
    /// Images of the batch, with those that stand for unreadable ones.
    pub images: usize,
    /// Whether a scaled gradient was not finite.
    pub overflow: bool,
    /// Names of the blocks, and the norm of the gradient that enters each from above; only where they are logged.
    pub blocks: Vec<String>,
    #[serde(with = "bit_list")]
    pub block_norms: Vec<f32>,
    /// Images that could not be read: their number in the data set, and the sentence that says why.
    pub failures: Vec<(usize, String)>,
    /// Seconds that the adapter took, waiting for its images included.
    pub seconds: f64,
}

/// How an adapter spent the steps of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdapterTime {
    /// Images that it computed gradients of.
    pub images: usize,
    /// Seconds of work, waiting for its images included.
    pub busy: f64,
    /// Seconds that it waited for the gradients of slower adapters.
    pub waiting: f64,
}

/// The parts of a step taken together.
pub(super) struct Combined {
    pub summary: [f32; 4],
    pub images: usize,
    pub overflow: bool,
    pub block_gradients: Vec<(String, f32)>,
}

impl Combined {
    /// # Errors
    /// [`Error::Shape`] if the parts are of different networks.
    pub fn of(parts: &[Part]) -> Result<Self> {
        let counted: Vec<&Part> = parts.iter().filter(|part| !part.gradients.is_empty()).collect();
        let first = counted.first().map_or(0, |part| part.gradients.len());
        if let Some(other) = counted.iter().find(|part| part.gradients.len() != first) {
            let problem =
                format!("adapters computed {first} and {} gradients; their networks differ", other.gradients.len());
            return Err(Error::shape("data-parallel training", problem));
        }
        let rows = |part: &Part| f64::from(part.report.summary[2]);
        let all: f64 = counted.iter().map(|part| rows(part)).sum();
        let sum = |value: &dyn Fn(&Part) -> f64| counted.iter().map(|part| value(part)).sum::<f64>();
        let loss = sum(&|part| f64::from(part.report.summary[0]) * rows(part)) / all;
        let correct = sum(&|part| f64::from(part.report.summary[1]));
        let blocks = counted.first().map_or(&[][..], |part| &part.report.blocks);
        let norm = |block: usize| {
            // Each part's gradients are of the mean over its own images.
            let scaled = |part: &Part| {
                let norm = part.report.block_norms.get(block).copied().unwrap_or_default();
                (f64::from(norm) * rows(part) / all).powi(2)
            };
            sum(&scaled).sqrt() as f32
        };
        Ok(Self {
            summary: [loss as f32, correct as f32, all as f32, 0.0],
            images: parts.iter().map(|part| part.report.images).sum(),
            overflow: counted.iter().any(|part| part.report.overflow),
            block_gradients: blocks.iter().enumerate().map(|(i, name)| (name.clone(), norm(i))).collect(),
        })
    }

    /// What the step measured, with the norm of the averaged gradients.
    pub fn result(self, grad_norm: Option<f32>) -> StepResult {
        let Self { summary, overflow, block_gradients, .. } = self;
        StepResult { summary, grad_norm, block_gradients, skipped: overflow }
    }
}

/// Floats as their bits: JSON has no infinity.
mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(values: &[f32; 4], serializer: S) -> Result<S::Ok, S::Error> {
        values.map(f32::to_bits).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f32; 4], D::Error> {
        <[u32; 4]>::deserialize(deserializer).map(|bits| bits.map(f32::from_bits))
    }
}

mod bit_list {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| value.to_bits()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        Vec::<u32>::deserialize(deserializer).map(|bits| bits.into_iter().map(f32::from_bits).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(gradients: usize, loss: f32, rows: f32, norm: f32, overflow: bool) -> Part {
        let report = PartReport {
            summary: [loss, 1.0, rows, 0.0],
            images: rows as usize,
            overflow,
            blocks: vec!["layer1.0".into()],
            block_norms: vec![norm],
            ..PartReport::default()
        };
        Part { gradients: vec![0.0; gradients], report }
    }

    #[test]
    fn parts_are_weighted_by_their_images() {
        let parts = [part(8, 1.0, 3.0, 4.0, false), Part::default(), part(8, 5.0, 1.0, 16.0, true)];
        let all = Combined::of(&parts).unwrap();
        assert_eq!((all.summary, all.images, all.overflow), ([2.0, 2.0, 4.0, 0.0], 4, true));
        assert_eq!(all.block_gradients, [("layer1.0".to_owned(), 5.0)]);
        assert!(Combined::of(&[part(8, 1.0, 1.0, 0.0, false), part(4, 1.0, 1.0, 0.0, false)]).is_err());
    }

    #[test]
    fn a_report_survives_json_whatever_its_numbers() {
        let report = PartReport {
            summary: [f32::NAN, f32::INFINITY, 0.1, -0.0],
            block_norms: vec![f32::NEG_INFINITY, 1e-40],
            failures: vec![(3, "image 3: is lost".into())],
            ..PartReport::default()
        };
        let back: PartReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(back.summary.map(f32::to_bits), report.summary.map(f32::to_bits));
        assert_eq!((back.block_norms, back.failures), (report.block_norms, report.failures));
    }
}
