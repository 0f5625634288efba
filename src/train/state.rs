//! Everything that the next step depends on, on the host.

use super::head::{Head, HeadShape};
use super::options::Optimizer;
use crate::error::{Error, Result};

/// One of the optimiser's running tensors, for the weight and the bias, in PyTorch's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// `[classes, features]`.
    pub weight: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
}

impl Moment {
    /// What every optimiser starts from.
    pub fn zero(shape: HeadShape) -> Self {
        Self { weight: vec![0.0; shape.weights()], bias: vec![0.0; shape.classes] }
    }
}

/// The state of a [`super::HeadTrainer`] between two epochs. Training that goes on from it gives the same bits.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadState {
    /// The head on the features as they are trained on: standardised ones, if there is a scaler.
    pub head: Head,
    /// One for each of [`Optimizer::moments`], in that order.
    pub moments: Vec<Moment>,
    /// Steps so far.
    pub step: u64,
}

impl HeadState {
    /// # Errors
    /// [`Error::Shape`] if the tensors don't have the sizes that `shape` and `optimizer` ask for.
    pub fn check(&self, shape: HeadShape, optimizer: &Optimizer) -> Result<()> {
        self.head.check(shape)?;
        let fits = |m: &Moment| m.weight.len() == shape.weights() && m.bias.len() == shape.classes;
        if self.moments.len() != optimizer.moments().len() || !self.moments.iter().all(fits) {
            return Err(Error::shape(
                "head training",
                format!(
                    "the saved optimiser state is not that of {}; resume with the run's optimizer",
                    optimizer.name()
                ),
            ));
        }
        Ok(())
    }
}
