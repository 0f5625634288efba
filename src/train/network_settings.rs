//! The settings for training more than a head on fixed features.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use crate::data::Augment;
use crate::error::{Error, Result};
use crate::model::{Architecture, Recompute};
use crate::ops::Precision;

/// The lowest part of a network that is trained; what is below is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Unfreeze {
    /// The classifier alone.
    Head,
    /// A stage, from 1, and everything above it.
    Stage(usize),
    /// Everything.
    All,
}

impl Unfreeze {
    /// [`crate::model::PassOptions::train_from`] of a network of this architecture.
    ///
    /// # Errors
    /// [`Error::Usage`] if it has no such stage.
    pub fn train_from(self, architecture: &Architecture) -> Result<usize> {
        let stages = architecture.depths.len();
        match self {
            Self::All => Ok(0),
            Self::Head => Ok(stages + 1),
            Self::Stage(stage) if stage <= stages => Ok(stage),
            Self::Stage(stage) => {
                Err(Error::Usage(format!("the network has no layer{stage}; its last stage is layer{stages}")))
            }
        }
    }
}

impl fmt::Display for Unfreeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Stage(stage) => write!(f, "layer{stage}"),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for Unfreeze {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let stage = word.strip_prefix("layer").and_then(|number| number.parse().ok()).filter(|&stage| stage > 0);
        match (word, stage) {
            ("head", _) => Ok(Self::Head),
            ("all", _) => Ok(Self::All),
            (_, Some(stage)) => Ok(Self::Stage(stage)),
            _ => Err(Error::Usage(format!("{word:?} is no part of a network; use head, layer4, layer3, … or all"))),
        }
    }
}

impl TryFrom<String> for Unfreeze {
    type Error = Error;

    fn try_from(word: String) -> Result<Self> {
        word.parse()
    }
}

impl From<Unfreeze> for String {
    fn from(unfreeze: Unfreeze) -> Self {
        unfreeze.to_string()
    }
}

/// The statistics that batch normalisation uses in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum BnMode {
    /// The running statistics, which do not change.
    Eval,
    /// The batch's own, which update the running ones (PyTorch's `model.train()`), in frozen parts too.
    #[default]
    Train,
}

/// config.toml has it under `network`; [`super::Settings`] has the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    pub unfreeze: Unfreeze,
    pub bn: BnMode,
    /// Learning rate of everything but the head; if there is none, the head's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backbone_lr: Option<f64>,
    /// Whether weight decay acts on normalisations and biases too, as `torch.optim` has it by default.
    pub bias_decay: bool,
    /// Largest norm of all gradients together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_grad_norm: Option<f64>,
    /// Decay of a moving average of the weights, which is then validated and saved. It is shorter at first:
    /// min(decay, (1 + t) / (10 + t)) at step t (from 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Epochs without a better one after which training stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Whether metrics.jsonl notes the norm of the gradients, and of the one that enters each block.
    pub log_gradients: bool,
    pub recompute: Recompute,
    /// How feature maps and their gradients are stored; with f16 the loss is scaled (see [`super::LossScale`]).
    #[serde(default, skip_serializing_if = "is_f32")]
    pub precision: Precision,
    pub schedule: Schedule,
    pub augment: Augment,
}

fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            unfreeze: Unfreeze::All,
            bn: BnMode::Train,
            backbone_lr: None,
            bias_decay: true,
            clip_grad_norm: None,
            ema: None,
            patience: None,
            log_gradients: false,
            recompute: Recompute::None,
            precision: Precision::F32,
            schedule: Schedule::default(),
            augment: Augment::default(),
        }
    }
}

impl NetworkSettings {
    /// # Errors
    /// [`Error::Usage`] for values that make no sense.
    pub fn check(&self) -> Result<()> {
        let refuse = |problem: String| Err(Error::Usage(problem));
        self.schedule.check()?;
        self.augment.validate()?;
        if let Some(lr) = self.backbone_lr {
            super::options::check_lr(lr)?;
        }
        if let Some(norm) = self.clip_grad_norm
            && !(norm > 0.0 && norm.is_finite())
        {
            return refuse(format!("gradients can't be clipped to a norm of {norm}; use a number above zero"));
        }
        if let Some(decay) = self.ema
            && !(0.0..1.0).contains(&decay)
        {
            return refuse(format!("a moving average can't decay by {decay}; use at least 0 and less than 1"));
        }
        if self.patience == Some(0) {
            return refuse("a patience of 0 epochs would never train; use 1 or more".into());
        }
        Ok(())
    }

    /// The decay of the moving average at step `t` (from 1).
    pub fn ema_decay(&self, t: u64) -> Option<f64> {
        self.ema.map(|decay| decay.min((1.0 + t as f64) / (10.0 + t as f64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_round_trip_through_toml() {
        let rich = NetworkSettings {
            unfreeze: Unfreeze::Stage(3),
            backbone_lr: Some(1e-4),
            ema: Some(0.99),
            precision: Precision::F16,
            augment: "cifar".parse().unwrap(),
            ..NetworkSettings::default()
        };
        for settings in [NetworkSettings::default(), rich] {
            let text = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<NetworkSettings>(&text).unwrap(), settings, "{text}");
            // The settings of an f32 run are written as before this option existed.
            assert_eq!(text.contains("precision = \"f16\""), settings.precision == Precision::F16, "{text}");
            assert_eq!(text.contains("precision"), settings.precision == Precision::F16, "{text}");
        }
    }

    #[test]
    fn parts_of_a_network_have_names() {
        let resnet50 = Architecture::named("resnet50").unwrap();
        for (word, from) in [("all", 0), ("layer1", 1), ("layer4", 4), ("head", 5)] {
            let unfreeze: Unfreeze = word.parse().unwrap();
            assert_eq!((unfreeze.to_string().as_str(), unfreeze.train_from(&resnet50).unwrap()), (word, from));
        }
        assert!(Unfreeze::Stage(5).train_from(&resnet50).is_err());
        for word in ["", "layer", "layer0", "layer-1", "tail"] {
            assert!(word.parse::<Unfreeze>().is_err(), "{word}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let good = NetworkSettings::default();
        assert!(good.check().is_ok());
        for bad in [
            NetworkSettings { ema: Some(1.0), ..good.clone() },
            NetworkSettings { clip_grad_norm: Some(0.0), ..good.clone() },
            NetworkSettings { backbone_lr: Some(f64::NAN), ..good.clone() },
            NetworkSettings { patience: Some(0), ..good.clone() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_average_warms_up() {
        let settings = NetworkSettings { ema: Some(0.9), ..NetworkSettings::default() };
        assert_eq!(settings.ema_decay(1), Some(2.0 / 11.0));
        assert_eq!(settings.ema_decay(1_000), Some(0.9));
        assert_eq!(NetworkSettings::default().ema_decay(1), None);
    }
}
