//! `gpu-resnet finetune`: a new head on a frozen backbone. Features are computed once; the epochs run on them.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::Context;
use super::console::{interrupt, print_json};
use super::features::{Extractor, Features};
use super::model::{Loaded, ModelArgs};
use crate::data::{self, Dataset, Subset, open_dataset, open_splits, require_classes, stratified_split};
use crate::error::{Error, Result};
use crate::files;
use crate::train::{
    Event, Examples, Fit, Head, HeadShape, Optimizer, Outcome, Recipe, RunConfig, RunDir, Settings, fit,
};
use crate::weights::{self, NamedTensor};

/// Train a new head for your own classes on a pretrained network.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gpu-resnet finetune photos/ --output runs/mine\n  gpu-resnet finetune photos/ --recipe \
                        notes\n  gpu-resnet finetune --resume runs/mine"
)]
pub struct FinetuneArgs {
    /// Labelled images: a folder of class folders, CIFAR or MNIST files, a CSV, or safetensors
    #[arg(required_unless_present = "resume")]
    data: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// `auto` sweeps learning rates, stops early and keeps the best head; `notes` is Adam, 1e-4, 5 epochs
    #[arg(long, value_enum, default_value_t = Recipe::Auto)]
    recipe: Recipe,
    /// Epochs to run, instead of the recipe's choice
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    epochs: Option<u64>,
    /// Learning rate, instead of the recipe's choice
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Optimiser
    #[arg(long, value_name = "NAME", default_value = "adam", value_parser = ["adam", "adamw", "sgd"])]
    optimizer: String,
    /// Share of the targets that is spread over all classes
    #[arg(long, value_name = "E", default_value_t = 0.0, allow_negative_numbers = true)]
    label_smoothing: f64,
    /// What is trained
    #[arg(long, value_enum, default_value_t = Unfreeze::Head)]
    unfreeze: Unfreeze,
    /// Labelled images to validate on, instead of a part of DATA
    #[arg(long, value_name = "DATA")]
    val: Option<PathBuf>,
    /// Share of each class to validate on, where DATA has no held-out part; 0 for none
    #[arg(long, value_name = "F", default_value_t = 0.1, allow_negative_numbers = true)]
    val_split: f64,
    /// The run's folder [default: runs/finetune, or the next free runs/finetune-N]
    #[arg(long, short, value_name = "RUN", conflicts_with = "resume")]
    output: Option<PathBuf>,
    /// Go on with a run that was stopped, with its own settings; --epochs may change how far
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "weights", "batch_size", "image_size", "recipe", "lr",
        "optimizer", "label_smoothing", "unfreeze", "val", "val_split"])]
    resume: Option<PathBuf>,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// What may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Unfreeze {
    /// The new classifier alone; the backbone is frozen
    Head,
}

/// What the command itself was told, as config.toml keeps it: a resumed run must see the same data and network.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Told {
    data: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    val: Option<PathBuf>,
    val_split: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<String>,
    weights_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_size: Option<u32>,
    unfreeze: String,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Summary<'a> {
    run: &'a Path,
    model: PathBuf,
    epoch: u64,
    lr: f64,
    train_loss: Option<f64>,
    train_accuracy: Option<f64>,
    val_loss: Option<f64>,
    val_accuracy: Option<f64>,
    stopped_early: bool,
}

pub fn run(context: &Context, args: &FinetuneArgs) -> Result<()> {
    let stop = interrupt();
    let (mut config, told, resumed, model) = match &args.resume {
        None => {
            let model = args.model.load()?;
            let told = tell(args, &model)?;
            (config(context, args, &told)?, told, None, model)
        }
        Some(path) => {
            let (run, mut config) = RunDir::open(path)?;
            config.training.epochs = args.epochs.or(config.training.epochs);
            let told = Told::deserialize_from(&config, path)?;
            let model = reopen_model(args, &told)?;
            (config, told, Some(run), model)
        }
    };
    let sets = open_data(context, &told, config.training.seed)?;
    let classes: Vec<String> = sets.train.classes().to_vec();
    let output = match &resumed {
        Some(run) => run.path().to_owned(),
        None => free_output(args.output.as_deref())?,
    };
    // Everything that can be wrong with the input is known before the folder is made.
    let batch = u32::try_from(config.training.batch_size).unwrap_or(args.model.batch_size);
    let mut extractor = Extractor::new(context, &model, batch, &stop)?;
    let train = extractor.extract(&sets.train, "training")?;
    let val = sets.val.as_ref().map(|val| extractor.extract(val, "validation")).transpose()?;
    check_features(&train, &classes, &told.data)?;
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
        interrupt: &stop,
    };
    let outcome = train_head(context, &job, &mut config, &run)?;
    save_model(&run, &model, &outcome.head, &classes)?;
    report(context, args, &run, &outcome, train.failed + val.map_or(0, |v| v.failed))
}

