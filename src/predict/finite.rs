//! Results that are not finite numbers. They say nothing about an image, although a sorted list of NaNs would still have a first entry.

use std::cell::OnceCell;

use super::loaded_network::LoadedNetwork;
use crate::error::{Error, Result};
use crate::ops::Precision;
use crate::runtime::Runtime;

/// Weights above this give products with ordinary values that overflow f32 (3.4e38).
const TOO_LARGE: f32 = 1e30;

/// Refuses results of a network that are not finite, and says why they may not be.
pub struct Finite<'a> {
    model: &'a LoadedNetwork,
    precision: Precision,
    /// Computed when first needed, since it takes reading all weights.
    reason: OnceCell<String>,
}

impl<'a> Finite<'a> {
    pub fn new(runtime: &Runtime, model: &'a LoadedNetwork) -> Self {
        Self { model, precision: runtime.precision, reason: OnceCell::new() }
    }

    /// An error about the input `name` if one of its `values`, its logits or its features, is not finite.
    pub fn check(&self, name: &str, what: &str, values: &[f32]) -> Result<()> {
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(()),
            false => Err(Error::file(name, format!("its {what} are not finite numbers: {}", self.reason()))),
        }
    }

    fn reason(&self) -> &str {
        self.reason.get_or_init(|| {
            let label = self.model.weights.label().display();
            match (self.largest(), self.precision) {
                (Some((tensor, value)), _) if value >= TOO_LARGE => {
                    format!("the weights of {label} are too large ({tensor} holds {value:e}); use others")
                }
                (_, Precision::F16) => {
                    format!("f16 ends at 65504, and {label} exceeds it; use --precision f32")
                }
                (_, Precision::F32) => format!("f32 ends at 3.4e38, and {label} exceeds it; use other weights"),
            }
        })
    }

    /// The largest weight, and its tensor.
    fn largest(&self) -> Option<(String, f32)> {
        let of = |name: String| {
            let values = self.model.weights.tensor_f32(&name).ok()?;
            Some((name, values.iter().fold(0.0f32, |most, value| most.max(value.abs()))))
        };
        let parameters = self.model.architecture.parameters().into_iter();
        parameters.filter_map(|parameter| of(parameter.name)).max_by(|(_, a), (_, b)| a.total_cmp(b))
    }
}
