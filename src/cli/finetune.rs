//! `gpu-resnet finetune`: a pretrained network for classes of one's own. A new head on a frozen backbone, whose features are
//! computed once and the epochs run on them; or, where more is to change, the network or its upper part.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::Context;
use super::console::interrupt;
use super::features::{Extractor, Features};
use super::model::{Loaded, ModelArgs, Use};
use super::resume::{Resumed, Setting, other_command};
use super::run_report::{self, Answers, Ended};
use super::sets::{Sets, ToldData, absolute, open_data};
use super::sitting::Sitting;
use super::training::{NetworkJob, Teller, TrainingArgs, report, save_model, train_network};
use crate::error::{Error, Result};
use crate::model::TensorSource;
use crate::ops::Precision;
use crate::train::{
    BnMode, Curve, Fit, Head, HeadShape, Interrupt, NetworkSettings, Recipe, RunConfig, RunDir, Settings, Unfreeze,
    Unreadable, digest_images, fit, with_fresh_head,
};
use crate::weights::Given;

/// Train a pretrained network for your own classes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gpu-resnet finetune photos/ --output runs/mine\n  gpu-resnet finetune photos/ --unfreeze \
                        layer4 --augment imagenet --epochs 10\n  gpu-resnet finetune cifar10 --recipe notes --bn \
                        train\n  gpu-resnet finetune --resume runs/mine"
)]
pub struct FinetuneArgs {
    /// Labelled images: a folder of class folders, CIFAR or MNIST files, a CSV, safetensors, or a name of `data fetch`
    #[arg(required_unless_present = "resume")]
    data: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// `auto` chooses learning rate and epochs, on a frozen backbone by a sweep with early stopping; `notes` is Adam, 1e-4, 5
    /// epochs
    #[arg(long, value_enum, default_value_t = Recipe::Auto)]
    recipe: Recipe,
    /// Optimiser
    #[arg(long, value_name = "NAME", default_value = "adam", value_parser = ["adam", "adamw", "sgd"])]
    optimizer: String,
    /// The lowest part that is trained, with everything above it: head, layer4, layer3, … or all
    #[arg(long, value_name = "PART", default_value = "head")]
    unfreeze: Unfreeze,
    /// What batch normalisation goes by while training: the running statistics, or the batch's own, which move them
    #[arg(long, value_enum, default_value_t = BnMode::Eval)]
    bn: BnMode,
    /// Learning rate of everything but the head [default: a tenth of the head's]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    backbone_lr: Option<f64>,
    #[command(flatten)]
    training: TrainingArgs,
    /// The run's folder [default: runs/finetune, or the next free runs/finetune-N]
    #[arg(long, short, value_name = "RUN")]
    output: Option<PathBuf>,
    /// Go on with a run that was stopped, with its own settings; --epochs may change how far, other options may only repeat them
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
}

/// What the command itself was told, as config.toml keeps it: a resumed run must see the same data and network.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Told {
    #[serde(flatten)]
    data: ToldData,
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<String>,
    weights_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_size: Option<u32>,
    unfreeze: String,
    /// How feature maps are stored, where it is not as f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    precision: Option<String>,
    /// What was said of the network that its file does not tell.
    #[serde(default, skip_serializing_if = "is_nothing")]
    network: Given,
}

fn is_nothing(given: &Given) -> bool {
    *given == Given::default()
}

/// A run that is about to start or to go on.
struct Job {
    config: RunConfig,
    told: Told,
    /// The folder, if the run is there already.
    resumed: Option<RunDir>,
    model: Loaded,
}

