//! The recipes: defaults for what the user leaves open.

use serde::{Deserialize, Serialize};

use super::options::{HeadOptions, Optimizer};
use crate::error::{Error, Result};

/// Which recipe decides how the head is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// Sweeps learning rates on standardised features, stops early on the validation loss, keeps the best head.
    #[default]
    Auto,
    /// The notes' own: Adam, learning rate 1e-4, 5 epochs; the last head.
    Notes,
}

impl Recipe {
    /// The learning rate of [`Recipe::Notes`].
    pub const NOTES_LR: f64 = 1e-4;
    /// The epochs of [`Recipe::Notes`].
    pub const NOTES_EPOCHS: u64 = 5;
}

/// The user's settings, in config.toml under `training`. Together with the data they determine a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The recipe that decides what is not set here.
    pub recipe: Recipe,
    /// Learning rate; if there is none, the recipe chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Epochs, all of which are run; if there is none, the recipe chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Examples of a step.
    pub batch_size: usize,
    /// See [`HeadOptions::label_smoothing`].
    pub label_smoothing: f64,
    /// Whether every class is drawn equally often, however many images it has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub balance: bool,
    /// Draws the initial head, the split and the order of each epoch.
    #[serde(with = "seed")]
    pub seed: u64,
    /// Optimiser.
    pub optimizer: Optimizer,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            recipe: Recipe::Auto,
            lr: None,
            epochs: None,
            batch_size: 32,
            label_smoothing: 0.0,
            balance: false,
            seed: 0,
            optimizer: Optimizer::default(),
        }
    }
}

/// How a run is trained, once everything is decided; config.toml has it under `chosen`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Learning rate.
    pub lr: f64,
    /// Most epochs.
    pub epochs: u64,
    /// Epochs in which the validation loss falls by less than 1 % after which training stops; if there is none, all
    /// epochs are run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Whether the head is trained on standardised features (and the scaling folded into it afterwards).
    pub standardize: bool,
    /// Whether the head of the best epoch is kept, by validation loss, then accuracy; otherwise the last.
    pub keep_best: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// The learning rates of the sweep, in order; empty if there was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<Trial>,
}

/// One learning rate of a sweep and its result on the validation examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Learning rate.
    pub lr: f64,
    /// Epochs that were run.
    pub epochs: u64,
    /// Best epoch, from 1; 0 if the loss was never finite.
    pub best_epoch: u64,
    /// Validation loss of that epoch; none if it was never finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Validation accuracy of that epoch, a fraction.
    pub val_accuracy: f64,
}

/// A sweep's steps per learning rate, at most; with few examples [`SWEEP_EPOCHS`] come first.
const SWEEP_STEPS: u64 = 1500;
const SWEEP_EPOCHS: u64 = 12;
/// Steps of a whole run, as far as [`FEWEST_EPOCHS`] allow.
const MOST_STEPS: u64 = 50_000;
const MOST_EPOCHS: u64 = 100;
const FEWEST_EPOCHS: u64 = 20;
const PATIENCE: u64 = 10;
/// For `auto` without validation examples.
const BLIND_EPOCHS: u64 = 30;

impl Settings {
    /// # Errors
    /// [`Error::Usage`] or [`Error::Shape`] for options that make no sense.
    pub fn check(&self) -> Result<()> {
        if self.epochs == Some(0) {
            return Err(Error::Usage("0 epochs train nothing; use 1 or more".into()));
        }
        self.options(self.lr.unwrap_or(Recipe::NOTES_LR)).check()
    }

    /// The trainer's options with the learning rate `lr`.
    pub fn options(&self, lr: f64) -> HeadOptions {
        HeadOptions {
            optimizer: self.optimizer,
            lr,
            batch_size: self.batch_size,
            label_smoothing: self.label_smoothing,
            seed: self.seed,
            ..HeadOptions::default()
        }
    }

