//! Tensors by key, read from and written to safetensors files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::ops::host::Array;
use crate::weights::{RawTensor, write_safetensors};

/// The largest header that is read. One operation has only a few tensors.
const MAX_HEADER: u64 = 1 << 20;

/// An open file.
pub(in crate::cli) struct TensorFile {
    path: PathBuf,
    map: Mmap,
}

/// A result and its key.
pub(super) type Named = (&'static str, Array);

impl TensorFile {
    pub fn open(path: &Path) -> Result<Self> {
        let about = std::fs::metadata(path).map_err(|error| Error::file(path, error))?;
        if !about.is_file() {
            return Err(Error::file(path, "is not a regular file; give a .safetensors file"));
        }
        let file = std::fs::File::open(path).map_err(|error| Error::file(path, error))?;
        let map = crate::files::map(&file).map_err(|error| Error::file(path, error))?;
        let header = map.first_chunk().map(|length| u64::from_le_bytes(*length));
        if header.is_none_or(|length| length > MAX_HEADER) {
            return Err(Error::file(
                path,
                "is not a safetensors file of a few tensors; write it with safetensors' save_file",
            ));
        }
        let file = Self { path: path.to_path_buf(), map };
        file.tensors()?;
        Ok(file)
    }

    /// The parsed header, which is small.
    fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.map)
            .map_err(|error| self.error(format!("is damaged or not safetensors ({error}); write it again")))
    }

    /// Checks that the file has the `required` tensors of the operation `name`, and no others but `optional` ones.
    pub(super) fn check_keys(&self, name: &str, required: &[&str], optional: &[&str]) -> Result<()> {
        let tensors = self.tensors()?;
        let found = tensors.names();
        let takes = || {
            let optional = optional.iter().map(|key| format!("[{key}]"));
            required.iter().map(ToString::to_string).chain(optional).collect::<Vec<_>>().join(", ")
        };
        for key in required {
            if !found.contains(key) {
                return Err(self.error(format!("has no tensor {key:?}; {name} takes {}", takes())));
            }
        }
        for key in found {
            if !required.contains(&key) && !optional.contains(&key) {
                let key: String = key.chars().take(80).collect();
                return Err(
                    self.error(format!("has a tensor {key:?}, which {name} doesn't take; it takes {}", takes()))
                );
            }
        }
        Ok(())
    }

    /// The tensor `key` as f32.
    pub fn array(&self, key: &str) -> Result<Array> {
        self.optional(key)?.ok_or_else(|| self.error(format!("has no tensor {key:?}")))
    }

    /// [`Self::array`], or `None` if the file lacks it.
    pub fn optional(&self, key: &str) -> Result<Option<Array>> {
        let tensors = self.tensors()?;
        let Ok(view) = tensors.tensor(key) else { return Ok(None) };
        let data = floats(&view)
            .ok_or_else(|| self.error(format!("has {key} as {:?}; it must be F32, F16, BF16 or F64", view.dtype())))?;
        Ok(Some(Array { shape: view.shape().to_vec(), data }))
    }

    /// The one-dimensional tensor `key` of whole numbers.
    pub fn integers(&self, key: &str) -> Result<Vec<i64>> {
        let tensors = self.tensors()?;
        let view = tensors.tensor(key).map_err(|_| self.error(format!("has no tensor {key:?}")))?;
        if view.shape().len() != 1 {
            return Err(self.error(format!("has {key} in the shape {:?}; it must be one-dimensional", view.shape())));
        }
        match view.dtype() {
            Dtype::I64 => Ok(elements(view.data(), i64::from_le_bytes)),
            Dtype::I32 => Ok(elements(view.data(), |bytes| i32::from_le_bytes(bytes).into())),
            other => Err(self.error(format!("has {key} as {other:?}; it must be I64 or I32"))),
        }
    }

    /// The number of steps that the tensor `key` holds (a scalar, or of shape `[1]`, in floats or whole numbers), and its shape.
    /// `None` if the file lacks it.
    pub fn step(&self, key: &str) -> Result<Option<(u64, Vec<usize>)>> {
        let tensors = self.tensors()?;
        let Ok(view) = tensors.tensor(key) else { return Ok(None) };
        let value = match view.dtype() {
            Dtype::I64 | Dtype::I32 if view.shape() == [1] => self.integers(key)?.first().map(|&step| step as f64),
            Dtype::I64 => elements(view.data(), |bytes| i64::from_le_bytes(bytes) as f64).first().copied(),
            Dtype::I32 => elements(view.data(), |bytes| f64::from(i32::from_le_bytes(bytes))).first().copied(),
            _ => floats(&view).and_then(|values| values.first().map(|&value| f64::from(value))),
        };
        // Above 2^53 floats no longer distinguish whole numbers.
        match value {
            Some(value) if matches!(view.shape(), [] | [1]) && value.fract() == 0.0 && (0.0..9e15).contains(&value) => {
                Ok(Some((value as u64, view.shape().to_vec())))
            }
            _ => Err(self.error(format!("has no step count in {key}; it must be one whole number from 0"))),
        }
    }

    fn error(&self, problem: String) -> Error {
        Error::file(&self.path, problem)
    }
}

