//! A run's predictions for the validation images.

use std::sync::Arc;

use crate::data::{Dataset, Loader};
use crate::error::Result;
use crate::predict::{Finite, NetworkSource, Tally, Use, probabilities, run_batches, top_k};
use crate::runtime::Runtime;
use crate::train::{Interrupt, RunDir};

/// Wrong predictions that are shown.
const WORST: usize = 24;

/// The network's predictions for the validation images.
pub struct Answers {
    pub tally: Tally,
    /// The most confident mistakes, worst first.
    pub worst: Vec<Mistake>,
}

/// An image with a wrong prediction.
pub struct Mistake {
    /// Its number in the data set.
    pub image: usize,
    pub truth: usize,
    pub predicted: usize,
    /// The probabilities of the predicted and of the true class.
    pub probabilities: [f64; 2],
}

impl Answers {
    pub fn new(classes: usize) -> Self {
        Self { tally: Tally::new(classes), worst: Vec::new() }
    }

    /// Adds the finite logits of an image of class `truth`.
    pub fn add(&mut self, image: usize, logits: &[f32], truth: usize) {
        self.tally.add(logits, truth);
        let probabilities = probabilities(logits);
        let predicted = top_k(&probabilities, 1)[0];
        if predicted != truth {
            let mistake =
                Mistake { image, truth, predicted, probabilities: [probabilities[predicted], probabilities[truth]] };
            // The lower the probability of the true class, the worse; equal ones keep their order.
            let at = self.worst.partition_point(|other| other.probabilities[1] <= mistake.probabilities[1]);
            self.worst.insert(at, mistake);
            self.worst.truncate(WORST);
        }
    }

    /// The predictions of the network that the run has saved.
    pub fn of_saved(
        runtime: &Runtime,
        run: &RunDir,
        val: &Arc<dyn Dataset>,
        batch: usize,
        stop: &Interrupt,
    ) -> Result<Self> {
        let batch = batch.clamp(1, val.len().max(1)) as u32;
        let weights = Some(run.model_path().into_os_string());
        let model = NetworkSource { weights, ..NetworkSource::default() }.load(runtime, Use::PREDICTIONS)?;
        let classes = model.architecture.classes;
        let order = (0..val.len()).collect();
        let loader = Loader::new(val.clone(), order, batch as usize, model.preprocess.clone(), 2)?;
        let mut predictors = model.predictors(runtime, batch)?;
        let bar = runtime.progress(val.len() as u64, "looking at mistakes");
        let mut answers = Self::new(classes);
        let finite = Finite::new(runtime, &model);
        run_batches(runtime, loader, &mut predictors, &*bar, stop, |indices, output| {
            for (&i, logits) in indices.iter().zip(output.logits.chunks(classes)) {
                finite.check(&val.name(i), "logits", logits)?;
                answers.add(i, logits, val.label(i));
            }
            Ok(())
        })?;
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_mistakes_come_first() {
        let mut answers = Answers::new(3);
        answers.add(0, &[2.0, 1.0, 0.0], 0);
        for image in 1..=40 {
            answers.add(image, &[image as f32 / 10.0, 0.0, 0.0], 1);
        }
        assert_eq!((answers.tally.count, answers.worst.len()), (41, WORST));
        assert_eq!(answers.worst.iter().map(|m| m.image).collect::<Vec<_>>(), (17..=40).rev().collect::<Vec<_>>());
        let first = &answers.worst[0];
        assert!((first.truth, first.predicted) == (1, 0) && first.probabilities[0] > 0.95, "{:?}", first.probabilities);
    }
}
