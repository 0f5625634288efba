//! `gpu-resnet finetune`: a pretrained network for the user's own classes. By default a new head on a frozen backbone, whose
//! features are computed once; with `--unfreeze`, an upper part of the network or all of it.

use std::path::PathBuf;

use super::Context;
use super::console::interrupt;
use super::model::ModelArgs;
use super::resume::{Resumed, Setting};
use super::training::{TrainingArgs, report};
use crate::error::Result;
use crate::ops::Precision;
use crate::runs::{FineTune, FineTuneCommand, RunSummary, StoppedFineTune};
use crate::train::{BnMode, Curve, Recipe, Settings, Unfreeze};

/// Train a pretrained network for your own classes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gpu-resnet finetune photos/ --output runs/mine\n  gpu-resnet finetune photos/ --unfreeze \
                        layer4 --augment imagenet --epochs 10\n  gpu-resnet finetune --features features.parquet --output runs/mine\n  gpu-resnet finetune cifar10 --recipe notes --bn \
                        train\n  gpu-resnet finetune --resume runs/mine"
)]
pub struct FinetuneArgs {
    /// Labelled images: a folder of class folders, CIFAR or MNIST files, a CSV, safetensors, or a name of `data fetch`
    #[arg(required_unless_present_any = ["resume", "features"])]
    data: Option<PathBuf>,
    /// Train on features that were computed before, in place of images: Parquet files of `infer --save-features`, or folders of
    /// such files; --val may name one too
    #[arg(long, value_name = "FILE.parquet", num_args = 1.., conflicts_with = "data")]
    features: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// `auto` chooses learning rate and epochs (on a frozen backbone by a sweep with early stopping); `notes` is Adam, 1e-4, 5
    /// epochs
    #[arg(long, value_enum, default_value_t = Recipe::Auto)]
    recipe: Recipe,
    /// Optimiser
    #[arg(long, value_name = "NAME", default_value = "adam", value_parser = ["adam", "adamw", "sgd"])]
    optimizer: String,
    /// The lowest part that is trained, with everything above it: head, layer4, layer3, … or all
    #[arg(long, value_name = "PART", default_value = "head")]
    unfreeze: Unfreeze,
    /// Statistics for batch normalisation while training: the running ones, or those of each batch, which update the running ones
    #[arg(long, value_enum, default_value_t = BnMode::Eval)]
    bn: BnMode,
    /// Learning rate of everything except the head [default: a tenth of the head's]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    backbone_lr: Option<f64>,
    #[command(flatten)]
    training: TrainingArgs,
    /// The run's folder [default: runs/finetune, or the next free runs/finetune-N]
    #[arg(long, short, value_name = "RUN")]
    output: Option<PathBuf>,
    /// Continue a run that was stopped, with its own settings; --epochs may change how far, other options may only repeat them
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
}

pub fn run(context: &Context, args: &FinetuneArgs) -> Result<()> {
    let stop = interrupt();
    let summary = match &args.resume {
        None => FineTune { interrupt: stop, ..new_run(context, args)? }.begin()?.run(args.output.as_deref())?,
        Some(path) => {
            let mut stopped = FineTune::resume(path)?.runtime(context.runtime()).interrupt(&stop);
            let run = stopped.config.clone();
            let resumed = Resumed { given: context.given, path, config: &run };
            check_repeated(context, args, &resumed, &stopped.command)?;
            stopped.config.training.epochs = args.training.epochs.or(run.training.epochs);
            stopped.weights = args.model.weights.clone();
            stopped.tensorboard = args.training.tensorboard;
            go_on(args, &resumed, stopped)?
        }
    };
    report(&summary, args.training.json)
}

fn go_on(args: &FinetuneArgs, resumed: &Resumed, stopped: StoppedFineTune) -> Result<RunSummary> {
    let run = stopped.load()?;
    let found = run.network.preprocess.crop;
    match args.model.image_size.filter(|&size| size != found) {
        Some(size) => Err(resumed.contradicts("image_size", Some(found.to_string()), Some(size.to_string()))),
        None => run.run(None),
    }
}

/// A new run as the options describe it.
fn new_run(context: &Context, args: &FinetuneArgs) -> Result<FineTune> {
    let options = &args.training;
    let data = options.data(args.data.as_deref().or(args.features.first().map(PathBuf::as_path)))?;
    Ok(FineTune {
        features: args.features.clone(),
        val: data.val,
        val_split: data.val_split,
        classes: data.classes,
        source: args.model.source()?,
        training: Settings {
            recipe: args.recipe,
            lr: options.lr,
            epochs: options.epochs,
            label_smoothing: options.label_smoothing,
            balance: options.balance,
            seed: context.global.seed,
            optimizer: options.optimizer(&args.optimizer, None)?,
            batch_size: args.model.batch_size as usize,
        },
        network: options.network(args.unfreeze, args.bn, args.backbone_lr, Curve::default(), context.precision()),
        curve: options.lr_schedule,
        tensorboard: options.tensorboard,
        runtime: context.runtime(),
        ..FineTune::new(data.data)
    })
}

/// Refuses options that differ from the run's.
fn check_repeated(context: &Context, args: &FinetuneArgs, run: &Resumed, command: &FineTuneCommand) -> Result<()> {
    run.check_run(args.output.as_deref(), context.global.seed)?;
    run.check_data(&command.data, args.data.as_deref(), &args.training)?;
    run.check_features(&command.data, &args.features)?;
    run.check(&args.training.settings(&args.optimizer, args.model.batch_size))?;
    run.check_network(&args.model.network.overrides(&args.model.images)?, &command.network)?;
    run.check(&[
        Setting::new("recipe", "training.recipe", args.recipe),
        Setting::new("unfreeze", "command.unfreeze", args.unfreeze.to_string()),
        Setting::new("bn", "network.bn", args.bn).or(BnMode::Eval),
        Setting::new("backbone_lr", "network.backbone_lr", args.backbone_lr),
        Setting::new("precision", "command.precision", context.precision().name()).or(Precision::F32.name()),
    ])
}
