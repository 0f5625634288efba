//! model.safetensors: a network with everything that is needed to run it.

use std::path::Path;

use crate::data::Preprocess;
use crate::error::{Error, Result};
use crate::model::{Architecture, TensorSource};
use crate::weights::{self, NamedTensor};

/// Writes the tensors of `source` as a self-contained model for `infer`.
pub fn save_model(
    path: &Path,
    architecture: &Architecture,
    classes: &[String],
    preprocess: &Preprocess,
    source: &dyn TensorSource,
) -> Result<()> {
    let preprocess = serde_json::to_string(preprocess).map_err(|e| Error::file(path, e))?;
    let metadata = weights::metadata(architecture, Some(classes), Some(&preprocess))?;
    let specs = architecture.parameters();
    let mut tensors = Vec::with_capacity(specs.len());
    for spec in &specs {
        let values = source.tensor(&spec.name)?;
        // No loss was measured with the weights after the last step.
        if values.iter().any(|value| !value.is_finite()) {
            let problem = format!("{} is no longer finite after the last step; use a smaller --lr", spec.name);
            return Err(Error::shape("training", problem));
        }
        tensors.push(NamedTensor::new(spec.name.as_str(), &spec.shape, values));
    }
    weights::save(path, &tensors, &metadata)
}