fn tell(args: &FinetuneArgs, model: &Loaded) -> Result<Told> {
    let data = args.data.clone().ok_or_else(|| Error::Usage("name the labelled images to train on".into()))?;
    if !(0.0..1.0).contains(&args.val_split) {
        return Err(Error::Usage(format!("--val-split {} must be at least 0 and below 1", args.val_split)));
    }
    // A run can be resumed from any folder.
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let weights = args.model.weights.as_ref().map(|weights| match Path::new(weights).exists() {
        true => absolute(weights.into()).to_string_lossy().into_owned(),
        false => weights.clone(),
    });
    Ok(Told {
        data: absolute(data),
        val: args.val.clone().map(absolute),
        val_split: args.val_split,
        weights,
        weights_sha256: model.weights.sha256().to_owned(),
        image_size: args.model.image_size,
        unfreeze: match args.unfreeze {
            Unfreeze::Head => "head".into(),
        },
    })
}

impl Told {
    fn deserialize_from(config: &RunConfig, run: &Path) -> Result<Self> {
        let read: Result<Told, _> = config.command.clone().try_into();
        read.map_err(|e| Error::file(run.join("config.toml"), format!("is not of a finetune run: {e}")))
    }
}

fn config(context: &Context, args: &FinetuneArgs, told: &Told) -> Result<RunConfig> {
    let training = Settings {
        recipe: args.recipe,
        lr: args.lr,
        epochs: args.epochs,
        label_smoothing: args.label_smoothing,
        seed: context.global.seed,
        optimizer: Optimizer::named(&args.optimizer)?,
        batch_size: args.model.batch_size as usize,
    };
    training.check().map_err(|e| Error::Usage(e.to_string()))?;
    let command = toml::Table::try_from(told).map_err(|e| Error::Usage(format!("the options can't be kept: {e}")))?;
    Ok(RunConfig { command, training, chosen: None })
}

/// The network that a run began with.
fn reopen_model(args: &FinetuneArgs, told: &Told) -> Result<Loaded> {
    let mut options = args.model.clone();
    options.weights = told.weights.clone();
    options.image_size = told.image_size;
    let model = options.load()?;
    if model.weights.sha256() != told.weights_sha256 {
        let problem = "is not the file that the run began with; give the run its own weights back, or start a new run";
        return Err(Error::file(model.weights.label(), problem));
    }
    Ok(model)
}

struct Sets {
    train: Arc<dyn Dataset>,
    val: Option<Arc<dyn Dataset>>,
}