/// The elements of raw little-endian `data`.
fn elements<const SIZE: usize, T>(data: &[u8], read: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    data.as_chunks().0.iter().map(|bytes| read(*bytes)).collect()
}

/// Any float type as f32, rounded to nearest.
fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    match view.dtype() {
        Dtype::F32 => Some(elements(data, f32::from_le_bytes)),
        Dtype::F16 => Some(elements(data, |bytes| f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Some(elements(data, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        Dtype::F64 => Some(elements(data, |bytes| f64::from_le_bytes(bytes) as f32)),
        _ => None,
    }
}

/// Writes results as f32.
pub(super) fn write(path: &Path, results: &[Named]) -> Result<()> {
    let raw: Vec<RawTensor> = results
        .iter()
        .map(|(name, array)| RawTensor {
            name: (*name).into(),
            dtype: Dtype::F32,
            shape: array.shape[..].into(),
            bytes: bytemuck::cast_slice(&array.data).into(),
        })
        .collect();
    write_safetensors(path, &raw, &BTreeMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of `tensors`: name, type, shape and bytes.
    fn file(folder: &Path, tensors: &[(&'static str, Dtype, &'static [usize], Vec<u8>)]) -> TensorFile {
        let raw: Vec<RawTensor> = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| RawTensor {
                name: (*name).into(),
                dtype: *dtype,
                shape: (*shape).into(),
                bytes: bytes[..].into(),
            })
            .collect();
        let path = folder.join("in.safetensors");
        write_safetensors(&path, &raw, &BTreeMap::new()).unwrap();
        TensorFile::open(&path).unwrap()
    }

    #[test]
    fn types_become_f32() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(
            folder.path(),
            &[
                ("half", Dtype::F16, &[2], [f16::from_f32(1.5), f16::from_f32(-2.0)].map(f16::to_le_bytes).concat()),
                ("brain", Dtype::BF16, &[1, 1], bf16::from_f32(0.25).to_le_bytes().to_vec()),
                ("double", Dtype::F64, &[], 0.1f64.to_le_bytes().to_vec()),
                ("step", Dtype::F32, &[1], 7f32.to_le_bytes().to_vec()),
                ("half step", Dtype::F32, &[], 7.5f32.to_le_bytes().to_vec()),
                ("target", Dtype::I32, &[2], [3i32, -100].map(i32::to_le_bytes).concat()),
            ],
        );
        assert_eq!(file.array("half").unwrap(), Array { shape: vec![2], data: vec![1.5, -2.0] });
        assert_eq!(file.array("brain").unwrap(), Array { shape: vec![1, 1], data: vec![0.25] });
        assert_eq!(file.array("double").unwrap(), Array { shape: vec![], data: vec![0.1] });
        assert_eq!(file.step("step").unwrap(), Some((7, vec![1])));
        assert_eq!(file.step("absent").unwrap(), None);
        assert!(file.step("half step").is_err() && file.step("half").is_err() && file.step("target").is_err());
        assert_eq!(file.integers("target").unwrap(), [3, -100]);
        assert!(file.array("target").is_err() && file.integers("half").is_err());
    }

    #[test]
    fn missing_and_superfluous_tensors_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let zero = || 0f32.to_le_bytes().to_vec();
        let file = file(folder.path(), &[("input", Dtype::F32, &[1], zero()), ("bias", Dtype::F32, &[1], zero())]);
        file.check_keys("relu", &["input"], &[]).expect_err("a superfluous bias");
        let message = file.check_keys("conv2d", &["input", "weight"], &["bias"]).unwrap_err().to_string();
        assert!(message.contains("in.safetensors") && message.contains("\"weight\""), "{message}");
        assert!(message.contains("input, weight, [bias]"), "{message}");
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for bytes in [&b""[..], b"abc", &[0xff; 64], b"\x02\0\0\0\0\0\0\0{]", b"PK\x03\x04 a checkpoint of PyTorch's"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(TensorFile::open(&path), Err(Error::File { .. })), "{bytes:?}");
        }
        assert!(matches!(TensorFile::open(folder.path()), Err(Error::File { .. })));
        assert!(matches!(TensorFile::open(&folder.path().join("absent")), Err(Error::File { .. })));
    }
}
