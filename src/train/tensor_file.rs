//! Reading a checkpoint's file: tensors by name, numbers from the metadata, and the check of whose it is.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};

/// The most epochs and steps of a run. More are damage, and a number near the end of its type could not be counted on from.
const MOST_STEPS: u64 = 1 << 48;

/// How far a run had come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Progress {
    /// Epochs that are done.
    pub epoch: u64,
    /// Steps so far.
    pub step: u64,
}

/// A parsed file; its errors name it.
pub(super) struct TensorFile<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    metadata: std::collections::HashMap<String, String>,
}

impl<'a> TensorFile<'a> {
    pub fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let damaged =
            |error| Error::file(path, format!("is not a checkpoint ({error}); start the run again without it"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { path, tensors: SafeTensors::deserialize(bytes).map_err(damaged)?, metadata })
    }

    pub fn damaged(&self, problem: impl std::fmt::Display) -> Error {
        Error::file(self.path, format!("is not a checkpoint that fits: {problem}; start the run again without it"))
    }

    /// Whether the metadata has `key`.
    pub fn has(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    /// Whether there is a tensor called `name`.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    pub fn check_identity(&self, expected: &[(&'static str, String)]) -> Result<()> {
        for (key, value) in expected {
            match self.metadata.get(*key) {
                Some(found) if found == value => {}
                _ if *key == "labels" => return Err(self.damaged("it was made with other training images")),
                Some(found) => {
                    let found: String = found.chars().filter(|c| !c.is_control()).take(80).collect();
                    return Err(self.damaged(format!("its {key} is {found}, and that of this run {value}")));
                }
                None => return Err(self.damaged(format!("it lacks its {key}"))),
            }
        }
        Ok(())
    }

    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T> {
        let number = self.metadata.get(key).and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.damaged(format!("its {key} is not a number")))
    }

    /// How far the run had come.
    pub fn progress(&self) -> Result<Progress> {
        let progress = Progress { epoch: self.number("epoch")?, step: self.number("step")? };
        match progress.epoch <= progress.step && progress.step <= MOST_STEPS {
            true => Ok(progress),
            false => Err(self.damaged(format!("{} epochs of {} steps are no run's", progress.epoch, progress.step))),
        }
    }

    /// The epoch that `KEY.epoch` names, one of the first `done`, and its validation loss; none if there is no such key.
    pub fn measured(&self, key: &str, done: u64) -> Result<Option<(u64, f64)>> {
        let name = format!("{key}.epoch");
        if !self.has(&name) {
            return Ok(None);
        }
        let epoch: u64 = self.number(&name)?;
        match (1..=done).contains(&epoch) {
            true => Ok(Some((epoch, self.number(&format!("{key}.val_loss"))?))),
            false => Err(self.damaged(format!("its {name} is {epoch}, and {done} epochs are done"))),
        }
    }

    /// [`Self::measured`] of the best epoch, with its validation accuracy.
    pub fn best(&self, done: u64) -> Result<Option<(u64, f64, f64)>> {
        let Some((epoch, val_loss)) = self.measured("best", done)? else { return Ok(None) };
        let val_accuracy: f64 = self.number("best.val_accuracy")?;
        match val_loss.is_finite() && (0.0..=1.0).contains(&val_accuracy) {
            true => Ok(Some((epoch, val_loss, val_accuracy))),
            false => {
                Err(self.damaged(format!("a best loss of {val_loss} at an accuracy of {val_accuracy} is invalid")))
            }
        }
    }

    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.tensors.tensor(name).map_err(|_| self.damaged(format!("it has no tensor {name}")))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let (dtype, found) = (tensor.dtype(), tensor.shape());
            return Err(self.damaged(format!("{name} is {dtype} {found:?}, where F32 {shape:?} is needed")));
        }
        // A cast would need aligned bytes, which only the writer promises.
        let (numbers, _) = tensor.data().as_chunks::<4>();
        let values: Vec<f32> = numbers.iter().map(|&number| f32::from_le_bytes(number)).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(self.damaged(format!("{name} has a value that is not finite")));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::weights::to_bytes;

    /// What `read` says about a file with these numbers.
    fn with<T>(numbers: &[(&str, &str)], read: impl Fn(&TensorFile) -> Result<T>) -> Result<T> {
        let metadata: BTreeMap<String, String> =
            numbers.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let bytes = to_bytes(Path::new("checkpoint.safetensors"), &[], &metadata).unwrap();
        read(&TensorFile::parse(Path::new("checkpoint.safetensors"), &bytes).unwrap())
    }

    #[test]
    fn only_numbers_that_a_run_can_count_on_from_are_read() {
        let progress = |epoch, step| with(&[("epoch", epoch), ("step", step)], |file| file.progress());
        assert_eq!(progress("3", "12").unwrap(), Progress { epoch: 3, step: 12 });
        assert_eq!(progress("0", "0").unwrap().epoch, 0);
        let most = u64::MAX.to_string();
        for (epoch, step) in [("4", "3"), ("1", &most), (&most, &most), ("-1", "3"), ("1", "NaN"), ("1.5", "3")] {
            let said = progress(epoch, step).unwrap_err().to_string();
            assert!(said.contains("checkpoint.safetensors") && said.contains("start the run again"), "{said}");
        }
    }

    #[test]
    fn the_best_epoch_is_one_that_is_done_with_a_finite_loss() {
        let best = |epoch, loss, accuracy| {
            let numbers = [("best.epoch", epoch), ("best.val_loss", loss), ("best.val_accuracy", accuracy)];
            with(&numbers, |file| file.best(5))
        };
        assert_eq!(best("5", "0.5", "1").unwrap(), Some((5, 0.5, 1.0)));
        assert_eq!(with(&[], |file| file.best(5)).unwrap(), None);
        for (epoch, loss, accuracy) in [
            ("6", "0.5", "1"),
            ("0", "0.5", "1"),
            ("5", "NaN", "1"),
            ("5", "inf", "1"),
            ("5", "0.5", "1.5"),
            ("5", "1", "NaN"),
        ] {
            assert!(best(epoch, loss, accuracy).is_err(), "{epoch} {loss} {accuracy}");
        }
    }
}