/// The training and validation images: DATA and `--val`, DATA's own two parts, or DATA split class by class.
fn open_data(context: &Context, told: &Told, seed: u64) -> Result<Sets> {
    let note = |set: &dyn Dataset| set.remarks().iter().for_each(|remark| context.console.note(remark));
    let splits = match &told.val {
        None => open_splits(&told.data)?,
        Some(val) => {
            let train = open_splits(&told.data)?.train;
            let val = data::align_classes(open_dataset(val)?, train.classes())?;
            data::Splits { train, val: Some(val) }
        }
    };
    note(&*splits.train);
    require_classes(&*splits.train, 2).map_err(|e| Error::file(&told.data, e))?;
    let sets = match splits.val {
        Some(val) => Sets { train: splits.train.into(), val: Some(val.into()) },
        None if told.val_split == 0.0 => Sets { train: splits.train.into(), val: None },
        None => {
            let all: Arc<dyn Dataset> = splits.train.into();
            let labels: Vec<usize> = (0..all.len()).map(|i| all.label(i)).collect();
            let (train, val) = stratified_split(&labels, told.val_split, seed);
            let part = |indices| Ok::<_, Error>(Arc::new(Subset::new(all.clone(), indices)?) as Arc<dyn Dataset>);
            let val = if val.is_empty() { None } else { Some(part(val)?) };
            Sets { train: part(train)?, val }
        }
    };
    let (train, classes) = (sets.train.len(), sets.train.classes().len());
    let val = sets.val.as_ref().map_or("none".to_owned(), |val| val.len().to_string());
    context.console.note(format!("{train} images of {classes} classes to train on, {val} to validate on"));
    Ok(sets)
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

/// The folder for the run; one that holds a run is not overwritten.
fn free_output(asked: Option<&Path>) -> Result<PathBuf> {
    match asked {
        Some(path) if RunDir::holds_run(path) => Err(Error::file(
            path,
            "already holds a run; go on with it by --resume, remove it, or name another --output",
        )),
        Some(path) if path.is_file() => Err(Error::file(path, "is a file; name a folder as --output")),
        Some(path) => can_be_made(path.to_owned()),
        None => {
            let mut names = (1..).map(|i| if i == 1 { "runs/finetune".into() } else { format!("runs/finetune-{i}") });
            let free = names.find(|name| !Path::new(name).exists());
            can_be_made(free.unwrap_or_else(|| "runs/finetune".into()).into())
        }
    }
}

/// `path`, if the folder above it that is there can be written to: known before the features are computed, not after.
fn can_be_made(path: PathBuf) -> Result<PathBuf> {
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    match files::check_writable(&there.join("config.toml")) {
        Ok(()) => Ok(path),
        Err(_) => {
            let problem = format!("can't be made, since {} can't be written to; name another", there.display());
            Err(Error::file(path, format!("{problem} --output")))
        }
    }
}

fn train_head(context: &Context, job: &Fit, config: &mut RunConfig, run: &RunDir) -> Result<Outcome> {
    let console = context.console;
    let bar = console.progress(0, "training");
    let started = Instant::now();
    let percent = |fraction: f64| format!("{:.2} %", fraction * 100.0);
    let result = fit(job, config, run, &mut |event| match event {
        Event::Progress { progress, sweep, epochs } => {
            let what = if sweep { "sweep" } else { "epoch" };
            bar.set_prefix(format!("{what} {}/{epochs}", progress.epoch));
            bar.set_length(progress.examples[1] as u64);
            bar.set_position(progress.examples[0] as u64);
            bar.set_message(format!("loss {:.4} accuracy {}", progress.train.loss, percent(progress.train.accuracy)));
        }
        Event::Tried { trial, number, of } => bar.suspend(|| {
            let loss = trial.val_loss.map_or("not finite".into(), |loss| format!("{loss:.4}"));
            let accuracy = percent(trial.val_accuracy);
            console.note(format!(
                "learning rate {number}/{of}: {:e}: validation loss {loss}, accuracy {accuracy}",
                trial.lr
            ))
        }),
        Event::Chosen(choice) => bar.suspend(|| {
            let stop =
                choice.patience.map_or(String::new(), |p| format!(", stopping after {p} epochs without a better one"));
            console.note(format!(
                "learning rate {:e}, at most {} epochs{stop}: {}",
                choice.lr, choice.epochs, choice.reason
            ))
        }),
        Event::Resumed { epoch } => bar.suspend(|| console.note(format!("going on after epoch {epoch}"))),
        Event::Epoch(e) => bar.suspend(|| {
            let val = match (e.val_loss, e.val_accuracy) {
                (Some(loss), Some(accuracy)) => format!(", validation loss {loss:.4} accuracy {}", percent(accuracy)),
                _ => String::new(),
            };
            let (epoch, loss, accuracy) = (e.epoch, e.train_loss, percent(e.train_accuracy));
            console.note(format!("epoch {epoch:3}: loss {loss:.4} accuracy {accuracy}{val}"))
        }),
    });
    bar.finish_and_clear();
    match result {
        Err(Error::Interrupted) => {
            let path = run.path().display();
            console.note(format!("stopped; `gpu-resnet finetune --resume {path}` goes on from the last whole epoch"));
            Err(Error::Interrupted)
        }
        Ok(outcome) => {
            console.note(format!("trained in {:.1} s", started.elapsed().as_secs_f64()));
            Ok(outcome)
        }
        Err(error) => Err(error),
    }
}

/// The whole network with its new head, so that `infer --weights RUN` needs nothing else.
fn save_model(run: &RunDir, model: &Loaded, head: &Head, classes: &[String]) -> Result<()> {
    let architecture = model.architecture.clone().with_classes(classes.len());
    let specs = architecture.parameters();
    let mut tensors = Vec::with_capacity(specs.len());
    for spec in &specs {
        let data = match spec.name.as_str() {
            "fc.weight" => Cow::Borrowed(head.weight.as_slice()),
            "fc.bias" => Cow::Borrowed(head.bias.as_slice()),
            name => model.weights.tensor_f32(name)?,
        };
        tensors.push(NamedTensor::new(spec.name.as_str(), &spec.shape, data));
    }
    let preprocess = serde_json::to_string(&model.preprocess).map_err(|e| Error::file(run.model_path(), e))?;
    let metadata = weights::metadata(&architecture, Some(classes), Some(&preprocess))?;
    weights::save(run.model_path(), &tensors, &metadata)
}

fn report(context: &Context, args: &FinetuneArgs, run: &RunDir, outcome: &Outcome, failed: usize) -> Result<()> {
    let kept = outcome.epochs.iter().find(|e| e.epoch == outcome.epoch);
    let model = run.model_path();
    let accuracy = kept
        .and_then(|e| e.val_accuracy)
        .map_or(String::new(), |a| format!(" (validation accuracy {:.2} %)", a * 100.0));
    context.console.note(format!("the head of epoch {}{accuracy} is in {}", outcome.epoch, model.display()));
    if args.json {
        print_json(&Summary {
            run: run.path(),
            model,
            epoch: outcome.epoch,
            lr: outcome.choice.lr,
            train_loss: kept.map(|e| e.train_loss),
            train_accuracy: kept.map(|e| e.train_accuracy),
            val_loss: kept.and_then(|e| e.val_loss),
            val_accuracy: kept.and_then(|e| e.val_accuracy),
            stopped_early: outcome.stopped_early,
        })?;
    }
    if failed > 0 {
        return Err(Error::Partial(format!("{} could not be read, and left out", data::count(failed, "image"))));
    }
    Ok(())
}