pub fn run(context: &Context, args: &FinetuneArgs) -> Result<()> {
    let stop = interrupt();
    let mut global = context.global.clone();
    let mut job = match &args.resume {
        None => {
            let model = args.model.load(context, Use::BACKBONE)?;
            let told = tell(context, args, &model)?;
            Job { config: config(context, args, &told)?, told, resumed: None, model }
        }
        Some(path) => {
            let (run, mut config) = RunDir::open(path)?;
            let told = Told::deserialize_from(&config, path)?;
            check_repeated(context, args, &Resumed { given: context.given, path, config: &config }, &told)?;
            config.training.epochs = args.training.epochs.or(config.training.epochs);
            global.precision = told.precision()?;
            let model = reopen_model(context, args, &told)?;
            if let Some(size) = args.model.image_size.filter(|&size| size != model.preprocess.crop) {
                let run = Resumed { given: context.given, path, config: &config };
                let found = model.preprocess.crop.to_string();
                return Err(run.contradicts("image_size", Some(found), Some(size.to_string())));
            }
            Job { config, told, resumed: Some(run), model }
        }
    };
    let context = &Context { global: &global, ..*context };
    let sets = open_data(context, &job.told.data, job.config.training.seed)?;
    match &job.resumed {
        Some(run) => run.check_classes(&mut job.config, sets.train.classes())?,
        None => job.config.classes = sets.train.classes().to_vec(),
    }
    match job.config.network {
        Some(_) => train_upper_part(context, args, job, sets, &stop),
        None => train_head(context, args, job, sets, &stop),
    }
}

/// More than a head on features that stay the same.
fn train_upper_part(context: &Context, args: &FinetuneArgs, job: Job, sets: Sets, stop: &Interrupt) -> Result<()> {
    let Job { config, model, resumed, .. } = job;
    let architecture = model.architecture.clone().with_classes(sets.train.classes().len());
    let weights = with_fresh_head(&architecture, &model.weights, config.training.seed)?;
    let job = NetworkJob {
        command: "finetune",
        architecture: &architecture,
        weights: &weights,
        preprocess: &model.preprocess,
        sets,
        resumed,
        output: args.output.as_deref(),
        json: args.training.json,
        tensorboard: args.training.tensorboard,
        interrupt: stop,
    };
    train_network(context, job, &config)
}

/// A new head on features that are computed once.
fn train_head(context: &Context, args: &FinetuneArgs, mut job: Job, sets: Sets, stop: &Interrupt) -> Result<()> {
    let batch = u32::try_from(job.config.training.batch_size).unwrap_or(args.model.batch_size);
    if let Some(run) = &job.resumed {
        context.tuning.go_on(context, run)?;
    }
    let mut extractor = Extractor::new(context, &job.model, batch, stop)?;
    Sitting::check_stop(context, "finetune", job.resumed.as_ref(), stop)?;
    let sitting = Sitting::begin(context, "finetune", job.resumed.take(), args.output.as_deref(), &job.config)?;
    let head = HeadSitting { context, args, model: &job.model, sitting: &sitting, stop };
    let result = head.train(&mut extractor, &mut job.config, sets);
    sitting.end(context, result)
}

/// A sitting at a head, its folder claimed.
struct HeadSitting<'a> {
    context: &'a Context<'a>,
    args: &'a FinetuneArgs,
    model: &'a Loaded,
    sitting: &'a Sitting,
    stop: &'a Interrupt,
}

