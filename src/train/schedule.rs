//! Learning-rate schedules: a factor of the learning rate for each step.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the learning rate moves over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// The same throughout.
    #[default]
    Constant,
    /// Times `gamma` at each milestone: `torch.optim.lr_scheduler.MultiStepLR`.
    Step,
    /// Half a cosine from the learning rate to 0, step by step: `CosineAnnealingLR`.
    Cosine,
    /// Up from 1/25 of the learning rate over the first 30 % of the steps, then down to a 250,000th, along cosines:
    /// `OneCycleLR` with PyTorch's defaults, but the momentum stays as it is.
    OneCycle,
}

/// A schedule as config.toml has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The curve after the warm-up.
    pub curve: Curve,
    /// Epochs (from 0) at which [`Curve::Step`] drops; if there are none, half and three quarters of the run, as the ResNet
    /// paper trains on CIFAR-10 (section 4.2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<u64>,
    /// The drop of [`Curve::Step`].
    pub gamma: f64,
    /// Epochs of linear warm-up from 0 before the curve begins.
    pub warmup_epochs: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { curve: Curve::Constant, milestones: Vec::new(), gamma: 0.1, warmup_epochs: 0.0 }
    }
}

impl Schedule {
    /// # Errors
    /// [`Error::Usage`] for values that make no sense.
    pub fn check(&self) -> Result<()> {
        if !(self.gamma > 0.0 && self.gamma <= 1.0) {
            return Err(Error::Usage(format!(
                "gamma is {}; the learning rate can be multiplied by more than 0, up to 1",
                self.gamma
            )));
        }
        if !(0.0..=1e6).contains(&self.warmup_epochs) {
            return Err(Error::Usage(format!("{} epochs of warm-up must be 0 or more", self.warmup_epochs)));
        }
        if self.curve == Curve::OneCycle && self.warmup_epochs > 0.0 {
            return Err(Error::Usage("one-cycle warms up by itself; leave --warmup-epochs out".into()));
        }
        Ok(())
    }

    /// The factor of the learning rate at `step` (from 0) of a run of `epochs` epochs of `steps_per_epoch` steps.
    pub fn factor(&self, step: u64, steps_per_epoch: u64, epochs: u64) -> f64 {
        // In f64: a run may be asked for more epochs than u64 counts steps.
        let total = (steps_per_epoch as f64 * epochs as f64).max(1.0);
        let warmup = (self.warmup_epochs * steps_per_epoch as f64).round();
        let at = step as f64;
        if at < warmup {
            return (at + 1.0) / warmup;
        }
        match self.curve {
            Curve::Constant => 1.0,
            Curve::Step => {
                let epoch = step / steps_per_epoch.max(1);
                let default = [epochs / 2, epochs - epochs.div_ceil(4)];
                let milestones = if self.milestones.is_empty() { &default[..] } else { &self.milestones };
                let passed = milestones.iter().filter(|&&milestone| milestone <= epoch).count();
                self.gamma.powi(passed as i32)
            }
            Curve::Cosine => half_cosine((at - warmup) / (total - warmup).max(1.0)),
            Curve::OneCycle => one_cycle(at, total),
        }
    }
}

/// Half a cosine from 1 at a share of 0 to 0 at a share of 1.
fn half_cosine(share: f64) -> f64 {
    0.5 * (1.0 + (share.min(1.0) * std::f64::consts::PI).cos())
}

/// PyTorch's `OneCycleLR`: `pct_start` 0.3, `div_factor` 25, `final_div_factor` 1e4, cosine annealing.
fn one_cycle(at: f64, total: f64) -> f64 {
    let anneal = |from: f64, to: f64, share: f64| to + (from - to) * half_cosine(share);
    let (top, end) = (0.3 * total - 1.0, total - 1.0);
    let first = 1.0 / 25.0;
    if at <= top { anneal(first, 1.0, at / top) } else { anneal(1.0, first / 1e4, (at - top) / (end - top)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(schedule: &Schedule, steps_per_epoch: u64, epochs: u64) -> Vec<f64> {
        (0..steps_per_epoch * epochs).map(|step| schedule.factor(step, steps_per_epoch, epochs)).collect()
    }

    #[test]
    fn any_number_of_epochs_has_a_schedule() {
        for curve in [Curve::Constant, Curve::Step, Curve::Cosine, Curve::OneCycle] {
            let schedule = Schedule { curve, ..Schedule::default() };
            let first = schedule.factor(0, u64::MAX, u64::MAX);
            assert!(first > 0.0 && first <= 1.0, "{curve:?}: {first}");
        }
        // The second milestone is three quarters of the run, rounded down.
        let step = Schedule { curve: Curve::Step, ..Schedule::default() };
        for epochs in 1..40u64 {
            let drops = (0..epochs).filter(|&epoch| step.factor(epoch, 1, epochs) < 0.05).count() as u64;
            assert_eq!(drops, epochs - epochs * 3 / 4, "{epochs}");
        }
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() < 1e-12, "step {i}: {a} against {b}");
        }
    }

    /// Printed by torch.optim.lr_scheduler (PyTorch 2.15) for a learning rate of 1 and 10 steps.
    #[test]
    fn curves_are_pytorchs() {
        let of = |curve| Schedule { curve, ..Schedule::default() };
        close(&factors(&of(Curve::Cosine), 5, 2), &COSINE);
        close(&factors(&of(Curve::OneCycle), 5, 2), &ONE_CYCLE);
        let step = Schedule { milestones: vec![2, 4], gamma: 0.5, ..of(Curve::Step) };
        close(&factors(&step, 2, 5), &[1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]);
    }

    #[test]
    fn step_drops_where_the_paper_does() {
        let found = factors(&Schedule { curve: Curve::Step, ..Schedule::default() }, 1, 8);
        close(&found, &[1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.010000000000000002, 0.010000000000000002]);
    }

    #[test]
    fn warm_up_comes_first() {
        let schedule = Schedule { curve: Curve::Cosine, warmup_epochs: 1.0, ..Schedule::default() };
        let found = factors(&schedule, 4, 3);
        close(&found[..5], &[0.25, 0.5, 0.75, 1.0, 1.0]);
        assert!(found[11] < 0.05 && found.windows(2).skip(4).all(|pair| pair[1] < pair[0]));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Schedule::default().check().is_ok());
        for bad in [
            Schedule { gamma: 0.0, ..Schedule::default() },
            Schedule { gamma: f64::NAN, ..Schedule::default() },
            Schedule { warmup_epochs: -1.0, ..Schedule::default() },
            Schedule { curve: Curve::OneCycle, warmup_epochs: 1.0, ..Schedule::default() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    const COSINE: [f64; 10] = [
        1.0,
        0.9755282581475768,
        0.9045084971874737,
        0.7938926261462366,
        0.6545084971874737,
        0.5,
        0.34549150281252633,
        0.2061073738537635,
        0.09549150281252633,
        0.024471741852423234,
    ];

    const ONE_CYCLE: [f64; 10] = [
        0.040000000000000036,
        0.52,
        1.0,
        0.9504846320134737,
        0.8117456539497631,
        0.6112620219362893,
        0.38874197806371075,
        0.18825834605023697,
        0.049519367986526286,
        4e-06,
    ];
}
