//! Reading a checkpoint's file: tensors by name, numbers from the metadata, and the check of whose it is.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};

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
