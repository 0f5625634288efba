//! Images in, classes out, in three lines.

use std::path::Path;
use std::sync::Arc;

use super::evaluate::{evaluate, labelled_images};
use super::finite::Finite;
use super::loaded_network::{LoadedNetwork, NetworkSource, Use, needs_head, warn};
use super::prediction::Classification;
use super::setters::source_and_runtime_setters;
use super::tally::Accuracy;
use crate::data::{Preprocess, Rgb8, decode_file, open_splits};
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, block_on};
use crate::model::{Architecture, InputKind, Output, Predictor};
use crate::runtime::Runtime;
use crate::train::Interrupt;
use crate::weights::numbered_labels;

/// The batch size, unless [`ClassifierBuilder::batch_size`] sets it.
const BATCH: u32 = 32;

/// A network on an adapter that classifies images.
///
/// ```
/// use gpu_resnet::Classifier;
///
/// # fn main() -> gpu_resnet::Result<()> {
/// let top = Classifier::open(Some("resnet20-digits"))?.classify_file("examples/digits/test/7/0007.png")?.top(1);
/// assert_eq!(top[0].label, "7");
/// assert!(top[0].probability > 0.99);
/// # Ok(())
/// # }
/// ```
pub struct Classifier {
    pub(super) network: LoadedNetwork,
    labels: Arc<[String]>,
    /// Whether the labels are names rather than numbers.
    is_named: bool,
    pub(super) predictor: Predictor,
    /// The same network for tensors, and their size: the last that was asked for.
    pub(super) tensors: Option<([usize; 2], Predictor)>,
    pub(super) runtime: Runtime,
}

/// Options for opening a [`Classifier`]: start with [`Classifier::builder`], end with [`ClassifierBuilder::open`].
///
/// ```
/// use gpu_resnet::Classifier;
///
/// # fn main() -> gpu_resnet::Result<()> {
/// let mut classifier = Classifier::builder().weights("resnet20-digits").batch_size(4).open()?;
/// assert_eq!(classifier.labels().len(), 10);
/// let black = gpu_resnet::data::Rgb8::black(32, 32);
/// let all = classifier.classify(&[black.clone(), black])?;
/// assert_eq!(all[0], all[1]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ClassifierBuilder {
    source: NetworkSource,
    batch: u32,
    labels: Option<Vec<String>>,
    runtime: Runtime,
}

impl Classifier {
    /// Opens `weights` on the machine's best adapter. `weights` is what `--weights` takes: a .safetensors or .pth file, the folder
    /// of a run or of a hub, or a name of `weights list`. `None` is the built-in network.
    ///
    /// # Errors
    /// Missing or incomplete weights, and an adapter that cannot be used.
    pub fn open(weights: Option<&str>) -> Result<Self> {
        let builder = Self::builder();
        match weights {
            Some(weights) => builder.weights(weights),
            None => builder,
        }
        .open()
    }

    /// Starts a classifier with options.
    pub fn builder() -> ClassifierBuilder {
        ClassifierBuilder { source: NetworkSource::default(), batch: BATCH, labels: None, runtime: Runtime::default() }
    }

    /// Classifies the image in the file at `path`.
    ///
    /// # Errors
    /// A file that is not an image, and those of [`Self::classify`].
    pub fn classify_file(&mut self, path: impl AsRef<Path>) -> Result<Classification> {
        let path = path.as_ref();
        let images = [decode_file(path)?];
        let [logits] = &mut block_on(self.rows_of_logits(&images, |_| path.display().to_string()))?[..] else {
            return Err(Error::Gpu("the image's logits are gone".into()));
        };
        Ok(Classification { logits: std::mem::take(logits), labels: self.labels.clone() })
    }

    /// Classifies each of `images`, of any sizes, in order.
    ///
    /// # Errors
    /// A network without a head, an image without pixels, results that are not finite, and what the GPU reports.
    pub fn classify(&mut self, images: &[Rgb8]) -> Result<Vec<Classification>> {
        block_on(self.classify_async(images))
    }

    /// [`Self::classify`] where nothing may block.
    ///
    /// # Errors
    /// Those of [`Self::classify`].
    pub async fn classify_async(&mut self, images: &[Rgb8]) -> Result<Vec<Classification>> {
        let rows = self.logits_async(images).await?;
        Ok(rows.into_iter().map(|logits| Classification { logits, labels: self.labels.clone() }).collect())
    }

    /// The logits of each of `images`: one per class, before the softmax.
    ///
    /// # Errors
    /// Those of [`Self::classify`].
    pub fn logits(&mut self, images: &[Rgb8]) -> Result<Vec<Vec<f32>>> {
        block_on(self.logits_async(images))
    }

    /// [`Self::logits`] where nothing may block.
    ///
    /// # Errors
    /// Those of [`Self::classify`].
    pub async fn logits_async(&mut self, images: &[Rgb8]) -> Result<Vec<Vec<f32>>> {
        self.rows_of_logits(images, |i| format!("image {i}")).await
    }

    /// The features of each of `images`: the input of the classifier, `architecture().features()` values.
    ///
    /// # Errors
    /// Those of [`Self::classify`], but a network without a head suffices.
    pub fn features(&mut self, images: &[Rgb8]) -> Result<Vec<Vec<f32>>> {
        block_on(self.features_async(images))
    }

    /// [`Self::features`] where nothing may block.
    ///
    /// # Errors
    /// Those of [`Self::features`].
    pub async fn features_async(&mut self, images: &[Rgb8]) -> Result<Vec<Vec<f32>>> {
        let columns = self.network.architecture.features();
        let features = self.run(images).await?.features;
        self.checked(&features, columns, "features", |i| format!("image {i}"))
    }

