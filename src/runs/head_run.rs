//! A run that trains a new head on features of a frozen backbone, which are computed once.

use std::sync::Arc;

use super::features::{Extractor, Features};
use super::narrator::Narrator;
#[cfg(feature = "reports")]
use super::report::{self, Answers, FinishedRun};
use super::save::{WithHead, save_model};
use super::sets::Sets;
use super::sitting::Sitting;
use super::summary::RunSummary;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::predict::LoadedNetwork;
use crate::runtime::Runtime;
use crate::train::{Fit, HeadShape, Interrupt, RunConfig, Unreadable, digest_images, fit};

/// One sitting of training a head, with its folder claimed.
pub(super) struct HeadSitting<'a> {
    pub runtime: &'a Runtime,
    pub model: &'a LoadedNetwork,
    pub tensorboard: bool,
    pub sitting: &'a Sitting,
    pub stop: &'a Interrupt,
}

/// What a head is trained on.
pub(super) struct HeadData {
    pub sets: Sets,
    pub train: Features,
    pub val: Option<Features>,
    /// Images that can't be read.
    pub failed: usize,
}

impl HeadSitting<'_> {
    /// Trains the head, and writes the network and its report.
    pub fn train(&self, gpu: &Arc<Gpu>, config: &mut RunConfig, data: HeadData) -> Result<RunSummary> {
        let Self { runtime, model, tensorboard, sitting, stop } = *self;
        let run = sitting.run();
        let HeadData { sets, train, val, failed } = data;
        let keys = train.keys.iter().chain(val.iter().flat_map(|val| &val.keys));
        run.keep_images(config, digest_images(keys), sitting.goes_on())?;
        let classes: Vec<String> = sets.train.classes().to_vec();
        let shape = HeadShape { features: model.architecture.features(), classes: classes.len() };
        sitting.start()?;
        let job = Fit {
            gpu,
            shape,
            train: train.examples(),
            val: val.as_ref().filter(|val| !val.labels.is_empty()).map(Features::examples),
            resume: sitting.goes_on(),
            interrupt: stop,
        };
        let mut narrator = Narrator::new(runtime, tensorboard.then(|| run.path()))?;
        let result = fit(&job, config, run, &mut |event| narrator.tell(event));
        let outcome = narrator.finish(result)?;
        let architecture = model.architecture.clone().with_classes(classes.len());
        let network = WithHead { backbone: &model.weights, head: &outcome.head };
        save_model(&run.model_path(), &architecture, &classes, &model.preprocess, &network)?;
        #[cfg(feature = "reports")]
        self.write_report(config, &sets, val.as_ref(), &outcome)?;
        let kept = (outcome.epoch, &outcome.epochs[..], outcome.stopped_early);
        Ok(RunSummary::new(runtime, run, kept, outcome.choice.lr, failed))
    }

    /// Writes report.html.
    #[cfg(feature = "reports")]
    fn write_report(
        &self,
        config: &RunConfig,
        sets: &Sets,
        val: Option<&Features>,
        outcome: &crate::train::Outcome,
    ) -> Result<()> {
        let classes = sets.train.classes().len();
        let answers = val.map(|val| {
            let mut answers = Answers::new(classes);
            let rows = val.features.chunks(self.model.architecture.features());
            for ((row, &label), &i) in rows.zip(&val.labels).zip(&val.indices) {
                answers.add(i, &outcome.head.logits(row), label as usize);
            }
            answers
        });
        let architecture = self.model.architecture.clone().with_classes(classes);
        let finished = FinishedRun {
            command: "finetune",
            run: self.sitting.run(),
            config,
            epochs: &outcome.epochs,
            epoch: outcome.epoch,
            stopped_early: outcome.stopped_early,
            sets,
            adapters: &[],
            network: format!("A new head on the fixed features of {architecture}."),
        };
        report::write(self.runtime, &finished, answers)
    }

    /// The features of the readable images, their sets, and the number of unreadable images.
    pub fn features(&self, extractor: &mut Extractor, sets: Sets) -> Result<HeadData> {
        let goes_on = self.sitting.goes_on();
        let left_out = if goes_on { self.sitting.left_out(self.runtime)? } else { Unreadable::default() };
        let sets = sets.without(&left_out)?;
        let train = extractor.extract(&sets.train, "training")?;
        let val = sets.val.as_ref().map(|val| extractor.extract(val, "validation")).transpose()?;
        let failed = Unreadable {
            train: train.unreadable(&*sets.train),
            val: sets.val.as_ref().zip(val.as_ref()).map_or(Vec::new(), |(set, val)| val.unreadable(&**set)),
        };
        match failed.first() {
            Some(image) if goes_on => {
                let problem = "could be read when the run began; put it back as it was, or start a new run";
                Err(Error::file(&image.name, problem))
            }
            None if goes_on => Ok(HeadData { sets, train, val, failed: left_out.len() }),
            _ => {
                self.sitting.run().write_unreadable(&failed)?;
                sets.without(&failed)?;
                Ok(HeadData { sets, train, val, failed: failed.len() })
            }
        }
    }
}
