//! What `infer`, `evaluate` and `finetune` share: a network from `--weights` with its labels and preprocessing.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::Context;
use super::network::{ImageArgs, NetworkArgs};
use super::probabilities::classes_of;
use crate::data::Preprocess;
use crate::error::{Error, Result};
use crate::files;
use crate::gpu::Gpu;
use crate::model::{Architecture, InputKind, Network, Predictor};
use crate::tune::first::Purpose;
pub use crate::weights::default_preprocess;
use crate::weights::{self, Description, Given, Weights};

/// Options that choose a network and how it is run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ModelArgs {
    /// A .safetensors or .pth file, a run's or a hub's folder, or a name of `weights list` [default: resnet50-thin, built in]
    #[arg(long, value_name = "W")]
    pub weights: Option<OsString>,
    /// Images that are run at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch_size: u32,
    /// Scale and crop images to N x N pixels instead of the size that the weights were made for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=4096),
        conflicts_with_all = ["resize", "crop"])]
    pub image_size: Option<u32>,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub images: ImageArgs,
}

/// What a command does with a network, and so which assumptions matter to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// It prepares images.
    pub images: bool,
    /// It names classes.
    pub classes: bool,
}

impl Use {
    pub const PREDICTIONS: Use = Use { images: true, classes: true };
    pub const BACKBONE: Use = Use { images: true, classes: false };
    pub const TENSORS: Use = Use { images: false, classes: false };
}

/// A checked weights file.
pub struct Loaded {
    pub weights: Weights,
    pub architecture: Architecture,
    pub preprocess: Preprocess,
    pub labels: Option<Vec<String>>,
}

impl ModelArgs {
    /// Reads and checks the weights; touches no GPU.
    pub fn load(&self, context: &Context, purpose: Use) -> Result<Loaded> {
        self.load_given(context, &self.network.given(&self.images)?, purpose)
    }

    /// The same with what a run was given instead of the options.
    pub fn load_given(&self, context: &Context, given: &Given, purpose: Use) -> Result<Loaded> {
        let (weights, mut description) = open_described(context, self.weights.as_deref(), given)?;
        if let Some(size) = self.image_size {
            description = description.with_image_size(size)?;
        }
        remark(context, &weights, &description, purpose);
        let Description { architecture, preprocess, labels, .. } = description;
        Ok(Loaded { weights, architecture, preprocess, labels })
    }
}

/// The weights that `argument` names, whole and checked, and their description.
fn open_described(context: &Context, argument: Option<&OsStr>, given: &Given) -> Result<(Weights, Description)> {
    let weights = context.weights(argument, given.weights_key.as_deref())?;
    let description = weights::describe(&weights, given)?;
    weights::check(&weights, &description.architecture)?;
    Ok((weights, description))
}

/// [`open_described`] for a command that has no options about images.
pub fn open_weights(
    context: &Context,
    argument: Option<&OsStr>,
    given: &Given,
    purpose: Use,
) -> Result<(Weights, Description)> {
    let (weights, description) = open_described(context, argument, given)?;
    remark(context, &weights, &description, purpose);
    Ok((weights, description))
}

/// Says what was assumed, and what of the file was left alone.
fn remark(context: &Context, weights: &Weights, description: &Description, purpose: Use) {
    if !weights.left_out().is_empty() {
        let (prefix, count) = (weights.prefix().trim_end_matches('.'), weights.left_out().len());
        let tensors = crate::data::count(count, "tensor");
        context.console.note(format!(
            "took the network under `{}`, and left {tensors} beside it alone (`gpu-resnet weights inspect` names them)",
            prefix.escape_default()
        ));
    }
    if !weights.doubtful().is_empty() {
        let names = weights.doubtful().iter().take(8).map(|name| name.escape_default().to_string());
        context.console.note(format!(
            "{} holds {}, which look like a part of the network and are not used: predictions may be wrong without them \
             (--mean and --std say how images are normalised)",
            weights.label().display(),
            names.collect::<Vec<_>>().join(", ")
        ));
    }
    if let Some(line) = description.assumed(purpose.images, purpose.classes) {
        context.console.note(line);
    }
}

