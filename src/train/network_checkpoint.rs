//! checkpoint.safetensors of a run that trains more than a head: the state dict under its own names, the optimiser's
//! tensors as `exp_avg.conv1.weight`, the moving average as `ema.conv1.weight`; numbers are in the metadata. Random numbers
//! come from the seed, the epoch and the image alone, so these are the generator's state.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::read_limited;
use super::initial::Tensors;
use super::loss_scale::LossScale;
use super::network_trainer::{NetworkState, NetworkTrainer};
use super::tensor_file::TensorFile;
use crate::error::Result;
use crate::weights::{NamedTensor, RawTensor, write_safetensors};

/// The best epoch so far, whose weights are in model.safetensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestEpoch {
    /// From 1.
    pub epoch: u64,
    pub val_loss: f64,
    pub val_accuracy: f64,
}

/// A run between two epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkCheckpoint {
    /// Epochs that are done.
    pub epoch: u64,
    pub state: NetworkState,
    pub best: Option<BestEpoch>,
}

/// What a checkpoint must agree on with the run that resumes it: a word for the user, and the value.
pub type Identity = Vec<(&'static str, String)>;

const AVERAGE: &str = "ema.";

impl NetworkCheckpoint {
    /// Writes the checkpoint of a run by `trainer`.
    pub fn write(&self, path: &Path, trainer: &NetworkTrainer, identity: &Identity) -> Result<()> {
        let mut metadata: BTreeMap<String, String> =
            identity.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        metadata.insert("epoch".into(), self.epoch.to_string());
        metadata.insert("step".into(), self.state.step.to_string());
        if let Some(LossScale { scale, good_steps, skipped }) = self.state.loss_scale {
            metadata.insert("loss_scale".into(), scale.to_string());
            metadata.insert("loss_scale.good_steps".into(), good_steps.to_string());
            metadata.insert("loss_scale.skipped".into(), skipped.to_string());
        }
        if let Some(best) = &self.best {
            // Rust prints the shortest decimal that parses to the same f64, so these are exact.
            metadata.insert("best.epoch".into(), best.epoch.to_string());
            metadata.insert("best.val_loss".into(), best.val_loss.to_string());
            metadata.insert("best.val_accuracy".into(), best.val_accuracy.to_string());
        }
        let shapes = trainer.moment_shapes()?;
        let specs = trainer.architecture().parameters();
        let mut tensors = Vec::new();
        for spec in &specs {
            tensors.push(NamedTensor::new(spec.name.as_str(), &spec.shape, &self.state.tensors.0[&spec.name][..]));
            if let Some(average) = &self.state.average {
                let name = format!("{AVERAGE}{}", spec.name);
                tensors.push(NamedTensor::new(name, &spec.shape, &average.0[&spec.name][..]));
            }
        }
        for (name, shape) in &shapes {
            tensors.push(NamedTensor::new(name.as_str(), shape, &self.state.moments[name][..]));
        }
        let raw: Vec<RawTensor> = tensors.iter().map(RawTensor::from).collect();
        write_safetensors(path, &raw, &metadata)
    }

    /// Reads the checkpoint at `path` for a run by `trainer`; none if there is no such file.
    ///
    /// # Errors
    /// [`crate::Error::File`] if it is damaged, or belongs to a run with other settings, images or another network.
    pub fn read(path: &Path, trainer: &NetworkTrainer, identity: &Identity) -> Result<Option<Self>> {
        let specs = trainer.architecture().parameters();
        let moments = trainer.moment_shapes()?;
        let floats = |shapes: &mut dyn Iterator<Item = &Vec<usize>>| -> u64 {
            shapes.map(|shape| shape.iter().map(|&extent| extent as u64).product::<u64>()).sum()
        };
        // Two copies of the state dict and the optimiser's tensors at most, and a header.
        let most = 2 * floats(&mut specs.iter().map(|spec| &spec.shape)) + floats(&mut moments.iter().map(|(_, s)| s));
        let Some(bytes) = read_limited(path, most * 4 + (16 << 20))? else {
            return Ok(None);
        };
        let file = TensorFile::parse(path, &bytes)?;
        file.check_identity(identity)?;
        let state_dict = |prefix: &str| -> Result<Tensors> {
            let read = specs.iter().map(|spec| {
                let data = file.tensor(&format!("{prefix}{}", spec.name), &spec.shape)?;
                Ok((spec.name.clone(), data))
            });
            Ok(Tensors(read.collect::<Result<_>>()?))
        };
        let average = trainer.options().network.ema.is_some().then(|| state_dict(AVERAGE)).transpose()?;
        let read = moments.into_iter().map(|(name, shape)| {
            let data = file.tensor(&name, &shape)?;
            Ok((name, data))
        });
        let state = NetworkState {
            tensors: state_dict("")?,
            average,
            moments: read.collect::<Result<_>>()?,
            step: file.number("step")?,
            loss_scale: trainer.loss_scale().map(|_| loss_scale(&file)).transpose()?,
        };
        if state.loss_scale.is_some_and(|scale| scale.skipped > state.step) {
            return Err(file.damaged("more steps were skipped than there were"));
        }
        let best = if file.has("best.epoch") {
            Some(BestEpoch {
                epoch: file.number("best.epoch")?,
                val_loss: file.number("best.val_loss")?,
                val_accuracy: file.number("best.val_accuracy")?,
            })
        } else {
            None
        };
        Ok(Some(Self { epoch: file.number("epoch")?, state, best }))
    }
}

fn loss_scale(file: &TensorFile) -> Result<LossScale> {
    let scale = LossScale {
        scale: file.number("loss_scale")?,
        good_steps: file.number("loss_scale.good_steps")?,
        skipped: file.number("loss_scale.skipped")?,
    };
    scale.check().map_err(|problem| file.damaged(problem))?;
    Ok(scale)
}
