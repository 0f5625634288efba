//! A pretrained network for classes of the user's own, from a folder of images to a run's folder.

use std::path::{Path, PathBuf};

use super::finetune_command::FineTuneCommand;
use super::finetune_run::{FineTuneRun, StoppedFineTune};
use super::sets::{DataChoice, absolute};
use super::summary::RunSummary;
use crate::data::Augment;
use crate::error::{Error, Result};
use crate::ops::Precision;
use crate::predict::{LoadedNetwork, NetworkSource, Use, source_and_runtime_setters};
use crate::runtime::Runtime;
use crate::train::{BnMode, Curve, Interrupt, NetworkSettings, Optimizer, Recipe, RunConfig, Settings, Unfreeze};

/// Trains a pretrained network for classes of the user's own: a new head on a frozen backbone, whose features are computed once,
/// or, with [`Self::unfreeze`], an upper part of the network or all of it. This is what `gpu-resnet finetune` does, with the same
/// defaults and the same run folder.
///
/// ```
/// use gpu_resnet::{Classifier, FineTune};
///
/// # fn main() -> gpu_resnet::Result<()> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let (photos, run) = (folder.path().join("photos"), folder.path().join("run"));
/// # for (class, grey) in [("dark", 0), ("light", 200)] {
/// #     std::fs::create_dir_all(photos.join(class)).expect("a folder");
/// #     for i in 0..4 {
/// #         let image = gpu_resnet::data::Rgb8 { width: 8, height: 8, pixels: vec![grey + 9 * i; 8 * 8 * 3] };
/// #         gpu_resnet::data::write_png(&image, &photos.join(format!("{class}/{i}.png")))?;
/// #     }
/// # }
/// let summary = FineTune::new(&photos).weights("resnet20-digits").validation_share(0.25).epochs(5).run(&run)?;
/// let mut classifier = Classifier::builder().weights(&summary.model).open()?;
/// assert_eq!(classifier.labels(), ["dark", "light"]);
/// assert_eq!(classifier.classify_file(photos.join("light/0.png"))?.best().label, "light");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FineTune {
    /// Labelled images: anything that DATA of `gpu-resnet finetune` may be.
    pub data: PathBuf,
    /// Parquet files of features to train on, in place of the images of `data`; see [`Self::of_features`].
    pub features: Vec<PathBuf>,
    /// Labelled images to validate on, instead of a part of `data`.
    pub val: Option<PathBuf>,
    /// Share of each class to validate on, if `data` has no held-out part; 0 for none.
    pub val_split: f64,
    /// The classes whose images are kept, in this order; `None` for all.
    pub classes: Option<Vec<String>>,
    /// The network to start from.
    pub source: NetworkSource,
    /// How it is trained.
    pub training: Settings,
    /// How it is trained if more than a head on fixed features is trained.
    pub network: NetworkSettings,
    /// The learning-rate schedule; if `None`, the recipe chooses. Takes precedence over the curve of `network`.
    pub curve: Option<Curve>,
    /// Whether each epoch's scalars are also written for TensorBoard.
    pub tensorboard: bool,
    /// What it runs on.
    pub runtime: Runtime,
    /// Stops the run once it is raised; [`Self::resume`] then continues it.
    pub interrupt: Interrupt,
}

/// Epochs of the recipe `auto` if more than a head is trained.
const EPOCHS: u64 = 10;