impl HeadSitting<'_> {
    fn train(&self, extractor: &mut Extractor, config: &mut RunConfig, sets: Sets) -> Result<()> {
        let Self { context, args, model, sitting, stop } = *self;
        let run = sitting.run();
        let (sets, train, val, failed) = self.features(extractor, sets)?;
        let keys = train.keys.iter().chain(val.iter().flat_map(|val| &val.keys));
        run.keep_images(config, digest_images(keys), sitting.goes_on())?;
        let classes: Vec<String> = sets.train.classes().to_vec();
        let shape = HeadShape { features: model.architecture.features(), classes: classes.len() };
        sitting.start()?;
        let job = Fit {
            gpu: extractor.gpu(),
            shape,
            train: train.examples(),
            val: val.as_ref().filter(|val| !val.labels.is_empty()).map(Features::examples),
            resume: sitting.goes_on(),
            interrupt: stop,
        };
        let mut teller = Teller::new(context, args.training.tensorboard.then(|| run.path()))?;
        let result = fit(&job, config, run, &mut |event| teller.tell(event));
        let outcome = teller.finish(result)?;
        let architecture = model.architecture.clone().with_classes(classes.len());
        let network = WithHead { backbone: model, head: &outcome.head };
        save_model(&run.model_path(), &architecture, &classes, &model.preprocess, &network)?;
        let answers = val.as_ref().map(|val| {
            let mut answers = Answers::new(classes.len());
            for ((row, &label), &i) in val.features.chunks(shape.features).zip(&val.labels).zip(&val.indices) {
                answers.add(i, &outcome.head.logits(row), label as usize);
            }
            answers
        });
        let ended = Ended {
            command: "finetune",
            run,
            config,
            epochs: &outcome.epochs,
            epoch: outcome.epoch,
            stopped_early: outcome.stopped_early,
            sets: &sets,
            network: format!("A new head on the fixed features of {architecture}."),
        };
        run_report::write(context, &ended, answers)?;
        let kept = (outcome.epoch, &outcome.epochs[..], outcome.stopped_early);
        report(context, args.training.json, run, kept, outcome.choice.lr, failed)
    }

    /// The features of the images that can be read, their sets, and how many images can't be.
    fn features(&self, extractor: &mut Extractor, sets: Sets) -> Result<(Sets, Features, Option<Features>, usize)> {
        let goes_on = self.sitting.goes_on();
        let left_out = if goes_on { self.sitting.left_out(self.context)? } else { Unreadable::default() };
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
            None if goes_on => Ok((sets, train, val, left_out.len())),
            _ => {
                self.sitting.run().write_unreadable(&failed)?;
                sets.without(&failed)?;
                Ok((sets, train, val, failed.len()))
            }
        }
    }
}

fn tell(context: &Context, args: &FinetuneArgs, model: &Loaded) -> Result<Told> {
    let weights = args.model.weights.as_ref().map(|weights| match Path::new(weights).exists() {
        true => absolute(weights.into()).into_os_string(),
        false => weights.clone(),
    });
    let weights = weights.map(|path| {
        let problem = "has a path that is not UTF-8, so a run's config.toml can't keep it; rename it";
        path.into_string().map_err(|path| Error::file(path, problem))
    });
    Ok(Told {
        data: ToldData::new(args.data.as_deref(), &args.training)?,
        weights: weights.transpose()?,
        weights_sha256: model.weights.sha256().to_owned(),
        image_size: args.model.image_size,
        unfreeze: args.unfreeze.to_string(),
        precision: (context.precision() != Precision::F32).then(|| context.precision().name().to_owned()),
        network: args.model.network.given(&args.model.images)?,
    })
}

/// Refuses options that are not as the run has them.
fn check_repeated(context: &Context, args: &FinetuneArgs, run: &Resumed, told: &Told) -> Result<()> {
    run.check_run(args.output.as_deref(), context.global.seed)?;
    run.check_data(&told.data, args.data.as_deref(), &args.training)?;
    run.check(&args.training.settings(&args.optimizer, args.model.batch_size))?;
    run.check_network(&args.model.network.given(&args.model.images)?, &told.network)?;
    run.check(&[
        Setting::new("recipe", "training.recipe", args.recipe),
        Setting::new("unfreeze", "command.unfreeze", args.unfreeze.to_string()),
        Setting::new("bn", "network.bn", args.bn).or(BnMode::Eval),
        Setting::new("backbone_lr", "network.backbone_lr", args.backbone_lr),
        Setting::new("precision", "command.precision", context.precision().name()).or(Precision::F32.name()),
    ])
}

impl Told {
    fn precision(&self) -> Result<Precision> {
        let Some(name) = &self.precision else { return Ok(Precision::F32) };
        let known = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        known.ok_or_else(|| Error::Usage(format!("the run's precision is {name}, which is none; mend its config.toml")))
    }

    fn deserialize_from(config: &RunConfig, run: &Path) -> Result<Self> {
        if config.command.contains_key("architecture") {
            return Err(Error::file(run, other_command("train", run)));
        }
        let read: Result<Told, _> = config.command.clone().try_into();
        read.map_err(|e| Error::file(run.join("config.toml"), format!("is not of a finetune run: {e}")))
    }
}

