//! `gpu-resnet finetune`: a pretrained network for classes of one's own. A new head on a frozen backbone, whose features are
//! computed once and the epochs run on them; or, where more is to change, the network or its upper part.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::Context;
use super::console::interrupt;
use super::features::{Extractor, Features};
use super::model::{Loaded, ModelArgs, Use};
use super::network;
use super::run_report::{self, Answers, Ended};
use super::sets::{Sets, ToldData, absolute, open_data};
use super::training::{NetworkJob, SETTLED, Teller, TrainingArgs, free_output, report, save_model, train_network};
use crate::error::{Error, Result};
use crate::model::TensorSource;
use crate::train::{
    BnMode, Curve, Examples, Fit, Head, HeadShape, Interrupt, NetworkSettings, Recipe, RunConfig, RunDir, Settings,
    Unfreeze, fit, with_fresh_head,
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
    #[arg(long, short, value_name = "RUN", conflicts_with = "resume")]
    output: Option<PathBuf>,
    /// Go on with a run that was stopped, with its own settings; --epochs may change how far
    #[arg(long, value_name = "RUN", conflicts_with_all = SETTLED,
        conflicts_with_all = ["weights", "recipe", "unfreeze", "bn", "backbone_lr"], conflicts_with_all = network::SETTLED)]
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
    let job = match &args.resume {
        None => {
            let model = args.model.load(context, Use::BACKBONE)?;
            let told = tell(args, &model)?;
            Job { config: config(context, args, &told)?, told, resumed: None, model }
        }
        Some(path) => {
            let (run, mut config) = RunDir::open(path)?;
            config.training.epochs = args.training.epochs.or(config.training.epochs);
            let told = Told::deserialize_from(&config, path)?;
            let model = reopen_model(context, args, &told)?;
            Job { config, told, resumed: Some(run), model }
        }
    };
    let sets = open_data(context, &job.told.data, job.config.training.seed)?;
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
fn train_head(context: &Context, args: &FinetuneArgs, job: Job, sets: Sets, stop: &Interrupt) -> Result<()> {
    let Job { mut config, told, resumed, model } = job;
    let classes: Vec<String> = sets.train.classes().to_vec();
    let output = match &resumed {
        Some(run) => run.path().to_owned(),
        None => free_output(args.output.as_deref(), "finetune")?,
    };
    // Everything that can be wrong with the input is known before the folder is made.
    let batch = u32::try_from(config.training.batch_size).unwrap_or(args.model.batch_size);
    let mut extractor = Extractor::new(context, &model, batch, stop)?;
    let train = extractor.extract(&sets.train, "training")?;
    let val = sets.val.as_ref().map(|val| extractor.extract(val, "validation")).transpose()?;
    check_features(&train, &classes, &told.data.data)?;
    let run = match resumed {
        Some(run) => run,
        None => RunDir::create(&output, &config)?,
    };
    let shape = HeadShape { features: model.architecture.features(), classes: classes.len() };
    let job = Fit {
        gpu: extractor.gpu(),
        shape,
        train: Examples { features: &train.features, labels: &train.labels },
        val: val
            .as_ref()
            .filter(|val| !val.labels.is_empty())
            .map(|val| Examples { features: &val.features, labels: &val.labels }),
        resume: args.resume.is_some(),
        interrupt: stop,
    };
    let mut teller = Teller::new(context, args.training.tensorboard.then(|| run.path()))?;
    let result = fit(&job, &mut config, &run, &mut |event| teller.tell(event));
    let outcome = teller.finish(result, "finetune", &run)?;
    let architecture = model.architecture.clone().with_classes(classes.len());
    let network = WithHead { backbone: &model, head: &outcome.head };
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
        run: &run,
        config: &config,
        epochs: &outcome.epochs,
        epoch: outcome.epoch,
        stopped_early: outcome.stopped_early,
        sets: &sets,
        network: format!("A new head on the fixed features of {architecture}."),
    };
    run_report::write(context, &ended, answers)?;
    let failed = train.failed + val.map_or(0, |v| v.failed);
    let kept = (outcome.epoch, &outcome.epochs[..], outcome.stopped_early);
    report(context, args.training.json, &run, kept, outcome.choice.lr, failed)
}

fn tell(args: &FinetuneArgs, model: &Loaded) -> Result<Told> {
    let weights = args.model.weights.as_ref().map(|weights| match Path::new(weights).exists() {
        true => absolute(weights.into()).to_string_lossy().into_owned(),
        false => weights.clone(),
    });
    Ok(Told {
        data: ToldData::new(args.data.as_deref(), &args.training)?,
        weights,
        weights_sha256: model.weights.sha256().to_owned(),
        image_size: args.model.image_size,
        unfreeze: args.unfreeze.to_string(),
        network: args.model.network.given(&args.model.images)?,
    })
}

impl Told {
    fn deserialize_from(config: &RunConfig, run: &Path) -> Result<Self> {
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
    let network = network(args, &mut training)?;
    training.check().map_err(|e| Error::Usage(e.to_string()))?;
    let command = toml::Table::try_from(told).map_err(|e| Error::Usage(format!("the options can't be kept: {e}")))?;
    Ok(RunConfig { command, training, network, chosen: None })
}

/// Epochs of the recipe `auto` where more than a head is trained.
const EPOCHS: u64 = 10;

/// What is asked of network training, if a head on fixed features is not all that is trained; completes `training`.
fn network(args: &FinetuneArgs, training: &mut Settings) -> Result<Option<NetworkSettings>> {
    let asked = &args.training;
    let notes = args.recipe == Recipe::Notes;
    let curve = if notes { Curve::Constant } else { Curve::Cosine };
    let mut settings = args.training.network(args.unfreeze, args.bn, args.backbone_lr, curve);
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

/// The network that a run began with.
fn reopen_model(context: &Context, args: &FinetuneArgs, told: &Told) -> Result<Loaded> {
    let mut options = args.model.clone();
    options.weights = told.weights.clone();
    options.image_size = told.image_size;
    let model = options.load_given(context, &told.network, Use::BACKBONE)?;
    if model.weights.sha256() != told.weights_sha256 {
        let problem = "is not the file that the run began with; give the run its own weights back, or start a new run";
        return Err(Error::file(model.weights.label(), problem));
    }
    Ok(model)
}

/// After files that could not be read were left out, there must still be two classes to tell apart.
fn check_features(train: &Features, classes: &[String], data: &Path) -> Result<()> {
    let present: std::collections::BTreeSet<u32> = train.labels.iter().copied().collect();
    if present.len() < 2 {
        let problem = format!("images of only {} of its {} classes could be read", present.len(), classes.len());
        return Err(Error::file(data, problem));
    }
    Ok(())
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