    /// The choice that needs no sweep, or the learning rates to try first.
    pub(super) fn plan(&self, validated: bool, steps_per_epoch: u64) -> Plan {
        let steps = steps_per_epoch.max(1);
        let notes = Choice {
            lr: self.lr.unwrap_or(Recipe::NOTES_LR),
            epochs: self.epochs.unwrap_or(Recipe::NOTES_EPOCHS),
            patience: None,
            standardize: false,
            keep_best: false,
            reason: "the notes' recipe".into(),
            sweep: Vec::new(),
        };
        match self.recipe {
            Recipe::Notes => Plan::Decided(notes),
            Recipe::Auto if !validated => Plan::Decided(Choice {
                lr: self.lr.unwrap_or(self.usual_lr()),
                epochs: self.epochs.unwrap_or(BLIND_EPOCHS),
                standardize: true,
                reason: "there are no validation images to choose by, so the usual values were taken".into(),
                ..notes
            }),
            Recipe::Auto => {
                let most = self.epochs.unwrap_or((MOST_STEPS / steps).clamp(FEWEST_EPOCHS, MOST_EPOCHS));
                let choice = Choice {
                    lr: self.lr.unwrap_or(self.usual_lr()),
                    epochs: most,
                    patience: if self.epochs.is_some() { None } else { Some(PATIENCE) },
                    standardize: true,
                    keep_best: true,
                    reason: "the learning rate was given".into(),
                    sweep: Vec::new(),
                };
                match self.lr {
                    Some(_) => Plan::Decided(choice),
                    None => {
                        let epochs = (SWEEP_STEPS / steps).clamp(1, SWEEP_EPOCHS).min(most);
                        Plan::Sweep { rates: self.rates().to_vec(), epochs, choice }
                    }
                }
            }
        }
    }

    /// Learning rates that a sweep tries, on standardised features.
    fn rates(&self) -> [f64; 5] {
        match self.optimizer {
            Optimizer::Adam(_) | Optimizer::AdamW(_) => [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
            Optimizer::Sgd(_) => [1e-4, 3e-4, 1e-3, 3e-3, 1e-2].map(|lr| lr * 3.0),
        }
    }

    fn usual_lr(&self) -> f64 {
        self.rates()[2]
    }
}

/// What happens before the run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    Decided(Choice),
    /// Each of `rates` is tried for `epochs`; `choice` then takes the best.
    Sweep {
        rates: Vec<f64>,
        epochs: u64,
        choice: Choice,
    },
}

impl Plan {
    /// The choice, before a sweep changes it.
    pub fn choice(&self) -> &Choice {
        match self {
            Plan::Decided(choice) | Plan::Sweep { choice, .. } => choice,
        }
    }
}

/// A seed in TOML, whose integers end at 2^63 - 1: larger ones are strings.
mod seed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Seed {
        Small(i64),
        Large(String),
    }

    pub fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        i64::try_from(*seed).map_or_else(|_| Seed::Large(seed.to_string()), Seed::Small).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        match Seed::deserialize(deserializer)? {
            Seed::Small(seed) => u64::try_from(seed).map_err(de::Error::custom),
            Seed::Large(seed) => seed.parse().map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_round_trip_through_toml() {
        for seed in [0, u64::MAX] {
            for (lr, epochs) in [(None, None), (Some(3e-4), Some(7))] {
                let settings = Settings { seed, lr, epochs, ..Settings::default() };
                let text = toml::to_string(&settings).unwrap();
                assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings, "{text}");
            }
        }
    }

    #[test]
    fn what_the_user_says_goes() {
        let given = Settings { lr: Some(0.5), epochs: Some(3), ..Settings::default() };
        for recipe in [Recipe::Auto, Recipe::Notes] {
            for validated in [true, false] {
                match (Settings { recipe, ..given.clone() }).plan(validated, 40) {
                    Plan::Decided(choice) => assert_eq!((choice.lr, choice.epochs, choice.patience), (0.5, 3, None)),
                    Plan::Sweep { .. } => panic!("a sweep although the learning rate was given"),
                }
            }
        }
    }

    #[test]
    fn the_notes_recipe_is_the_notes() {
        let Plan::Decided(choice) = (Settings { recipe: Recipe::Notes, ..Settings::default() }).plan(true, 40) else {
            panic!("a sweep");
        };
        assert_eq!((choice.lr, choice.epochs, choice.standardize, choice.keep_best), (1e-4, 5, false, false));
    }

    #[test]
    fn auto_bounds_its_work() {
        for steps in [1, 45, 1563, 40_000] {
            let Plan::Sweep { epochs, choice, .. } = Settings::default().plan(true, steps) else { panic!("no sweep") };
            assert!((1..=SWEEP_EPOCHS).contains(&epochs) && (FEWEST_EPOCHS..=MOST_EPOCHS).contains(&choice.epochs));
            assert!(epochs == 1 || epochs * steps <= SWEEP_STEPS);
        }
    }
}
