//! checkpoint.safetensors of a run that trains more than a head: the state dict under its own names, the optimiser's
//! tensors as `exp_avg.conv1.weight`, the moving average as `ema.conv1.weight`; numbers are in the metadata. Random numbers
//! come from the seed, the epoch and the image alone, so these are the generator's state.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::read_limited;
use super::initial::Tensors;
use super::loss_scale::LossScale;
use super::network_trainer::{NetworkState, NetworkTrainer};
use super::tensor_file::{Progress, TensorFile};
use crate::error::Result;
use crate::model::ParameterSpec;
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

/// The tensors that a run's checkpoint has.
#[derive(Clone, Debug)]
pub struct CheckpointLayout {
    /// The state dict.
    pub parameters: Vec<ParameterSpec>,
    /// The optimiser's, by name.
    pub moments: Vec<(String, Vec<usize>)>,
    /// Whether there is a moving average, which is a second state dict.
    pub average: bool,
    /// Whether the loss is scaled.
    pub loss_scale: bool,
}

impl CheckpointLayout {
    fn of(trainer: &NetworkTrainer) -> Result<Self> {
        Ok(Self {
            parameters: trainer.architecture().parameters(),
            moments: trainer.moment_shapes()?,
            average: trainer.options().network.ema.is_some(),
            loss_scale: trainer.loss_scale().is_some(),
        })
    }

    /// The largest file that such a checkpoint can be: its values, and a header.
    fn most_bytes(&self) -> u64 {
        let values = |shape: &[usize]| shape.iter().map(|&extent| extent as u64).product::<u64>();
        let parameters: u64 = self.parameters.iter().map(|spec| values(&spec.shape)).sum();
        let moments: u64 = self.moments.iter().map(|(_, shape)| values(shape)).sum();
        4 * (2 * parameters + moments) + (16 << 20)
    }
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
        Self::read_as(path, &CheckpointLayout::of(trainer)?, identity)
    }

    /// The same for a run whose checkpoint has this layout.
    pub fn read_as(path: &Path, layout: &CheckpointLayout, identity: &Identity) -> Result<Option<Self>> {
        let Some(bytes) = read_limited(path, layout.most_bytes())? else {
            return Ok(None);
        };
        let file = TensorFile::parse(path, &bytes)?;
        file.check_identity(identity)?;
        let state_dict = |prefix: &str| -> Result<Tensors> {
            let read = layout.parameters.iter().map(|spec| {
                let data = file.tensor(&format!("{prefix}{}", spec.name), &spec.shape)?;
                Ok((spec.name.clone(), data))
            });
            Ok(Tensors(read.collect::<Result<_>>()?))
        };
        let average = layout.average.then(|| state_dict(AVERAGE)).transpose()?;
        let moments = layout.moments.iter().map(|(name, shape)| Ok((name.clone(), file.tensor(name, shape)?)));
        let Progress { epoch, step } = file.progress()?;
        let state = NetworkState {
            tensors: state_dict("")?,
            average,
            moments: moments.collect::<Result<_>>()?,
            step,
            loss_scale: layout.loss_scale.then(|| loss_scale(&file)).transpose()?,
        };
        if state.loss_scale.is_some_and(|scale| scale.skipped > step) {
            return Err(file.damaged("more steps were skipped than there were"));
        }
        let best = file.best(epoch)?;
        let best = best.map(|(epoch, val_loss, val_accuracy)| BestEpoch { epoch, val_loss, val_accuracy });
        Ok(Some(Self { epoch, state, best }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ParameterKind;

    fn layout() -> CheckpointLayout {
        let weight = ParameterSpec { name: "fc.weight".into(), shape: vec![1, 2], kind: ParameterKind::LinearWeight };
        let moments = vec![("exp_avg.fc.weight".to_owned(), vec![1, 2])];
        CheckpointLayout { parameters: vec![weight], moments, average: true, loss_scale: true }
    }

    /// What is read of a checkpoint whose metadata and tensors `change` has changed.
    fn read(
        change: impl Fn(&mut BTreeMap<String, String>, &mut Vec<NamedTensor>),
    ) -> Result<Option<NetworkCheckpoint>> {
        let numbers = [
            ("version", "1"),
            ("epoch", "2"),
            ("step", "6"),
            ("loss_scale", "1024"),
            ("loss_scale.good_steps", "3"),
            ("loss_scale.skipped", "1"),
        ];
        let mut metadata = numbers.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let names = ["fc.weight", "ema.fc.weight", "exp_avg.fc.weight"];
        let mut tensors: Vec<NamedTensor> =
            names.iter().map(|name| NamedTensor::new(*name, &[1, 2], vec![0.5, 1.0])).collect();
        change(&mut metadata, &mut tensors);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let raw: Vec<RawTensor> = tensors.iter().map(RawTensor::from).collect();
        write_safetensors(&path, &raw, &metadata).unwrap();
        NetworkCheckpoint::read_as(&path, &layout(), &vec![("version", "1".to_owned())])
    }

    #[test]
    fn damaged_checkpoints_are_refused_and_named() {
        let whole = read(|_, _| ()).unwrap().unwrap();
        assert_eq!((whole.epoch, whole.state.step, whole.best), (2, 6, None));
        assert_eq!(whole.state.loss_scale, Some(LossScale { scale: 1024.0, good_steps: 3, skipped: 1 }));
        let number = |key: &'static str, value: &'static str| {
            read(move |metadata, _| drop(metadata.insert(key.into(), value.into())))
        };
        for (key, value) in [
            ("version", "2"),
            ("epoch", "7"),
            ("step", "18446744073709551615"),
            ("loss_scale", "0.1"),
            ("loss_scale.skipped", "7"),
            ("best.epoch", "3"),
        ] {
            let said = number(key, value).unwrap_err().to_string();
            assert!(said.contains("checkpoint.safetensors: is not a checkpoint that fits"), "{key}: {said}");
        }
        for bad in [
            read(|_, tensors| drop(tensors.pop())),
            read(|_, tensors| tensors[1] = NamedTensor::new("ema.fc.weight", &[2], vec![0.5, 1.0])),
            read(|_, tensors| tensors[0] = NamedTensor::new("fc.weight", &[1, 2], vec![f32::NAN, 1.0])),
        ] {
            assert!(bad.unwrap_err().to_string().contains("checkpoint.safetensors"));
        }
    }
}
