//! model.safetensors: a network with everything that is needed to run it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use crate::data::Preprocess;
use crate::error::{Error, Result};
use crate::model::{Architecture, ParameterSpec, TensorSource};
use crate::predict::LoadedNetwork;
use crate::train::Head;
use crate::weights::{self, NamedTensor, Weights};

/// Writes the tensors of `source` as a self-contained model for `infer`.
pub fn save_model(
    path: &Path,
    architecture: &Architecture,
    classes: &[String],
    preprocess: &Preprocess,
    source: &dyn TensorSource,
) -> Result<()> {
    let metadata = metadata(path, architecture, classes, preprocess)?;
    weights::save(path, &tensors(architecture, source)?, &metadata)
}

/// The bytes of a self-contained model: `network` with `head` in place of its own, for `classes`.
///
/// # Errors
/// A head whose values are not finite.
pub fn model_bytes(network: &LoadedNetwork, head: &Head, classes: &[String]) -> Result<Vec<u8>> {
    let label = network.weights.label();
    let architecture = network.architecture.clone().with_classes(classes.len());
    let metadata = metadata(label, &architecture, classes, &network.preprocess)?;
    let source = WithHead { backbone: &network.weights, head };
    weights::to_bytes(label, &tensors(&architecture, &source)?, &metadata)
}

fn metadata(
    path: &Path,
    architecture: &Architecture,
    classes: &[String],
    preprocess: &Preprocess,
) -> Result<BTreeMap<String, String>> {
    let preprocess = serde_json::to_string(preprocess).map_err(|e| Error::file(path, e))?;
    weights::metadata(architecture, Some(classes), Some(&preprocess))
}

/// Every parameter of `architecture`, under its name.
fn tensors<'s>(architecture: &Architecture, source: &'s dyn TensorSource) -> Result<Vec<NamedTensor<'s>>> {
    let tensor = |spec: &ParameterSpec| {
        let values = source.tensor(&spec.name)?;
        // No loss was measured with the weights after the last step.
        if values.iter().any(|value| !value.is_finite()) {
            let problem = format!("{} is no longer finite after the last step; use a smaller --lr", spec.name);
            return Err(Error::shape("training", problem));
        }
        Ok(NamedTensor { name: spec.name.clone().into(), shape: spec.shape.clone().into(), data: values })
    };
    architecture.parameters().iter().map(tensor).collect()
}

/// A network with another head.
pub(super) struct WithHead<'a> {
    pub backbone: &'a Weights,
    pub head: &'a Head,
}

impl TensorSource for WithHead<'_> {
    fn tensor(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        match name {
            "fc.weight" => Ok(Cow::Borrowed(&self.head.weight)),
            "fc.bias" => Ok(Cow::Borrowed(&self.head.bias)),
            name => self.backbone.tensor_f32(name),
        }
    }
}