fn config(context: &Context, args: &FinetuneArgs, told: &Told) -> Result<RunConfig> {
    let asked = &args.training;
    let mut training = Settings {
        recipe: args.recipe,
        lr: asked.lr,
        epochs: asked.epochs,
        label_smoothing: asked.label_smoothing,
        balance: asked.balance,
        seed: context.global.seed,
        optimizer: asked.optimizer(&args.optimizer, None)?,
        batch_size: args.model.batch_size as usize,
    };
    let network = network(context, args, &mut training)?;
    training.check().map_err(|e| Error::Usage(e.to_string()))?;
    let command = toml::Table::try_from(told).map_err(|e| Error::Usage(format!("the options can't be kept: {e}")))?;
    Ok(RunConfig { command, training, network, ..RunConfig::default() })
}

/// Epochs of the recipe `auto` where more than a head is trained.
const EPOCHS: u64 = 10;

/// What is asked of network training, if a head on fixed features is not all that is trained; completes `training`.
fn network(context: &Context, args: &FinetuneArgs, training: &mut Settings) -> Result<Option<NetworkSettings>> {
    let asked = &args.training;
    let notes = args.recipe == Recipe::Notes;
    let curve = if notes { Curve::Constant } else { Curve::Cosine };
    let mut settings = args.training.network(args.unfreeze, args.bn, args.backbone_lr, curve, context.precision());
    settings.check()?;
    let fixed_features = args.unfreeze == Unfreeze::Head && args.bn == BnMode::Eval && asked.augment.is_none();
    if fixed_features {
        let beyond = [
            ("--lr-schedule", asked.lr_schedule.is_some()),
            ("--warmup-epochs", asked.warmup_epochs > 0.0),
            ("--clip-grad-norm", asked.clip_grad_norm.is_some()),
            ("--ema", asked.ema.is_some()),
            ("--patience", asked.patience.is_some()),
            ("--log-gradients", asked.log_gradients),
            ("--backbone-lr", args.backbone_lr.is_some()),
            ("--no-bias-decay", asked.no_bias_decay),
        ];
        if let Some((option, _)) = beyond.iter().find(|(_, given)| *given) {
            let problem =
                "is for training more than a head on fixed features; add --unfreeze, --bn train or --augment, or";
            return Err(Error::Usage(format!("{option} {problem} leave it out")));
        }
        return Ok(None);
    }
    let (lr, epochs) = match (notes, args.optimizer.as_str()) {
        (true, _) => (Recipe::NOTES_LR, Recipe::NOTES_EPOCHS),
        (false, "sgd") => (1e-2, EPOCHS),
        (false, _) => (1e-3, EPOCHS),
    };
    let lr = *training.lr.get_or_insert(lr);
    training.epochs.get_or_insert(epochs);
    settings.backbone_lr.get_or_insert(if notes { lr } else { lr / 10.0 });
    Ok(Some(settings))
}

/// The network that a run began with; weights that are named again may lie elsewhere, if they are the same.
fn reopen_model(context: &Context, args: &FinetuneArgs, told: &Told) -> Result<Loaded> {
    let mut options = args.model.clone();
    options.weights = args.model.weights.clone().or_else(|| told.weights.clone().map(Into::into));
    options.image_size = told.image_size;
    let model = options.load_given(context, &told.network, Use::BACKBONE)?;
    if model.weights.sha256() != told.weights_sha256 {
        let problem = "is not the file that the run began with; give the run its own weights back, or start a new run";
        return Err(Error::file(model.weights.label(), problem));
    }
    Ok(model)
}

/// A network with another head.
struct WithHead<'a> {
    backbone: &'a Loaded,
    head: &'a Head,
}

impl TensorSource for WithHead<'_> {
    fn tensor(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        match name {
            "fc.weight" => Ok(Cow::Borrowed(&self.head.weight)),
            "fc.bias" => Ok(Cow::Borrowed(&self.head.bias)),
            name => self.backbone.weights.tensor_f32(name),
        }
    }
}