/// Refuses a network without a classifier; `instead` says what to do.
pub fn needs_head(weights: &Weights, instead: &str) -> Result<()> {
    match weights.head().missing() {
        None => Ok(()),
        Some(why) => Err(Error::file(weights.label(), format!("{why}, so it makes no predictions; {instead}"))),
    }
}

impl Loaded {
    /// Classes that the network tells apart; see [`classes_of`].
    pub fn classes(&self) -> usize {
        classes_of(self.architecture.classes)
    }

    /// The network on each GPU that the options name, ready for images.
    pub fn predictors(&self, context: &Context, batch: u32) -> Result<Vec<Predictor>> {
        let Preprocess { mean, std, crop, .. } = self.preprocess;
        let make = |gpu| self.on(context, gpu, InputKind::Pixels { mean, std }, [crop as usize; 2], batch);
        context.gpus_for(&self.purpose(context, crop as usize))?.into_iter().map(make).collect()
    }

    /// The network on the one GPU that the options name, ready for another kind or size of input.
    pub fn predictor_for(&self, context: &Context, kind: InputKind, size: [usize; 2], batch: u32) -> Result<Predictor> {
        let gpu = context.gpu_for(&self.purpose(context, size[0]))?;
        self.on(context, gpu, kind, size, batch)
    }

    /// Inference of images of that size.
    fn purpose(&self, context: &Context, image_size: usize) -> Purpose<'_> {
        Purpose { architecture: &self.architecture, image_size, train: false, precision: context.precision() }
    }

    fn on(&self, context: &Context, gpu: Arc<Gpu>, kind: InputKind, size: [usize; 2], batch: u32) -> Result<Predictor> {
        let started = Instant::now();
        let network = Arc::new(Network::with_precision(&gpu, &self.architecture, &self.weights, context.precision())?);
        let seconds = started.elapsed().as_secs_f64();
        context.console.verbose(format!("weights folded, packed and uploaded in {seconds:.2} s"));
        let mut predictor = Predictor::new(network, kind, size, batch as usize)?;
        warn(context, &mut predictor);
        Ok(predictor)
    }
}

/// Passes on what the predictor has to say.
pub fn warn(context: &Context, predictor: &mut Predictor) {
    if let Some(warning) = predictor.take_warning() {
        context.console.note(warning);
    }
}

/// Class names where there are none: their numbers.
pub fn numbered(classes: usize) -> Vec<String> {
    (0..classes).map(|i| i.to_string()).collect()
}

/// The most that is read of a file of class names.
const MAX_LABELS_BYTES: u64 = 16 << 20;

/// Class names from a file, one for each class that a network of so many outputs tells apart.
pub fn read_labels(path: &Path, outputs: usize) -> Result<Vec<String>> {
    weights::labels_of(read_names(path)?, outputs).map_err(|problem| Error::file(path, problem))
}

/// Class names from a file: one a line, or JSON in any form of [`weights::parse_labels`]. None comes twice.
pub fn read_names(path: &Path) -> Result<Vec<String>> {
    let failed = |e: &dyn std::fmt::Display| {
        Error::file(path, format!("could not be read ({e}); give a text file of class names"))
    };
    let text = files::read_text(path, MAX_LABELS_BYTES).map_err(|e| failed(&e))?;
    let text = text.ok_or_else(|| failed(&format!("it has more than {} MiB", MAX_LABELS_BYTES >> 20)))?;
    weights::parse_labels(&text).map_err(|problem| Error::file(path, problem))
}

/// Refuses to overwrite an input by an output.
pub fn distinct(input: &Path, output: &Path) -> Result<()> {
    let same = |a: &Path| a.canonicalize().unwrap_or_else(|_| PathBuf::from(a));
    if same(input) == same(output) {
        return Err(Error::Usage(format!("{} is both input and output; name another output", input.display())));
    }
    Ok(())
}
