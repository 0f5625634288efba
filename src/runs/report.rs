//! A RUN's report.html, written when training has ended: what was asked, how it went, and what the network gets wrong.

mod page;

use std::sync::Arc;

use super::sets::Sets;
use crate::data::{self, Dataset, Loader};
use crate::error::{Error, Result};
use crate::files;
use crate::predict::{Finite, NetworkSource, Tally, Use, draw_confusion, probabilities, run_batches, top_k};
use crate::runtime::Runtime;
use crate::train::{EpochResult, Interrupt, RunConfig, RunDir};

/// Wrong predictions that are shown.
const WORST: usize = 24;
/// Side of their pictures.
const PIXELS: u32 = 96;

/// What a run did.
pub struct FinishedRun<'a> {
    pub command: &'a str,
    pub run: &'a RunDir,
    pub config: &'a RunConfig,
    pub epochs: &'a [EpochResult],
    /// The epoch that model.safetensors is from.
    pub epoch: u64,
    pub stopped_early: bool,
    pub sets: &'a Sets,
    /// The network in words.
    pub network: String,
}

/// What the network makes of the validation images.
pub struct Answers {
    tally: Tally,
    /// The surest mistakes, worst first.
    worst: Vec<Mistake>,
}

/// An image taken for another class than its own.
struct Mistake {
    /// Its number in the data set.
    image: usize,
    truth: usize,
    predicted: usize,
    /// Of the predicted and of the true class.
    probabilities: [f64; 2],
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
            // The less the true class was thought of, the worse; the first of equals stays first.
            let at = self.worst.partition_point(|other| other.probabilities[1] <= mistake.probabilities[1]);
            self.worst.insert(at, mistake);
            self.worst.truncate(WORST);
        }
    }

    /// The answers of the network that the run has saved.
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

/// Writes report.html. `answers` are those to the validation images, if there are any.
pub fn write(runtime: &Runtime, ended: &FinishedRun, answers: Option<Answers>) -> Result<()> {
    let path = ended.run.report_path();
    let labels = ended.sets.train.classes();
    let best = ended.epochs.iter().any(|e| e.val_loss.is_some()).then_some(ended.epoch);
    let curves = crate::train::draw_curves(ended.epochs, best).map_err(|problem| Error::file(&path, problem))?;
    let seen = answers.filter(|answers| answers.tally.count > 0).map(|answers| {
        let confusion = draw_confusion(&answers.tally.confusion, labels)?;
        let pictures = answers.worst.iter().map(|mistake| picture(ended.sets, mistake)).collect();
        Ok::<_, Error>(page::Seen { answers, confusion, pictures })
    });
    let config = toml::to_string(ended.config).map_err(|e| Error::file(&path, e))?;
    let page = page::page(ended, labels, &curves, seen.transpose()?.as_ref(), &config);
    files::write(&path, page.as_bytes())?;
    runtime.note(format!("the run's report is {}", path.display()));
    Ok(())
}

/// A small PNG of an image; none if it can't be read any more.
fn picture(sets: &Sets, mistake: &Mistake) -> Option<Vec<u8>> {
    let image = sets.val.as_ref()?.image(mistake.image).ok()?;
    data::encode_png(&data::grid(&[image], 1, PIXELS, 0)).ok()
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
