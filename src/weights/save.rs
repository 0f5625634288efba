//! Writes safetensors: the same tensors and metadata give the same bytes, and files are written atomically.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::Dtype;

use super::{ARCHITECTURE_KEY, LABELS_KEY, PREPROCESS_KEY};
use crate::error::{Error, Result};
use crate::files::NewFile;
use crate::model::Architecture;

/// An f32 tensor with its name and PyTorch's shape.
#[derive(Clone, Debug)]
pub struct NamedTensor<'a> {
    /// Its name in the file.
    pub name: Cow<'a, str>,
    /// Its shape.
    pub shape: Cow<'a, [usize]>,
    /// Its elements, row-major.
    pub data: Cow<'a, [f32]>,
}

impl<'a> NamedTensor<'a> {
    /// A tensor of `shape` with its elements in row-major order.
    pub fn new(name: impl Into<Cow<'a, str>>, shape: &'a [usize], data: impl Into<Cow<'a, [f32]>>) -> Self {
        NamedTensor { name: name.into(), shape: shape.into(), data: data.into() }
    }
}

/// A tensor of any type as stored in a file: little-endian, row-major.
#[derive(Clone, Debug)]
pub struct RawTensor<'a> {
    /// Its name in the file.
    pub name: Cow<'a, str>,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Cow<'a, [usize]>,
    /// Its elements.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> From<&'a NamedTensor<'a>> for RawTensor<'a> {
    fn from(tensor: &'a NamedTensor<'a>) -> Self {
        RawTensor {
            name: Cow::Borrowed(&tensor.name),
            dtype: Dtype::F32,
            shape: Cow::Borrowed(&tensor.shape),
            bytes: Cow::Borrowed(bytemuck::cast_slice(&tensor.data)),
        }
    }
}

/// The metadata of a network's file: its architecture, the names of its classes, the JSON of its preprocessing. The key
/// `format` is required by Hugging Face's loaders.
pub fn metadata(
    architecture: &Architecture,
    labels: Option<&[String]>,
    preprocess: Option<&str>,
) -> Result<BTreeMap<String, String>> {
    let mut metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    metadata.insert(ARCHITECTURE_KEY.to_owned(), architecture.to_json()?);
    if let Some(labels) = labels {
        let json = serde_json::to_string(labels).map_err(|error| Error::shape("labels", error))?;
        metadata.insert(LABELS_KEY.to_owned(), json);
    }
    if let Some(preprocess) = preprocess {
        metadata.insert(PREPROCESS_KEY.to_owned(), preprocess.to_owned());
    }
    Ok(metadata)
}

/// Writes a network's tensors to `path`, replacing an existing file. Each batch normalisation also gets the counter
/// `num_batches_tracked` (0, i64) that PyTorch's `load_state_dict(strict=True)` requires.
pub fn save(path: impl AsRef<Path>, tensors: &[NamedTensor], metadata: &BTreeMap<String, String>) -> Result<()> {
    write_safetensors(path, &with_counters(tensors), metadata)
}

/// The bytes of what [`save`] writes; `label` stands for the path in errors.
pub fn to_bytes(label: &Path, tensors: &[NamedTensor], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    safetensors_bytes(label, &with_counters(tensors), metadata)
}

/// Writes tensors of any types to `path`, under a temporary name that is then renamed. Errors: a repeated name, data that does not fill
/// its shape, or a file system error; nothing partial is left.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[RawTensor],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let path = path.as_ref();
    let (header, order) = layout(path, tensors, metadata)?;
    let mut file = NewFile::create(path)?;
    file.write(&header)?;
    for tensor in order {
        file.write(&tensor.bytes)?;
    }
    file.commit()
}

/// A safetensors file in memory; `label` stands for its path in errors.
pub(super) fn safetensors_bytes(
    label: &Path,
    tensors: &[RawTensor],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let (mut bytes, order) = layout(label, tensors, metadata)?;
    order.iter().for_each(|tensor| bytes.extend_from_slice(&tensor.bytes));
    Ok(bytes)
}

/// The tensors as stored in a file, with a counter for each batch normalisation.
pub(super) fn with_counters<'a>(tensors: &'a [NamedTensor<'a>]) -> Vec<RawTensor<'a>> {
    let mut raw = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        raw.push(RawTensor::from(tensor));
        if let Some(bn) = tensor.name.strip_suffix(".running_var") {
            raw.push(RawTensor {
                name: Cow::Owned(format!("{bn}.num_batches_tracked")),
                dtype: Dtype::I64,
                shape: Cow::Borrowed(&[]),
                bytes: Cow::Borrowed(&[0; 8]),
            });
        }
    }
    raw
}

/// The header with its length, and the tensors in the order of their data: wide types first, so that all are aligned.
fn layout<'t, 'a>(
    label: &Path,
    tensors: &'t [RawTensor<'a>],
    metadata: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, Vec<&'t RawTensor<'a>>)> {
    let mut order: Vec<_> = tensors.iter().collect();
    order.sort_by_key(|tensor| std::cmp::Reverse(tensor.dtype.bitsize()));
    let mut entries = serde_json::Map::new();
    if !metadata.is_empty() {
        entries.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut seen = BTreeSet::from(["__metadata__"]);
    let mut offset = 0;
    for RawTensor { name, dtype, shape, bytes } in order.iter().copied() {
        if !seen.insert(name) {
            return Err(Error::file(
                label,
                format!("was not written: the tensor name {name:?} comes twice or is taken"),
            ));
        }
        let bits = shape.iter().try_fold(dtype.bitsize(), |bits, size| bits.checked_mul(*size));
        if bits != bytes.len().checked_mul(8) {
            let found = bytes.len();
            let problem = format!("was not written: {name} {shape:?} of {dtype} does not have {found} bytes");
            return Err(Error::file(label, problem));
        }
        let end = offset + bytes.len();
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [offset, end]});
        entries.insert(name.to_string(), entry);
        offset = end;
    }
    let mut json = serde_json::to_vec(&entries).map_err(|error| Error::file(label, error))?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok((header, order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tensors_give_the_same_bytes() {
        let tensor = NamedTensor::new("bn1.running_var", &[2], vec![1.0, 2.0]);
        let metadata = (0..20).map(|key| (format!("key{key}"), "value".to_owned())).collect();
        let bytes =
            || safetensors_bytes("x".as_ref(), &with_counters(std::slice::from_ref(&tensor)), &metadata).unwrap();
        assert_eq!(bytes(), bytes());
        let read = safetensors::SafeTensors::deserialize(&bytes()).map(|file| file.len()).unwrap();
        assert_eq!(read, 2);
    }

    #[test]
    fn nonsense_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let short = NamedTensor::new("a", &[3], vec![1.0, 2.0]);
        let message = save(&path, std::slice::from_ref(&short), &BTreeMap::new()).unwrap_err().to_string();
        assert!(message.contains("a [3] of F32"), "{message}");
        let twice = [NamedTensor::new("a", &[1], vec![1.0]), NamedTensor::new("a", &[1], vec![1.0])];
        assert!(save(&path, &twice, &BTreeMap::new()).unwrap_err().to_string().contains("twice"));
        assert!(save(folder.path().join("no/x"), &[], &BTreeMap::new()).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
