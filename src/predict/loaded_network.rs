//! A network from `--weights` with its labels and preprocessing, checked and ready for adapters.

use std::ffi::OsString;
use std::sync::Arc;

use web_time::Instant;

use super::probabilities::classes_of;
use crate::data::Preprocess;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, block_on};
use crate::model::{Architecture, InputKind, Network, Predictor};
use crate::runtime::Runtime;
use crate::tune::first::Purpose;
use crate::weights::{self, Description, Overrides, Weights};

/// Which network to load, and what its file does not say about it.
#[derive(Debug, Clone, Default)]
pub struct NetworkSource {
    /// What `--weights` takes: a .safetensors or .pth file, the folder of a run or of a hub, or a name of `weights list`. `None` is
    /// the built-in network.
    pub weights: Option<OsString>,
    /// Scale and crop images to this side instead of the size that the weights were made for.
    pub image_size: Option<u32>,
    /// What its file does not say.
    pub overrides: Overrides,
}

/// What a network is used for, and so which assumptions matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Images are prepared.
    pub images: bool,
    /// Classes are named.
    pub classes: bool,
}

impl Use {
    /// Images are classified.
    pub const PREDICTIONS: Use = Use { images: true, classes: true };
    /// Features of images are computed.
    pub const BACKBONE: Use = Use { images: true, classes: false };
    /// Tensors go in and come out.
    pub const TENSORS: Use = Use { images: false, classes: false };
}

/// A checked weights file with everything that is needed to run its network.
pub struct LoadedNetwork {
    /// The file.
    pub weights: Weights,
    /// The network in it.
    pub architecture: Architecture,
    /// How its images are prepared.
    pub preprocess: Preprocess,
    /// One name per class, if there are names.
    pub labels: Option<Vec<String>>,
}

impl NetworkSource {
    /// Reads and checks the weights, without a GPU, and reports what was assumed for `purpose`.
    ///
    /// # Errors
    /// Missing or incomplete weights, or whose description cannot be understood.
    pub fn load(&self, runtime: &Runtime, purpose: Use) -> Result<LoadedNetwork> {
        let (weights, mut description) = self.open(runtime)?;
        if let Some(size) = self.image_size {
            description = description.with_image_size(size)?;
        }
        remark(runtime, &weights, &description, purpose);
        let Description { architecture, preprocess, labels, .. } = description;
        Ok(LoadedNetwork { weights, architecture, preprocess, labels })
    }

    /// [`Self::load`] without a change of the image size: the weights and their complete description.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn describe(&self, runtime: &Runtime, purpose: Use) -> Result<(Weights, Description)> {
        let (weights, description) = self.open(runtime)?;
        remark(runtime, &weights, &description, purpose);
        Ok((weights, description))
    }

    fn open(&self, runtime: &Runtime) -> Result<(Weights, Description)> {
        self.overrides.check()?;
        let weights = runtime.weights(self.weights.as_deref(), self.overrides.weights_key.as_deref())?;
        let description = weights::describe(&weights, &self.overrides)?;
        weights::check(&weights, &description.architecture)?;
        Ok((weights, description))
    }
}

/// Reports what was assumed, and which tensors of the file are ignored.
fn remark(runtime: &Runtime, weights: &Weights, description: &Description, purpose: Use) {
    if !weights.left_out().is_empty() {
        let (prefix, count) = (weights.prefix().trim_end_matches('.'), weights.left_out().len());
        let tensors = crate::data::count(count, "tensor");
        runtime.note(format!(
            "using the network under `{}`; {tensors} beside it are ignored (`gpu-resnet weights inspect` names them)",
            prefix.escape_default()
        ));
    }
    if !weights.doubtful().is_empty() {
        let names = weights.doubtful().iter().take(8).map(|name| name.escape_default().to_string());
        runtime.note(format!(
            "{} holds {}, which look like a part of the network and are not used: predictions may be wrong without them \
             (--mean and --std say how images are normalised)",
            weights.label().display(),
            names.collect::<Vec<_>>().join(", ")
        ));
    }
    if let Some(line) = description.assumed(purpose.images, purpose.classes) {
        runtime.note(line);
    }
}

/// Refuses a network without a classifier; `instead` says what to do.
///
/// # Errors
/// [`Error::File`] that says why it has none.
pub fn needs_head(weights: &Weights, instead: &str) -> Result<()> {
    match weights.head().missing() {
        None => Ok(()),
        Some(why) => Err(Error::file(weights.label(), format!("{why}, so it makes no predictions; {instead}"))),
    }
}

impl LoadedNetwork {
    /// The number of classes; see [`classes_of`].
    pub fn classes(&self) -> usize {
        classes_of(self.architecture.classes)
    }

    /// The network on each adapter of `runtime`, ready for images in batches of at most `batch`.
    ///
    /// # Errors
    /// An adapter that cannot be used, or that lacks the memory.
    pub fn predictors(&self, runtime: &Runtime, batch: u32) -> Result<Vec<Predictor>> {
        let Preprocess { mean, std, crop, .. } = self.preprocess;
        let kind = InputKind::Pixels { mean, std };
        let make = |gpu| block_on(self.on(runtime, gpu, kind, [crop as usize; 2], batch));
        runtime.gpus_for(&self.purpose(runtime, crop as usize))?.into_iter().map(make).collect()
    }

    /// The network on the one adapter of `runtime`, ready for another kind or size of input.
    ///
    /// # Errors
    /// An adapter that cannot be used, or that lacks the memory.
    pub fn predictor_for(&self, runtime: &Runtime, kind: InputKind, size: [usize; 2], batch: u32) -> Result<Predictor> {
        block_on(self.predictor_for_async(runtime, kind, size, batch))
    }

    /// [`Self::predictor_for`] where nothing may block.
    ///
    /// # Errors
    /// Those of [`Self::predictor_for`].
    pub async fn predictor_for_async(
        &self,
        runtime: &Runtime,
        kind: InputKind,
        size: [usize; 2],
        batch: u32,
    ) -> Result<Predictor> {
        let gpu = runtime.gpu_for_async(&self.purpose(runtime, size[0])).await?;
        self.on(runtime, gpu, kind, size, batch).await
    }

    /// Inference of images of that size.
    fn purpose(&self, runtime: &Runtime, image_size: usize) -> Purpose<'_> {
        Purpose { architecture: &self.architecture, image_size, train: false, precision: runtime.precision }
    }

    async fn on(
        &self,
        runtime: &Runtime,
        gpu: Arc<Gpu>,
        kind: InputKind,
        size: [usize; 2],
        batch: u32,
    ) -> Result<Predictor> {
        let started = Instant::now();
        let network = Network::with_precision(&gpu, &self.architecture, &self.weights, runtime.precision).await?;
        let network = Arc::new(network);
        let seconds = started.elapsed().as_secs_f64();
        runtime.detail(format!("weights folded, packed and uploaded in {seconds:.2} s"));
        let mut predictor = Predictor::new(network, kind, size, batch as usize)?;
        warn(runtime, &mut predictor);
        Ok(predictor)
    }
}

/// Passes on the predictor's messages.
pub fn warn(runtime: &Runtime, predictor: &mut Predictor) {
    if let Some(warning) = predictor.take_warning() {
        runtime.note(warning);
    }
}
