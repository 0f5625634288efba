//! Options next to `--resume`. A run already has its settings. An option may repeat them, so that a job script can repeat its command
//! line; one that contradicts the run is refused.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde::Serialize;
use toml::Value;

use super::network;
use super::training::TrainingArgs;
use crate::data::Augment;
use crate::error::{Error, Result};
use crate::runs::{DataChoice, absolute};
use crate::train::RunConfig;
use crate::weights::{self, read_names};

/// The arguments that are on the command line itself: neither defaults nor values from the environment.
#[derive(Debug, Default)]
pub struct NamedOptions(BTreeSet<String>);

impl NamedOptions {
    /// Those of the command in `matches`.
    pub fn new(matches: &ArgMatches) -> Self {
        let mut given = BTreeSet::new();
        let mut level = Some(matches);
        while let Some(matches) = level {
            let named = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
            given.extend(matches.ids().filter(named).map(|id| id.as_str().to_owned()));
            level = matches.subcommand().map(|(_, matches)| matches);
        }
        Self(given)
    }

    /// Whether `id` (`weight_decay` for `--weight-decay`) was given.
    pub fn has(&self, id: &str) -> bool {
        self.0.contains(id)
    }
}

/// A run that is resumed, and the options next to `--resume`.
pub struct Resumed<'a> {
    pub given: &'a NamedOptions,
    pub path: &'a Path,
    pub config: &'a RunConfig,
}

/// An option whose value is in config.toml.
pub struct Setting {
    id: &'static str,
    /// Its key in config.toml, and its meaning if the key is missing.
    key: &'static str,
    absent: Option<Value>,
    wanted: Option<Value>,
}

impl Setting {
    pub fn new(id: &'static str, key: &'static str, value: impl Serialize) -> Self {
        Self { id, key, absent: None, wanted: Value::try_from(value).ok() }
    }

    /// The same, for an option that config.toml leaves out if it is `value`.
    pub fn or(self, value: impl Serialize) -> Self {
        Self { absent: Value::try_from(value).ok(), ..self }
    }
}

impl Resumed<'_> {
    /// Refuses the first of `settings` that was given and differs from the run's.
    pub fn check(&self, settings: &[Setting]) -> Result<()> {
        let failed = |error: &dyn Display| Error::file(self.path, format!("its settings can't be compared: {error}"));
        let config = Value::try_from(self.config).map_err(|error| failed(&error))?;
        for Setting { id, key, absent, wanted } in settings {
            let found = key.split('.').try_fold(&config, |value, part| value.get(part)).or(absent.as_ref());
            if self.given.has(id) && found != wanted.as_ref() {
                return Err(self.contradicts(id, found.and_then(text), wanted.as_ref().and_then(text)));
            }
        }
        Ok(())
    }

    /// Refuses DATA and its options if they are not the run's.
    pub fn check_data(&self, told: &DataChoice, data: Option<&Path>, args: &TrainingArgs) -> Result<()> {
        if let Some(data) = data
            && !same_path(&absolute(data.to_owned()), &told.data)
        {
            return Err(self.refused(&format!("the data {}", told.data.display()), data.display()));
        }
        if let Some(val) = &args.val
            && told.val.as_ref().is_none_or(|run| !same_path(&absolute(val.clone()), run))
        {
            let found = told.val.as_ref().map(|path| path.display().to_string());
            return Err(self.contradicts("val", found, Some(val.display().to_string())));
        }
        if let Some(file) = &args.classes
            && told.classes.as_ref() != Some(&read_names(file)?)
        {
            let found = told.classes.as_ref().map(|names| names.join(", "));
            return Err(self.contradicts("classes", found, Some(file.display().to_string())));
        }
        Ok(())
    }

    /// Refuses files of features that are not the run's, if any are named.
    pub fn check_features(&self, told: &DataChoice, features: &[PathBuf]) -> Result<()> {
        let same = features.len() == told.features.len()
            && features.iter().zip(&told.features).all(|(a, b)| same_path(&absolute(a.clone()), b));
        if features.is_empty() || same {
            return Ok(());
        }
        let words =
            |files: &[PathBuf]| files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
        let found = (!told.features.is_empty()).then(|| words(&told.features));
        Err(self.contradicts("features", found, Some(words(features))))
    }

    /// Refuses options about the network that differ from the run's.
    pub fn check_network(&self, wanted: &weights::Overrides, found: &weights::Overrides) -> Result<()> {
        let [wanted, found] = [wanted, found].map(|said| Value::try_from(said).ok());
        for id in network::SETTLED {
            let [wanted, found] = [&wanted, &found].map(|said| said.as_ref().and_then(|said| said.get(id)));
            if self.given.has(id) && found != wanted {
                return Err(self.contradicts(id, found.and_then(text), wanted.and_then(text)));
            }
        }
        Ok(())
    }

    /// Refuses a different folder or seed.
    pub fn check_run(&self, output: Option<&Path>, seed: u64) -> Result<()> {
        if let Some(output) = output
            && !same_path(output, self.path)
        {
            let (output, run) = (output.display(), self.path.display());
            let problem = format!("--output {output} is not {run}, the folder of the run");
            return Err(Error::Usage(format!("{problem}; leave --output out")));
        }
        let found = self.config.training.seed;
        match self.given.has("seed") && seed != found {
            true => Err(self.contradicts("seed", Some(found.to_string()), Some(seed.to_string()))),
            false => Ok(()),
        }
    }

    /// The error that the option `id` differs from the run's.
    pub fn contradicts(&self, id: &str, found: Option<String>, wanted: Option<String>) -> Error {
        let option = format!("--{}", id.replace('_', "-"));
        let given = wanted.map_or(option.clone(), |value| format!("{option} {value}"));
        match found {
            Some(found) => self.refused(&format!("{option} {found}"), given),
            None => {
                let run = self.path.display();
                Error::Usage(format!("{run} is a run without {given}; leave {option} out, or start a new run with it"))
            }
        }
    }

    fn refused(&self, found: &str, given: impl Display) -> Error {
        let run = self.path.display();
        Error::Usage(format!("{run} is a run of {found}, not of {given}; leave that out, or start a new run with it"))
    }
}

