//! How a head is trained: the optimiser with its attributes, and the options of a run.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ops::attributes::{AdamAttributes, CrossEntropyAttributes, SgdAttributes};

/// The optimisers, under PyTorch's names. The attributes' own `lr` is not used: [`HeadOptions::lr`] is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "OptimizerTable", into = "OptimizerTable")]
pub enum Optimizer {
    /// `torch.optim.Adam`.
    Adam(AdamAttributes),
    /// `torch.optim.AdamW`.
    AdamW(AdamAttributes),
    /// `torch.optim.SGD`.
    Sgd(SgdAttributes),
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::Adam(AdamAttributes::default())
    }
}

impl Optimizer {
    /// `adam`, `adamw` or `sgd`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Adam(_) => "adam",
            Self::AdamW(_) => "adamw",
            Self::Sgd(_) => "sgd",
        }
    }

    /// The optimiser called `name`: PyTorch's defaults, but SGD with momentum 0.9, without which a head learns slowly.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "adam" => Ok(Self::Adam(AdamAttributes::default())),
            "adamw" => Ok(Self::AdamW(AdamAttributes::adamw())),
            "sgd" => Ok(Self::Sgd(SgdAttributes { momentum: 0.9, ..SgdAttributes::default() })),
            other => Err(Error::Usage(format!("there is no optimizer {other:?}; use adam, adamw or sgd"))),
        }
    }

    /// [`Self::named`] with the weight decay and the momentum that were asked for.
    ///
    /// # Errors
    /// [`Error::Usage`] for another name, and for a momentum of an optimiser that takes none.
    pub fn with(name: &str, weight_decay: Option<f64>, momentum: Option<f64>) -> Result<Self> {
        let mut optimizer = Self::named(name)?;
        match &mut optimizer {
            Self::Adam(a) | Self::AdamW(a) => {
                a.weight_decay = weight_decay.unwrap_or(a.weight_decay);
                if momentum.is_some() {
                    return Err(Error::Usage(format!("{name} takes no --momentum; leave it out or use sgd")));
                }
            }
            Self::Sgd(a) => {
                a.weight_decay = weight_decay.unwrap_or(a.weight_decay);
                a.momentum = momentum.unwrap_or(a.momentum);
            }
        }
        Ok(optimizer)
    }

    /// Names of the tensors that the optimiser keeps for each parameter, as PyTorch's `state_dict` has them.
    pub fn moments(&self) -> &'static [&'static str] {
        match self {
            Self::Adam(_) | Self::AdamW(_) => &["exp_avg", "exp_avg_sq"],
            Self::Sgd(_) => &["momentum_buffer"],
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Self::Adam(attributes) | Self::AdamW(attributes) => {
                attributes.check(self.name())?;
                if attributes.eps > 0.0 {
                    return Ok(());
                }
                // Where a feature is always zero, so are its gradient and its moments.
                Err(Error::shape(self.name(), "eps must be above zero, or dead features give 0 / 0"))
            }
            Self::Sgd(attributes) => attributes.check(),
        }
    }
}

/// An optimiser as config.toml has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptimizerTable {
    name: String,
    weight_decay: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    betas: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dampening: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
}

impl From<Optimizer> for OptimizerTable {
    fn from(optimizer: Optimizer) -> Self {
        let name = optimizer.name().to_owned();
        let none =
            Self { name, weight_decay: 0.0, betas: None, eps: None, momentum: None, dampening: None, nesterov: None };
        match optimizer {
            Optimizer::Adam(a) | Optimizer::AdamW(a) => {
                Self { weight_decay: a.weight_decay, betas: Some(a.betas), eps: Some(a.eps), ..none }
            }
            Optimizer::Sgd(a) => Self {
                weight_decay: a.weight_decay,
                momentum: Some(a.momentum),
                dampening: Some(a.dampening),
                nesterov: Some(a.nesterov),
                ..none
            },
        }
    }
}

impl TryFrom<OptimizerTable> for Optimizer {
    type Error = Error;

