//! Any number of images, and batches of tensors, through a classifier.

use std::sync::Arc;

use super::classifier::Classifier;
use super::finite::Finite;
use crate::data::{Dataset, Loader};
use crate::error::{Error, Result};
use crate::gpu::block_on;
use crate::inference::infer_batches;
use crate::model::{InputKind, Output, Predictor};
use crate::train::Interrupt;

/// What came out for one image.
#[derive(Debug, Clone, Copy)]
pub struct Row<'o> {
    /// A logit for each class; zeros where the network has no head.
    pub logits: &'o [f32],
    /// The input of the classifier.
    pub features: &'o [f32],
}

impl Classifier {
    /// Whether the network makes predictions; without a head it has features alone.
    pub fn has_head(&self) -> bool {
        self.network.weights.head().missing().is_none()
    }

    /// Runs every image of `data`, decoded on all cores ahead of the adapter, and hands `each` an image's number and what came
    /// out, or why nothing did: it could not be read, or its results are not finite. Within a batch, images that could not be
    /// read come last. Memory does not grow with the number of images.
    ///
    /// # Errors
    /// What the GPU reports, what `each` gives, and [`Error::Interrupted`] once `stop` is raised.
    pub fn run_images(
        &mut self,
        data: &Arc<dyn Dataset>,
        stop: &Interrupt,
        mut each: impl FnMut(usize, Result<Row>) -> Result<()>,
    ) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let batch = self.predictor.batch().min(data.len());
        let loader = Loader::new(data.clone(), (0..data.len()).collect(), batch, self.network.preprocess.clone(), 2)?;
        let has_head = self.has_head();
        let Self { network, predictor, runtime, .. } = self;
        let finite = Finite::new(runtime, network);
        let (classes, features) = (network.architecture.classes, network.architecture.features());
        infer_batches(loader, std::slice::from_mut(predictor), |done| {
            if let Some(warning) = &done.warning {
                runtime.note(warning);
            }
            let rows = done.output.logits.chunks(classes).zip(done.output.features.chunks(features));
            for (&i, (logits, features)) in done.indices.iter().zip(rows) {
                let name = data.name(i);
                let logits_are_good = if has_head { finite.check(&name, "logits", logits) } else { Ok(()) };
                let checked = logits_are_good.and_then(|()| finite.check(&name, "features", features));
                each(i, checked.map(|()| Row { logits, features }))?;
            }
            for (i, error) in done.failures {
                each(i, Err(error))?;
            }
            stop.check()
        })
        .map(drop)
    }

    /// Runs images that are prepared already: NCHW floats, `size` is their height and width.
    ///
    /// # Errors
    /// Values that are not a whole number of images, a size that the network makes nothing of, results that are not finite,
    /// and what the GPU reports.
    pub fn run_tensor(&mut self, input: &[f32], size: [usize; 2]) -> Result<Output> {
        block_on(self.run_tensor_async(input, size))
    }

    /// [`Self::run_tensor`] where nothing may block.
    ///
    /// # Errors
    /// Those of [`Self::run_tensor`].
    pub async fn run_tensor_async(&mut self, input: &[f32], size: [usize; 2]) -> Result<Output> {
        if size.contains(&0) {
            return Err(Error::shape("tensor", format!("images of {} x {} have no pixels", size[0], size[1])));
        }
        if self.tensors.as_ref().is_none_or(|(kept, _)| *kept != size) {
            let network = self.predictor.network().clone();
            let predictor = Predictor::new(network, InputKind::Tensor, size, self.predictor.batch())?;
            self.tensors = Some((size, predictor));
        }
        let Some((_, predictor)) = &mut self.tensors else { return Err(Error::Gpu("the plan is gone".into())) };
        let output = predictor.run_tensor(input).await?;
        super::loaded_network::warn(&self.runtime, predictor);
        let finite = Finite::new(&self.runtime, &self.network);
        let (classes, features) = (self.network.architecture.classes, self.network.architecture.features());
        let has_head = self.has_head();
        for (i, (logits, features)) in output.logits.chunks(classes).zip(output.features.chunks(features)).enumerate() {
            let name = format!("image {i}");
            finite.check(&name, "features", features)?;
            if has_head {
                finite.check(&name, "logits", logits)?;
            }
        }
        Ok(output)
    }
}