    /// The network's accuracy on the labelled images `data`, which is anything that DATA of `gpu-resnet evaluate` may be; of a data
    /// set with a held-out part, that part. Classes are matched by name. Unreadable images are reported and left out.
    ///
    /// # Errors
    /// Data that cannot be used or of classes that the network does not distinguish, and those of [`Self::classify`].
    pub fn evaluate(&mut self, data: impl AsRef<Path>) -> Result<Accuracy> {
        self.evaluate_until(data, &Interrupt::new())
    }

    /// [`Self::evaluate`] that ends once `stop` is raised.
    ///
    /// # Errors
    /// Those of [`Self::evaluate`], and [`Error::Interrupted`].
    pub fn evaluate_until(&mut self, data: impl AsRef<Path>, stop: &Interrupt) -> Result<Accuracy> {
        let path = data.as_ref();
        needs_head(&self.network.weights, "train a head by `gpu-resnet finetune`")?;
        let names = self.is_named.then_some(&*self.labels);
        let images = labelled_images(&self.runtime, open_splits(path)?, self.labels.len(), names)?;
        let batch = self.predictor.batch().min(images.len()).max(1);
        let predictors = std::slice::from_mut(&mut self.predictor);
        let (tally, _) = evaluate(&self.runtime, &self.network, predictors, &images, batch, stop)?;
        match tally.count {
            0 => Err(Error::file(path, "none of its images could be read; nothing was measured")),
            _ => Ok(tally.accuracy(&self.labels)),
        }
    }

    /// The names of the classes, in the order of the logits; their numbers if the network has no names.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What the network is made of.
    pub fn architecture(&self) -> &Architecture {
        &self.network.architecture
    }

    /// The adapter that it is on.
    pub fn adapter(&self) -> &AdapterReport {
        self.predictor.network().gpu().report()
    }

    /// The network's weights and how its images are prepared.
    pub fn network(&self) -> &LoadedNetwork {
        &self.network
    }

    async fn rows_of_logits(&mut self, images: &[Rgb8], name: impl Fn(usize) -> String) -> Result<Vec<Vec<f32>>> {
        needs_head(&self.network.weights, "its features can be computed, and a head trained on them")?;
        let columns = self.network.architecture.classes;
        let logits = self.run(images).await?.logits;
        self.checked(&logits, columns, "logits", name)
    }

    /// One row of `columns` finite values per image.
    fn checked(
        &self,
        values: &[f32],
        columns: usize,
        what: &str,
        name: impl Fn(usize) -> String,
    ) -> Result<Vec<Vec<f32>>> {
        let finite = Finite::new(&self.runtime, &self.network);
        let row = |(i, row): (usize, &[f32])| finite.check(&name(i), what, row).map(|()| row.to_vec());
        values.chunks(columns).enumerate().map(row).collect()
    }

    async fn run(&mut self, images: &[Rgb8]) -> Result<Output> {
        let mut output = Output::default();
        // One batch at a time, so that memory for prepared images stays bounded.
        for part in images.chunks(self.predictor.batch()) {
            let mut pixels = Vec::new();
            for image in part {
                pixels.extend_from_slice(&self.network.preprocess.apply(image)?.pixels);
            }
            output.append(self.predictor.run_pixels(&pixels).await?);
            warn(&self.runtime, &mut self.predictor);
        }
        Ok(output)
    }
}

impl ClassifierBuilder {
    /// Which network, all at once.
    pub fn source(mut self, source: NetworkSource) -> Self {
        self.source = source;
        self
    }

    source_and_runtime_setters! {
        "How activations and weights are stored; sums are f32.",
        "Receives messages: what was assumed, and that a batch became smaller."
    }

    /// Class names instead of those in the weights file, one per class.
    pub fn labels(mut self, labels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.labels = Some(labels.into_iter().map(Into::into).collect());
        self
    }

    /// Images per batch [default: 32].
    pub fn batch_size(mut self, images: u32) -> Self {
        self.batch = images;
        self
    }

    /// Reads and checks the weights, opens the adapter and uploads them.
    ///
    /// # Errors
    /// Missing or incomplete weights, a wrong number of labels, and an adapter that cannot be used.
    pub fn open(self) -> Result<Classifier> {
        block_on(self.open_async())
    }

    /// [`Self::open`] where nothing may block.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub async fn open_async(self) -> Result<Classifier> {
        let Self { source, batch, labels, runtime } = self;
        if batch == 0 {
            return Err(Error::Usage("a batch of no images can't be run; give a batch size of 1 or more".into()));
        }
        let uses = Use { images: true, classes: labels.is_none() };
        let network = source.load(&runtime, uses)?;
        let named = match labels {
            Some(labels) => Some(
                crate::weights::labels_of(labels, network.architecture.classes)
                    .map_err(|problem| Error::Usage(format!("the list of labels {problem}")))?,
            ),
            None => network.labels.clone(),
        };
        let is_named = named.is_some();
        let labels = named.unwrap_or_else(|| numbered_labels(network.classes())).into();
        let Preprocess { mean, std, crop, .. } = network.preprocess;
        let kind = InputKind::Pixels { mean, std };
        let predictor = network.predictor_for_async(&runtime, kind, [crop as usize; 2], batch).await?;
        Ok(Classifier { network, labels, is_named, predictor, tensors: None, runtime })
    }
}