    fn try_from(table: OptimizerTable) -> Result<Self> {
        let mut optimizer = Self::named(&table.name)?;
        match &mut optimizer {
            Self::Adam(a) | Self::AdamW(a) => {
                a.weight_decay = table.weight_decay;
                a.betas = table.betas.unwrap_or(a.betas);
                a.eps = table.eps.unwrap_or(a.eps);
            }
            Self::Sgd(a) => {
                a.weight_decay = table.weight_decay;
                a.momentum = table.momentum.unwrap_or(a.momentum);
                a.dampening = table.dampening.unwrap_or(a.dampening);
                a.nesterov = table.nesterov.unwrap_or(a.nesterov);
            }
        }
        optimizer.check()?;
        Ok(optimizer)
    }
}

/// Options of a [`super::HeadTrainer`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadOptions {
    /// Optimiser.
    pub optimizer: Optimizer,
    /// Learning rate.
    pub lr: f64,
    /// Examples of a step; the last one of an epoch may have fewer.
    pub batch_size: usize,
    /// Share of the target probability spread over all classes while training; validation uses none.
    pub label_smoothing: f64,
    /// Draws the initial weights and the order of each epoch.
    pub seed: u64,
    /// Features that take more bytes than this (or than one binding of the adapter) are uploaded as they are needed,
    /// instead of once. The result is the same to the bit.
    pub resident_bytes: u64,
}

impl Default for HeadOptions {
    /// The notes' recipe: Adam, learning rate 1e-4, batches of 32.
    fn default() -> Self {
        Self {
            optimizer: Optimizer::default(),
            lr: 1e-4,
            batch_size: 32,
            label_smoothing: 0.0,
            seed: 0,
            resident_bytes: u64::MAX,
        }
    }
}

impl HeadOptions {
    /// # Errors
    /// [`Error::Shape`] or [`Error::Usage`] for an attribute, a learning rate or a batch size that makes no sense.
    pub fn check(&self) -> Result<()> {
        self.optimizer.check()?;
        check_lr(self.lr)?;
        self.loss().check()?;
        if self.batch_size == 0 || self.batch_size > 1 << 20 {
            let size = self.batch_size;
            return Err(Error::Usage(format!("a batch size of {size} can't be trained with; use 1 to 1048576")));
        }
        Ok(())
    }

    pub(super) fn loss(&self) -> CrossEntropyAttributes {
        CrossEntropyAttributes { label_smoothing: self.label_smoothing, ..Default::default() }
    }
}

pub(super) fn check_lr(lr: f64) -> Result<()> {
    if lr > 0.0 && lr.is_finite() {
        return Ok(());
    }
    Err(Error::Usage(format!("a learning rate of {lr} can't be trained with; use a number above zero")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optimizers_round_trip_through_toml() {
        for name in ["adam", "adamw", "sgd"] {
            let optimizer = Optimizer::named(name).unwrap();
            let text = toml::to_string(&optimizer).unwrap();
            assert_eq!(toml::from_str::<Optimizer>(&text).unwrap(), optimizer, "{text}");
        }
        assert!(Optimizer::named("lion").is_err());
        assert!(toml::from_str::<Optimizer>("name = \"adam\"\nweight_decay = -1.0").is_err());
        assert!(toml::from_str::<Optimizer>("name = \"adam\"\nweight_decay = 0.0\nlr = 1").is_err());
    }

    #[test]
    fn senseless_options_are_refused() {
        let good = HeadOptions::default();
        assert!(good.check().is_ok());
        for lr in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(HeadOptions { lr, ..good }.check().is_err(), "{lr}");
        }
        assert!(HeadOptions { batch_size: 0, ..good }.check().is_err());
        assert!(HeadOptions { label_smoothing: 1.5, ..good }.check().is_err());
        let dead = Optimizer::Adam(AdamAttributes { eps: 0.0, ..AdamAttributes::default() });
        assert!(HeadOptions { optimizer: dead, ..good }.check().is_err());
    }
}
