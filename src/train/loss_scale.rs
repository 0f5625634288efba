//! Dynamic loss scaling, as `torch.amp.GradScaler` does it: the largest scale at which f16 gradients stay finite. A step whose gradients
//! are not finite is skipped and halves the scale; 2,000 finite steps in a row double it.

use crate::error::{Error, Result};

/// Steps in a row after which the scale doubles.
const GROWTH_INTERVAL: u32 = 2_000;
/// Below this, the scale is not what makes gradients overflow.
const LEAST: f32 = 1.0 / 1024.0;

/// The scale of the next step, and the state that determines it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScale {
    /// A power of two.
    pub scale: f32,
    /// Steps since it changed or one was skipped.
    pub good_steps: u32,
    /// Steps so far that changed nothing.
    pub skipped: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { scale: 65_536.0, good_steps: 0, skipped: 0 }
    }
}

impl LossScale {
    /// Records a step, and whether one of its gradients was not finite.
    ///
    /// # Errors
    /// If gradients are not finite with any scale.
    pub fn update(&mut self, overflow: bool) -> Result<()> {
        if overflow {
            (self.scale, self.good_steps, self.skipped) = (self.scale / 2.0, 0, self.skipped + 1);
            if self.scale < LEAST {
                let problem = "gradients are not finite in f16, however small the loss's scale is; use --precision f32, or \
                               a smaller --lr";
                return Err(Error::shape("training", problem));
            }
            return Ok(());
        }
        self.good_steps += 1;
        if self.good_steps >= GROWTH_INTERVAL {
            self.good_steps = 0;
            // Twice the largest power of two would be infinite.
            if (self.scale * 2.0).is_finite() {
                self.scale *= 2.0;
            }
        }
        Ok(())
    }

    /// What is wrong with it, as a file may hold it.
    pub fn check(&self) -> Result<(), String> {
        let power_of_two = self.scale.is_normal() && self.scale.to_bits() & 0x007f_ffff == 0;
        match power_of_two && self.scale >= LEAST && self.good_steps < GROWTH_INTERVAL {
            true => Ok(()),
            false => Err(format!("a loss scale of {} after {} steps is invalid", self.scale, self.good_steps)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_halves_and_many_good_steps_double() {
        let mut scale = LossScale::default();
        assert_eq!(scale.scale, 65_536.0);
        for _ in 0..1_999 {
            scale.update(false).unwrap();
        }
        assert_eq!((scale.scale, scale.good_steps), (65_536.0, 1_999));
        scale.update(false).unwrap();
        assert_eq!((scale.scale, scale.good_steps), (131_072.0, 0));
        scale.update(false).unwrap();
        scale.update(true).unwrap();
        assert_eq!(scale, LossScale { scale: 65_536.0, good_steps: 0, skipped: 1 });
        // An overflow begins the count anew.
        for _ in 0..1_999 {
            scale.update(false).unwrap();
        }
        assert_eq!(scale.scale, 65_536.0);
    }

    #[test]
    fn it_stays_finite_and_gives_up_in_the_end() {
        let largest = f32::from_bits(254 << 23);
        let mut scale = LossScale { scale: largest, good_steps: 1_999, skipped: 0 };
        scale.update(false).unwrap();
        assert_eq!((scale.scale, scale.good_steps), (largest, 0));
        let mut scale = LossScale::default();
        let steps = (0..).find(|_| scale.update(true).is_err()).unwrap();
        assert_eq!((steps, scale.skipped), (26, 27));
    }

    #[test]
    fn only_what_it_can_be_is_taken_from_a_file() {
        assert!(LossScale::default().check().is_ok());
        for scale in [0.0, -2.0, 3.0, f32::NAN, f32::INFINITY, 1e-40, 2.0f32.powi(-11)] {
            assert!(LossScale { scale, ..LossScale::default() }.check().is_err(), "{scale}");
        }
        assert!(LossScale { good_steps: 2_000, ..LossScale::default() }.check().is_err());
    }
}
