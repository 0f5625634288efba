//! checkpoint.safetensors: everything that `--resume` needs to go on to the same bits.
//!
//! Tensors are the head and the optimiser's state (`weight`, `bias`, `exp_avg.weight`, …), the best head so far
//! (`best.weight`, `best.bias`) and the features' scaling (`scaler.mean`, `scaler.scale`); numbers are in the metadata.
//! Random numbers come from the seed and the epoch's number alone, so these two are the generator's state.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::batches::Examples;
use super::files::read_limited;
use super::head::{Head, HeadShape};
use super::options::HeadOptions;
use super::scaler::Scaler;
use super::state::{HeadState, Moment};
use super::tensor_file::{Progress, TensorFile};
use crate::error::{Error, Result};
use crate::weights::{NamedTensor, RawTensor, write_safetensors};

/// The best epoch so far and its head, on the features as they are trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// From 1.
    pub epoch: u64,
    /// Its mean cross-entropy over the validation examples.
    pub val_loss: f64,
    /// The share of them that it has right.
    pub val_accuracy: f64,
    /// Its head.
    pub head: Head,
}

/// The last epoch that lowered the validation loss by enough for early stopping to wait on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Milestone {
    /// From 1.
    pub epoch: u64,
    /// Its mean cross-entropy over the validation examples.
    pub val_loss: f64,
}

/// A run between two epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Epochs that are done.
    pub epoch: u64,
    /// The head and its optimiser after them.
    pub state: HeadState,
    /// The best of them, if there are validation examples.
    pub best: Option<Best>,
    /// What early stopping waits on.
    pub milestone: Option<Milestone>,
    /// Set if the head is trained on standardised features.
    pub scaler: Option<Scaler>,
}

/// Changes with the meaning of what is written.
const VERSION: &str = "1";

/// What a checkpoint must agree on with the run that resumes it: a sentence part for the user, and the value.
fn identity(options: &HeadOptions, train: Examples) -> Vec<(&'static str, String)> {
    let mut labels = Sha256::new();
    labels.update(bytemuck::cast_slice(train.labels));
    vec![
        ("version", VERSION.to_owned()),
        ("optimizer", format!("{:?}", options.optimizer)),
        ("lr", options.lr.to_string()),
        ("batch_size", options.batch_size.to_string()),
        ("label_smoothing", options.label_smoothing.to_string()),
        ("seed", options.seed.to_string()),
        ("examples", train.len().to_string()),
        ("labels", format!("{:x}", labels.finalize())),
    ]
}

impl Checkpoint {
    /// Writes the checkpoint of a run with `options` on `train`.
    pub fn write(&self, path: &Path, options: &HeadOptions, train: Examples) -> Result<()> {
        let HeadShape { features, classes } = self.state.head.shape;
        let (weight, bias, columns) = ([classes, features], [classes], [features]);
        let mut metadata: BTreeMap<String, String> =
            identity(options, train).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        metadata.insert("epoch".into(), self.epoch.to_string());
        metadata.insert("step".into(), self.state.step.to_string());
        let mut tensors = vec![
            NamedTensor::new("weight", &weight, &self.state.head.weight),
            NamedTensor::new("bias", &bias, &self.state.head.bias),
        ];
        for (moment, name) in self.state.moments.iter().zip(options.optimizer.moments()) {
            tensors.push(NamedTensor::new(format!("{name}.weight"), &weight, &moment.weight));
            tensors.push(NamedTensor::new(format!("{name}.bias"), &bias, &moment.bias));
        }
        if let Some(best) = &self.best {
            // Rust prints the shortest decimal that parses to the same f64, so these are exact.
            metadata.insert("best.epoch".into(), best.epoch.to_string());
            metadata.insert("best.val_loss".into(), best.val_loss.to_string());
            metadata.insert("best.val_accuracy".into(), best.val_accuracy.to_string());
            tensors.push(NamedTensor::new("best.weight", &weight, &best.head.weight));
            tensors.push(NamedTensor::new("best.bias", &bias, &best.head.bias));
        }
        if let Some(milestone) = &self.milestone {
            metadata.insert("milestone.epoch".into(), milestone.epoch.to_string());
            metadata.insert("milestone.val_loss".into(), milestone.val_loss.to_string());
        }
        if let Some(scaler) = &self.scaler {
            tensors.push(NamedTensor::new("scaler.mean", &columns, &scaler.mean));
            tensors.push(NamedTensor::new("scaler.scale", &columns, &scaler.scale));
        }
        let raw: Vec<RawTensor> = tensors.iter().map(RawTensor::from).collect();
        write_safetensors(path, &raw, &metadata)
    }

    /// Reads the checkpoint at `path` for a run with `options` on `train`; none if there is no such file.
    ///
    /// # Errors
    /// [`Error::File`] if it is damaged, or belongs to a run with other options, classes, features or images.
    pub fn read(path: &Path, shape: HeadShape, options: &HeadOptions, train: Examples) -> Result<Option<Self>> {
        // Four heads and the scaling at most, and a header.
        let limit = 4 * 4 * (shape.weights() + shape.classes) as u64 + 8 * shape.features as u64 + (1 << 20);
        let Some(bytes) = read_limited(path, limit)? else {
            return Ok(None);
        };
        let file = TensorFile::parse(path, &bytes)?;
        file.check_identity(&identity(options, train))?;
        let (weight, bias) = ([shape.classes, shape.features], [shape.classes]);
        let head = |prefix: &str| -> Result<(Vec<f32>, Vec<f32>)> {
            Ok((file.tensor(&format!("{prefix}weight"), &weight)?, file.tensor(&format!("{prefix}bias"), &bias)?))
        };
        let whole = |(weight, bias)| Head::new(shape, weight, bias).map_err(|error| Error::file(path, error));
        let moments = options.optimizer.moments().iter().map(|name| {
            let (weight, bias) = head(&format!("{name}."))?;
            Ok(Moment { weight, bias })
        });
        let Progress { epoch, step } = file.progress()?;
        let state = HeadState { head: whole(head("")?)?, moments: moments.collect::<Result<_>>()?, step };
        let best = match file.best(epoch)? {
            Some((epoch, val_loss, val_accuracy)) => {
                Some(Best { epoch, val_loss, val_accuracy, head: whole(head("best.")?)? })
            }
            None => None,
        };
        // Runs of earlier versions noted a first loss that was not finite, which no later one is below.
        let milestone = file.measured("milestone", epoch)?.filter(|(_, val_loss)| val_loss.is_finite());
        let milestone = milestone.map(|(epoch, val_loss)| Milestone { epoch, val_loss });
        let scaler = if file.has_tensor("scaler.mean") {
            let columns = [shape.features];
            let scaler =
                Scaler { mean: file.tensor("scaler.mean", &columns)?, scale: file.tensor("scaler.scale", &columns)? };
            if scaler.scale.iter().any(|&scale| scale <= 0.0) {
                return Err(file.damaged("a feature's scale is not above zero"));
            }
            Some(scaler)
        } else {
            None
        };
        Ok(Some(Self { epoch, state, best, milestone, scaler }))
    }
}