impl FineTune {
    /// Fine-tunes the built-in network on the labelled images `data`: a folder of class folders, CIFAR or MNIST files, a CSV,
    /// safetensors, or a name of `data fetch`. A tenth of each class is held out for validation, unless `data` has a part for it.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            features: Vec::new(),
            val: None,
            val_split: 0.1,
            classes: None,
            source: NetworkSource::default(),
            training: Settings::default(),
            network: NetworkSettings { unfreeze: Unfreeze::Head, bn: BnMode::Eval, ..NetworkSettings::default() },
            curve: None,
            tensorboard: false,
            runtime: Runtime::default(),
            interrupt: Interrupt::new(),
        }
    }

    /// A new head on features that were computed before: Parquet files (or folders of them) with the columns `id`, `label` and
    /// `features`, as `gpu-resnet infer --save-features` writes them. No image is read. The head is that of a run on the
    /// images, to the bit, if they were a folder of class folders and the same adapter computed the features.
    pub fn of_features(files: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let features: Vec<PathBuf> = files.into_iter().map(Into::into).collect();
        Self { features: features.clone(), ..Self::new(features.into_iter().next().unwrap_or_default()) }
    }

    /// Opens the run in `folder`, which was stopped, to continue it.
    ///
    /// # Errors
    /// A folder without such a run, or one that another process is using.
    pub fn resume(folder: impl AsRef<Path>) -> Result<StoppedFineTune> {
        StoppedFineTune::open(folder.as_ref())
    }

    source_and_runtime_setters! {
        "How activations and weights of the frozen backbone are stored.",
        "Who hears how it goes."
    }

    /// Labelled images to validate on, instead of a part of the data.
    pub fn validation(mut self, data: impl Into<PathBuf>) -> Self {
        self.val = Some(data.into());
        self
    }

    /// Share of each class to validate on, from 0 to below 1 [default: 0.1].
    pub fn validation_share(mut self, share: f64) -> Self {
        self.val_split = share;
        self
    }

    /// Keeps only images of these classes, in this order.
    pub fn classes(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.classes = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The recipe for settings that are not given [default: [`Recipe::Auto`]].
    pub fn recipe(mut self, recipe: Recipe) -> Self {
        self.training.recipe = recipe;
        self
    }

    /// Number of epochs, all of which are run.
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.training.epochs = Some(epochs);
        self
    }

    /// Learning rate [default: the best of a sweep].
    pub fn lr(mut self, lr: f64) -> Self {
        self.training.lr = Some(lr);
        self
    }

    /// Images per step [default: 32].
    pub fn batch_size(mut self, images: usize) -> Self {
        self.training.batch_size = images;
        self
    }

    /// Optimiser [default: Adam].
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.training.optimizer = optimizer;
        self
    }

    /// Seed of everything random: the new head, the split, the order of images [default: 0].
    pub fn seed(mut self, seed: u64) -> Self {
        self.training.seed = seed;
        self
    }

    /// The lowest part that is trained [default: [`Unfreeze::Head`]].
    pub fn unfreeze(mut self, part: Unfreeze) -> Self {
        self.network.unfreeze = part;
        self
    }

    /// The statistics of batch normalisation while training [default: [`BnMode::Eval`]].
    pub fn bn(mut self, mode: BnMode) -> Self {
        self.network.bn = mode;
        self
    }

    /// Random changes to training images.
    pub fn augment(mut self, augment: Augment) -> Self {
        self.network.augment = augment;
        self
    }

    /// Stops the run once it is raised, between two chunks of steps.
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// Trains, and writes the run into `folder`, which must not hold another run: model.safetensors and the files beside it.
    ///
    /// # Errors
    /// Data, weights, settings, a folder or an adapter that can't be used, and [`Error::Interrupted`].
    pub fn run(&self, folder: impl AsRef<Path>) -> Result<RunSummary> {
        self.begin()?.run(Some(folder.as_ref()))
    }

    /// Checks weights and settings, before anything is written.
    ///
    /// # Errors
    /// Weights or settings that can't be used.
    pub fn begin(&self) -> Result<FineTuneRun> {
        let images = self.features.is_empty();
        let network = self.source.load(&self.runtime, Use { images, classes: false })?;
        let command = self.command(&network)?;
        let mut training = self.training.clone();
        let upper_part = self.upper_part(&mut training)?;
        if !images && upper_part.is_some() {
            return Err(Error::Usage(
                "--features trains a head alone, since its features stay as they are; leave out --unfreeze, --bn train and \
                 --augment, or name the images"
                    .into(),
            ));
        }
        training.check().map_err(|e| Error::Usage(e.to_string()))?;
        let kept = |e| Error::Usage(format!("the options can't be kept: {e}"));
        let table = toml::Table::try_from(&command).map_err(kept)?;
        let config = RunConfig { command: table, training, network: upper_part, ..RunConfig::default() };
        Ok(FineTuneRun {
            config,
            command,
            resumed: None,
            network,
            tensorboard: self.tensorboard,
            runtime: self.runtime.clone(),
            interrupt: self.interrupt.clone(),
        })
    }

    fn command(&self, network: &LoadedNetwork) -> Result<FineTuneCommand> {
        let weights = self.source.weights.as_ref().map(|weights| match Path::new(weights).exists() {
            true => absolute(weights.into()).into_os_string(),
            false => weights.clone(),
        });
        let weights = weights.map(|path| {
            let problem = "has a path that is not UTF-8, so a run's config.toml can't keep it; rename it";
            path.into_string().map_err(|path| Error::file(path, problem))
        });
        let precision = self.runtime.precision;
        let data = DataChoice::new(&self.data, self.val.as_deref(), self.val_split, self.classes.clone())?;
        Ok(FineTuneCommand {
            data: data.with_features(&self.features)?,
            weights: weights.transpose()?,
            weights_sha256: network.weights.sha256().to_owned(),
            image_size: self.source.image_size,
            unfreeze: self.network.unfreeze.to_string(),
            precision: (precision != Precision::F32).then(|| precision.name().to_owned()),
            network: self.source.overrides.clone(),
        })
    }

    /// The settings of network training, if more than a head on fixed features is trained. Completes `training`.
    fn upper_part(&self, training: &mut Settings) -> Result<Option<NetworkSettings>> {
        let notes = training.recipe == Recipe::Notes;
        let mut settings = self.network.clone();
        settings.schedule.curve = self.curve.unwrap_or(if notes { Curve::Constant } else { Curve::Cosine });
        settings.precision = self.runtime.precision;
        settings.check()?;
        if settings.unfreeze == Unfreeze::Head && settings.bn == BnMode::Eval && settings.augment.is_none() {
            return self.refuse_beyond_a_head().map(|()| None);
        }
        let (lr, epochs) = match (notes, training.optimizer.name()) {
            (true, _) => (Recipe::NOTES_LR, Recipe::NOTES_EPOCHS),
            (false, "sgd") => (1e-2, EPOCHS),
            (false, _) => (1e-3, EPOCHS),
        };
        let lr = *training.lr.get_or_insert(lr);
        training.epochs.get_or_insert(epochs);
        settings.backbone_lr.get_or_insert(if notes { lr } else { lr / 10.0 });
        Ok(Some(settings))
    }

    /// Refuses options that have no meaning for a head on fixed features.
    fn refuse_beyond_a_head(&self) -> Result<()> {
        let network = &self.network;
        let beyond = [
            ("--lr-schedule", self.curve.is_some()),
            ("--warmup-epochs", network.schedule.warmup_epochs > 0.0),
            ("--clip-grad-norm", network.clip_grad_norm.is_some()),
            ("--ema", network.ema.is_some()),
            ("--patience", network.patience.is_some()),
            ("--log-gradients", network.log_gradients),
            ("--backbone-lr", network.backbone_lr.is_some()),
            ("--no-bias-decay", !network.bias_decay),
        ];
        match beyond.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => Err(Error::Usage(format!(
                "{option} is for training more than a head on fixed features; add --unfreeze, --bn train or --augment, or \
                 leave it out"
            ))),
        }
    }
}