/// A value as text; `None` for a switch, whose name says it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Boolean(_) => None,
        Value::String(text) => Some(text.clone()),
        // Of these options, only augmentation is more than a value.
        Value::Table(_) => value.clone().try_into::<Augment>().ok().map(|augment| augment.to_string()),
        // In the notation of the option.
        Value::Array(values) => Some(values.iter().filter_map(text).collect::<Vec<_>>().join(",")),
        Value::Float(number) => Some(short(*number)),
        other => Some(other.to_string()),
    }
}

/// A number in as few digits as it was given in; one that was stored as f32 in those of an f32.
fn short(number: f64) -> String {
    let narrow = number as f32;
    if f64::from(narrow) == number { narrow.to_string() } else { number.to_string() }
}

/// Whether two paths name the same place.
pub fn same_path(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let full = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    full(a) == full(b) || real(a).is_some_and(|a| Some(a) == real(b))
}

impl TrainingArgs {
    /// Which of these options a run has fixed; `--epochs` may change how far it goes.
    pub fn settings(&self, optimizer: &str, batch_size: u32) -> Vec<Setting> {
        vec![
            Setting::new("batch_size", "training.batch_size", batch_size),
            Setting::new("lr", "training.lr", self.lr),
            Setting::new("optimizer", "training.optimizer.name", optimizer),
            Setting::new("label_smoothing", "training.label_smoothing", self.label_smoothing),
            Setting::new("weight_decay", "training.optimizer.weight_decay", self.weight_decay),
            Setting::new("momentum", "training.optimizer.momentum", self.momentum),
            Setting::new("balance", "training.balance", true),
            Setting::new("no_bias_decay", "network.bias_decay", false).or(true),
            Setting::new("lr_schedule", "network.schedule.curve", self.lr_schedule),
            Setting::new("lr_milestones", "network.schedule.milestones", &self.lr_milestones),
            Setting::new("lr_gamma", "network.schedule.gamma", self.lr_gamma).or(0.1),
            Setting::new("warmup_epochs", "network.schedule.warmup_epochs", self.warmup_epochs).or(0.0),
            Setting::new("clip_grad_norm", "network.clip_grad_norm", self.clip_grad_norm),
            Setting::new("ema", "network.ema", self.ema),
            Setting::new("patience", "network.patience", self.patience),
            Setting::new("augment", "network.augment", self.augment).or(Augment::default()),
            Setting::new("recompute", "network.recompute", self.recompute).or("none"),
            Setting::new("log_gradients", "network.log_gradients", true),
            Setting::new("val_split", "command.val_split", self.val_split),
        ]
    }
}
