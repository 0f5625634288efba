//! `gpu-resnet train`: a network from scratch.

use std::path::{Path, PathBuf};

use super::Context;
use super::console::interrupt;
use super::model::default_preprocess;
use super::resume::{Resumed, Setting};
use super::training::{TrainingArgs, report};
use crate::data::Preprocess;
use crate::error::{Error, Result};
use crate::model::{Architecture, Shortcut, StrideIn};
use crate::ops::Precision;
use crate::runs::{TrainRun, train_architecture};
use crate::train::{BnMode, Curve, Recipe, Settings, Unfreeze};

/// Train a network from scratch.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gpu-resnet train cifar10 --arch resnet20 --epochs 60 --augment cifar --output runs/resnet20\n  \
                        gpu-resnet train cifar10 --arch plain56 --log-gradients\n  gpu-resnet train --resume runs/resnet20"
)]
pub struct TrainArgs {
    /// Labelled images: a folder of class folders, CIFAR or MNIST files, a CSV, safetensors, or a name of `data fetch`
    #[arg(required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Architecture: resnet18 to 152, resnext…, wide_resnet…; for small images resnet20 to 110, plain20, plain56,
    /// preact-resnet20 to 164
    #[arg(long, value_name = "NAME", required_unless_present = "resume")]
    arch: Option<String>,
    /// Shortcut where a block's input and output differ in shape [default: the architecture's]
    #[arg(long, value_name = "KIND", value_parser = ["zero-pad", "zero-pad-both", "projection", "projection-all"])]
    shortcut: Option<String>,
    /// Convolution of a bottleneck that has the stride: the first (ResNet v1) or the 3x3 (torchvision)
    #[arg(long, value_name = "WHERE", value_parser = ["1x1", "3x3"])]
    stride_in: Option<String>,
    /// Scale and crop images to N x N pixels [default: 224, or 32 for the networks for small images]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=4096))]
    image_size: Option<u32>,
    /// Images per step, on each of the adapters
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,
    /// Optimiser; the weight decay of sgd defaults to 1e-4 here
    #[arg(long, value_name = "NAME", default_value = "sgd", value_parser = ["adam", "adamw", "sgd"])]
    optimizer: String,
    #[command(flatten)]
    training: TrainingArgs,
    /// The run's folder [default: runs/train, or the next free runs/train-N]
    #[arg(long, short, value_name = "RUN")]
    output: Option<PathBuf>,
    /// Continue a run that was stopped, with its own settings; --epochs may change how far, other options may only repeat them
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
}

const EPOCHS: u64 = 20;
/// The paper's, for SGD.
const WEIGHT_DECAY: f64 = 1e-4;

pub fn run(context: &Context, args: &TrainArgs) -> Result<()> {
    let stop = interrupt();
    let mut run = match &args.resume {
        None => new_run(context, args)?,
        Some(path) => {
            let mut run = TrainRun::resume(path)?;
            check_repeated(context, args, path, &run)?;
            run.config.training.epochs = args.training.epochs.or(run.config.training.epochs);
            run
        }
    };
    (run.runtime, run.interrupt, run.tensorboard) = (context.runtime(), stop, args.training.tensorboard);
    report(&run.run(args.output.as_deref())?, args.training.json)
}

/// Refuses options that differ from those of the run `path`.
fn check_repeated(context: &Context, args: &TrainArgs, path: &Path, run: &TrainRun) -> Result<()> {
    let TrainRun { config, command, .. } = run;
    let run = Resumed { given: context.given, path, config };
    run.check_run(args.output.as_deref(), context.global.seed)?;
    run.check_data(&command.data, args.data.as_deref(), &args.training)?;
    run.check(&args.training.settings(&args.optimizer, args.batch_size))?;
    let precision = context.precision().name();
    run.check(&[Setting::new("precision", "network.precision", precision).or(Precision::F32.name())])?;
    // Options about the architecture need only fit the rest of the run's.
    let begun = Architecture::from_json(&command.architecture)?;
    if let Some(name) = &args.arch {
        let Architecture { shortcut, stride_in, .. } = begun;
        let named = Architecture { shortcut, stride_in, ..Architecture::named(name)? };
        if named.clone().with_classes(begun.classes) != begun {
            return Err(run.contradicts("arch", Some(begun.to_string()), Some(name.clone())));
        }
    }
    if let Some(shortcut) = &args.shortcut
        && shortcut.parse::<Shortcut>()? != begun.shortcut
    {
        return Err(run.contradicts("shortcut", Some(begun.shortcut.to_string()), Some(shortcut.clone())));
    }
    if let Some(stride_in) = &args.stride_in
        && stride_in.parse::<StrideIn>()? != begun.stride_in
    {
        return Err(run.contradicts("stride_in", Some(begun.stride_in.to_string()), Some(stride_in.clone())));
    }
    let preprocess = Preprocess::from_json(&command.preprocess)?;
    match args.image_size {
        Some(size) if size != preprocess.crop => {
            Err(run.contradicts("image_size", Some(preprocess.crop.to_string()), Some(size.to_string())))
        }
        _ => Ok(()),
    }
}

fn new_run(context: &Context, args: &TrainArgs) -> Result<TrainRun> {
    let options = &args.training;
    let name = args.arch.as_deref().ok_or_else(|| Error::Usage("name an --arch".into()))?;
    let architecture = train_architecture(name, args.shortcut.as_deref(), args.stride_in.as_deref())?;
    let preprocess = match args.image_size {
        Some(size) => default_preprocess(&architecture).with_image_size(size)?,
        None => default_preprocess(&architecture),
    };
    let data = options.data(args.data.as_deref())?;
    let sgd = args.optimizer == "sgd";
    let training = Settings {
        recipe: Recipe::Auto,
        lr: Some(options.lr.unwrap_or(if sgd { 0.1 } else { 1e-3 })),
        epochs: Some(options.epochs.unwrap_or(EPOCHS)),
        label_smoothing: options.label_smoothing,
        balance: options.balance,
        seed: context.global.seed,
        optimizer: options.optimizer(&args.optimizer, sgd.then_some(WEIGHT_DECAY))?,
        batch_size: args.batch_size as usize,
    };
    let network = options.network(Unfreeze::All, BnMode::Train, None, Curve::Cosine, context.precision());
    TrainRun::begin(data, &architecture, &preprocess, training, network)
}
