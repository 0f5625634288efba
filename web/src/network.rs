//! A network on the visitor's GPU: what it says of images, and the features that a head is trained on.

use std::path::Path;
use std::sync::Arc;

use gpu_resnet::data::{Rgb8, decode_bytes, encode_png, overlay};
use gpu_resnet::gpu::Gpu;
use gpu_resnet::model::{GradCam, InputKind, Network as ModelNetwork, Output, Predictor};
use gpu_resnet::predict::{LoadedNetwork, Prediction, predictions};
use gpu_resnet::weights::{self, Overrides, Weights, numbered_labels};
use gpu_resnet::{Error, Result};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::examples::Examples;
use crate::{json, thrown};

/// Images of one submit while features are computed.
const BATCH: usize = 8;
/// Classes that are named in an answer.
const TOP: usize = 5;

/// A network that is ready to run, with its labels and the way its images are prepared.
#[wasm_bindgen]
pub struct Network {
    pub(crate) gpu: Arc<Gpu>,
    pub(crate) loaded: Arc<LoadedNetwork>,
    model: Arc<ModelNetwork>,
    predictor: Predictor,
    labels: Vec<String>,
    /// Planned at the first picture.
    grad_cam: Option<GradCam>,
}

#[derive(Serialize)]
struct About<'a> {
    architecture: String,
    labels: &'a [String],
    image_size: u32,
}

#[derive(Serialize)]
struct Answer {
    width: u32,
    height: u32,
    predictions: Vec<Prediction>,
}

impl Network {
    /// Reads and checks the weights file `bytes`, which is called `name`, and uploads it.
    pub(crate) async fn open(gpu: &Arc<Gpu>, bytes: Vec<u8>, name: String) -> Result<Self, JsError> {
        Self::of(gpu, bytes, name).await.map_err(thrown)
    }

    async fn of(gpu: &Arc<Gpu>, bytes: Vec<u8>, name: String) -> Result<Self> {
        let weights = Weights::from_bytes(bytes, name)?;
        let description = weights::describe(&weights, &Overrides::default())?;
        weights::check(&weights, &description.architecture)?;
        let weights::Description { architecture, preprocess, labels, .. } = description;
        let model = Arc::new(ModelNetwork::new(gpu, &architecture, &weights).await?);
        let (mean, std, size) = (preprocess.mean, preprocess.std, [preprocess.crop as usize; 2]);
        let predictor = Predictor::new(model.clone(), InputKind::Pixels { mean, std }, size, BATCH)?;
        let loaded = Arc::new(LoadedNetwork { weights, architecture, preprocess, labels });
        let labels = loaded.labels.clone().unwrap_or_else(|| numbered_labels(loaded.classes()));
        Ok(Self { gpu: gpu.clone(), loaded, model, predictor, labels, grad_cam: None })
    }

    /// The image in `bytes`, decoded by the crate's own decoders and prepared for the network.
    pub(crate) fn prepared(&self, bytes: &[u8], name: &str) -> Result<(Rgb8, Rgb8)> {
        let image = decode_bytes(bytes, Path::new(name))?;
        let prepared = self.loaded.preprocess.apply(&image)?;
        Ok((image, prepared))
    }

    /// Logits and features of prepared images, one after the other in `pixels`.
    pub(crate) async fn run(&mut self, pixels: &[u8], name: &str) -> Result<Output> {
        let output = self.predictor.run_pixels(pixels).await?;
        match output.logits.iter().chain(&output.features).all(|value| value.is_finite()) {
            true => Ok(output),
            false => Err(Error::file(name, "its results are not finite numbers; verify this GPU")),
        }
    }

    async fn answer(&mut self, bytes: &[u8], name: &str) -> Result<Answer> {
        let (image, prepared) = self.prepared(bytes, name)?;
        let logits = self.run(&prepared.pixels, name).await?.logits;
        let predictions = predictions(&logits, &self.labels, TOP, 0.0);
        Ok(Answer { width: image.width, height: image.height, predictions })
    }

    async fn picture(&mut self, bytes: &[u8], name: &str) -> Result<Vec<u8>> {
        let (_, prepared) = self.prepared(bytes, name)?;
        if self.grad_cam.is_none() {
            let preprocess = &self.loaded.preprocess;
            let kind = InputKind::Pixels { mean: preprocess.mean, std: preprocess.std };
            self.grad_cam = Some(GradCam::new(&self.model, kind, [preprocess.crop as usize; 2])?);
        }
        let Some(grad_cam) = &mut self.grad_cam else { return Err(Error::Gpu("the plan is gone".into())) };
        let map = grad_cam.run_pixels(&prepared.pixels, None).await?;
        encode_png(&overlay(&prepared, &map.heat(), [map.height, map.width])?)
    }
}

#[wasm_bindgen]
impl Network {
    /// Architecture, labels and image size, as JSON.
    pub fn about(&self) -> Result<String, JsError> {
        let LoadedNetwork { architecture, preprocess, .. } = &*self.loaded;
        json(&About { architecture: architecture.to_string(), labels: &self.labels, image_size: preprocess.crop })
    }

    /// The most likely classes of the image file `bytes`, which is called `name`, and its size, as JSON.
    pub async fn classify(&mut self, bytes: Vec<u8>, name: String) -> Result<String, JsError> {
        json(&self.answer(&bytes, &name).await.map_err(thrown)?)
    }

    /// A PNG: the image as the network sees it, under the heat map (Grad-CAM) of its most likely class.
    pub async fn heat_map(&mut self, bytes: Vec<u8>, name: String) -> Result<Vec<u8>, JsError> {
        self.picture(&bytes, &name).await.map_err(thrown)
    }

    /// Starts a set of examples for the classes `labels`.
    pub fn examples(&self, labels: Vec<String>) -> Result<Examples, JsError> {
        Examples::new(labels).map_err(thrown)
    }

    /// Adds the image file `bytes` of class `label` to `examples`. Images wait until there is a batch of them.
    pub async fn add_example(
        &mut self,
        examples: &mut Examples,
        bytes: Vec<u8>,
        name: String,
        label: u32,
    ) -> Result<(), JsError> {
        let (_, prepared) = self.prepared(&bytes, &name).map_err(thrown)?;
        examples.wait(prepared, label).map_err(thrown)?;
        if examples.waiting() >= BATCH { self.finish_examples(examples).await } else { Ok(()) }
    }

    /// Computes the features of the images that wait.
    pub async fn finish_examples(&mut self, examples: &mut Examples) -> Result<(), JsError> {
        let (pixels, labels) = examples.take_waiting();
        if labels.is_empty() {
            return Ok(());
        }
        let output = self.run(&pixels, "a batch of images").await.map_err(thrown)?;
        examples.add(output.features, labels);
        Ok(())
    }
}
