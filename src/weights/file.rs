//! One network's weights, from one file or several. Headers are checked when files are opened; tensors are converted to f32 one by one
//! when they are requested.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::Dtype;
use sha2::{Digest, Sha256};

use super::bytes::Bytes;
use super::config::Sidecars;
use super::head::features;
use super::labels::{labels_of, parse_json_labels};
use super::select::select;
use super::stored::{Contents, Stored};
use super::text::printable;
use super::{Head, LABELS_KEY, PREPROCESS_KEY};
use crate::error::{Error, Result};

/// Named tensors of a safetensors file or PyTorch checkpoint, under torchvision's names. The file stays mapped, and a tensor is read
/// when it is requested, so opening reads only a header.
pub struct Weights {
    label: PathBuf,
    files: Vec<Bytes>,
    tensors: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
    prefix: String,
    left_out: Vec<String>,
    doubtful: Vec<String>,
    head: Head,
    /// What lies beside the file.
    sidecars: Sidecars,
    /// Whether the weights are built in or in the manifest, so that their needs are known.
    known: bool,
    /// The hash, once it was requested.
    sha256: OnceLock<String>,
}

/// One tensor: its type, shape, position and name in the file.
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    place: Option<Place>,
    original: String,
}

/// The position of a tensor; a tensor without a position is zero.
#[derive(Clone, PartialEq)]
struct Place {
    file: usize,
    range: Range<usize>,
    /// Strides in elements, if the order is not row-major.
    strides: Option<Vec<usize>>,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({}, {} tensors)", self.label.display(), self.tensors.len())
    }
}

impl Weights {
    /// Opens a safetensors file, a PyTorch checkpoint, or the index of several such files. Errors: not a file, an unknown format, a
    /// false header, or several networks.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Weights::open_key(path.as_ref(), None)
    }

    /// [`open`](Self::open) of the network that stands under the prefix `key` in the file, such as `state_dict_ema`.
    pub fn open_key(path: &Path, key: Option<&str>) -> Result<Self> {
        let files = match path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".index.json")) {
            true => super::shards::open(path)?,
            false => {
                let bytes = Bytes::open(path)?;
                let contents = bytes.contents(path)?;
                vec![(bytes, contents)]
            }
        };
        let mut weights = Weights::of_files(files, path.to_path_buf(), key)?;
        weights.sidecars = Sidecars::beside(path)?;
        Ok(weights)
    }

    /// Reads a file that is in memory; `label` stands for its path in errors.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>, label: impl Into<PathBuf>) -> Result<Self> {
        let (bytes, label) = (Bytes::Memory(bytes.into()), label.into());
        let contents = bytes.contents(&label)?;
        Weights::of_files(vec![(bytes, contents)], label, None)
    }

    /// One network out of the tensors of `files`.
    fn of_files(files: Vec<(Bytes, Contents)>, label: PathBuf, key: Option<&str>) -> Result<Self> {
        let refuse = |problem: String| Error::file(&label, problem);
        let stored: Vec<(usize, &Stored)> =
            files.iter().enumerate().flat_map(|(i, (_, file))| file.tensors.iter().map(move |t| (i, t))).collect();
        let named: Vec<(&str, &[usize])> = stored.iter().map(|(_, t)| (t.name.as_str(), &t.shape[..])).collect();
        let place = |i: usize| (stored[i].0, &stored[i].1.range, &stored[i].1.strides);
        let selection = select(&named, key, |a, b| place(a) == place(b)).map_err(refuse)?;
        // An unreadable tensor of the network would otherwise be missing without a reason.
        let unread = files.iter().flat_map(|(_, file)| &file.unread);
        if let Some((_, problem)) = unread.into_iter().find(|(name, _)| selection.holds(name)) {
            return Err(refuse(problem.clone()));
        }
        let entry = |(name, i): (String, usize)| {
            let (file, tensor) = stored[i];
            let place = Some(Place { file, range: tensor.range.clone(), strides: tensor.strides.clone() });
            let original = tensor.name.clone();
            (name, Entry { dtype: tensor.dtype, shape: tensor.shape.clone(), place, original })
        };
        let tensors: BTreeMap<String, Entry> = selection.names.into_iter().map(entry).collect();
        let metadata = files.iter().flat_map(|(_, file)| file.metadata.clone()).collect();
        let (prefix, left_out, head) = (selection.prefix, selection.left_out, selection.head);
        let doubtful = selection.doubtful;
        let files = files.into_iter().map(|(bytes, _)| bytes).collect();
        let sha256 = OnceLock::new();
        let (sidecars, known) = (Sidecars::default(), false);
        let mut weights =
            Weights { label, files, tensors, metadata, prefix, left_out, doubtful, head, sidecars, known, sha256 };
        weights.stand_in();
        Ok(weights)
    }

    /// Zeros for what a head lacks: a bias; or, if there is no head, one output, so that the features can be computed.
    fn stand_in(&mut self) {
        let zeros = |shape: Vec<usize>| Entry { dtype: Dtype::F32, shape, place: None, original: String::new() };
        let features = features(self.tensors.keys(), |name| self.shape(name)?.first().copied());
        match (&self.head, self.shape("fc.weight"), features) {
            (Head::Linear { bias: false }, Some(&[classes, _]), _) => {
                self.tensors.insert("fc.bias".into(), zeros(vec![classes]));
            }
            (Head::None | Head::Layers(_), None, Some(features)) => {
                self.tensors.insert("fc.weight".into(), zeros(vec![1, features]));
                self.tensors.insert("fc.bias".into(), zeros(vec![1]));
            }
            _ => {}
        }
    }

    /// The prefix of every name of the network in the file, such as `state_dict.module.`; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Names in the file of tensors beside the network that are neither training's nor its head's.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Those of [`left_out`](Self::left_out) that look like a part of the forward pass, such as a temperature or the mean and
    /// standard deviation of the images: predictions may be wrong without them.
    pub fn doubtful(&self) -> &[String] {
        &self.doubtful
    }

    /// The file's classifier. If it has none, `fc.weight` and `fc.bias` are zeros with one output.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Whether the file is built in or in the manifest.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// The files beside the file.
    pub(super) fn sidecars(&self) -> &Sidecars {
        &self.sidecars
    }

    pub(super) fn mark_known(&mut self) {
        self.known = true;
    }

    /// The file's path, or what stands for it.
    pub fn label(&self) -> &Path {
        &self.label
    }

    /// Size of the file, or of all files, in bytes.
    pub fn size(&self) -> usize {
        self.files.iter().map(|file| file.len()).sum()
    }

    /// SHA-256 of the file, or of all files in a row, in hexadecimal; the first call reads all of it.
    pub fn sha256(&self) -> &str {
        let digest = || {
            let mut digest = Sha256::new();
            self.files.iter().for_each(|file| digest.update(&file[..]));
            format!("{:x}", digest.finalize())
        };
        self.sha256.get_or_init(digest)
    }

    /// The tensors' names, sorted, without `num_batches_tracked`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor's shape, as PyTorch has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| &entry.shape[..])
    }

    /// The type of the tensor's elements in the file.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|entry| entry.dtype)
    }

    /// The tensor's name in the file; `None` for zeros that stand in for what a head lacks.
    pub fn original_name(&self, name: &str) -> Option<&str> {
        self.tensors.get(name).filter(|entry| entry.place.is_some()).map(|entry| entry.original.as_str())
    }

    /// The tensor's elements in row-major order, in place where the file has aligned f32. F64 is rounded. Errors: no such
    /// tensor, a type other than F32, F16, BF16 and F64, or elements that are not finite.
    pub fn tensor_f32(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let missing = || Error::file(&self.label, format!("has no tensor {}", printable(name)));
        let entry = self.tensors.get(name).ok_or_else(missing)?;
        let Some(place) = &entry.place else { return Ok(vec![0.0; entry.shape.iter().product()].into()) };
        let values = to_f32(entry.dtype, &self.files[place.file][place.range.clone()]).ok_or_else(|| {
            let (name, dtype) = (printable(name), entry.dtype);
            let problem = format!("{name} is {dtype}; only F32, F16, BF16 and F64 are read, so convert it first");
            Error::file(&self.label, problem)
        })?;
        let values = match &place.strides {
            Some(strides) => gather(&values, &entry.shape, strides).into(),
            None => values,
        };
        let bad = values.iter().filter(|value| !value.is_finite()).count();
        if bad > 0 {
            let name = printable(name);
            let problem = format!(
                "{name} has {bad} non-finite values of {}; the file is damaged or its training diverged",
                values.len()
            );
            return Err(Error::file(&self.label, problem));
        }
        let negative = values.iter().filter(|value| **value < 0.0).count();
        if name.ends_with("running_var") && negative > 0 {
            let (name, count) = (printable(name), values.len());
            let problem =
                format!("{name} has {negative} negative values of {count}, but is a variance; the file is damaged");
            return Err(Error::file(&self.label, problem));
        }
        Ok(values)
    }

    /// The value of a metadata key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Sets a metadata key that the file lacks.
    pub(super) fn default_metadata(&mut self, key: &str, value: String) {
        self.metadata.entry(key.to_owned()).or_insert(value);
    }

    /// All metadata.
    pub fn all_metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The JSON of `gpu_resnet.preprocess`, not parsed.
    pub fn preprocess(&self) -> Option<&str> {
        self.metadata(PREPROCESS_KEY)
    }

    /// The class names of `gpu_resnet.labels`, if the file has any, by [`labels_of`](super::labels_of). Errors: no JSON in one of
    /// the forms of [`parse_labels`](super::parse_labels), or not one for each output of the classifier.
    pub fn labels(&self) -> Result<Option<Vec<String>>> {
        let Some(json) = self.metadata(LABELS_KEY) else { return Ok(None) };
        let refuse = |problem| Error::file(&self.label, format!("`{LABELS_KEY}` {problem}"));
        let labels = parse_json_labels(json).map_err(refuse)?;
        match self.shape("fc.weight") {
            Some([outputs, _]) => labels_of(labels, *outputs).map(Some).map_err(refuse),
            _ => Ok(Some(labels)),
        }
    }
}

impl crate::model::TensorSource for Weights {
    fn tensor(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        self.tensor_f32(name)
    }
}

/// The elements of a tensor of `shape` in row-major order, from where `strides` have put them.
fn gather(values: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let place = |mut index: usize| {
        let axes = shape.iter().zip(strides).rev();
        axes.fold(0, |place, (size, stride)| {
            let along = index % size;
            index /= size;
            place + along * stride
        })
    };
    (0..count).map(|index| values[place(index)]).collect()
}

/// f32 values of raw little-endian elements; None for types that are not read.
fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Cow<'_, [f32]>> {
    /// As `T`s in place if they lie aligned, else copied.
    fn aligned<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(bytes: &[u8]) -> Cow<'_, [T]> {
        match bytemuck::try_cast_slice(bytes) {
            Ok(values) => Cow::Borrowed(values),
            Err(_) => Cow::Owned(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()),
        }
    }
    match dtype {
        Dtype::F32 => Some(aligned(bytes)),
        Dtype::F64 => Some(aligned::<f64>(bytes).iter().map(|value| *value as f32).collect()),
        Dtype::F16 => {
            let halves = aligned::<f16>(bytes);
            let mut values = vec![0.0; halves.len()];
            halves.convert_to_f32_slice(&mut values);
            Some(values.into())
        }
        Dtype::BF16 => {
            let halves = aligned::<bf16>(bytes);
            let mut values = vec![0.0; halves.len()];
            halves.convert_to_f32_slice(&mut values);
            Some(values.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_f32_wherever_they_lie() {
        let values = [1.5f32, -0.25, 65504.0];
        let half: Vec<u8> = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        let brain: Vec<u8> =
            [1.5f32, -0.25, 2.0].iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
        let shifted: Vec<u8> = std::iter::once(0).chain(half.iter().copied()).collect();
        assert_eq!(to_f32(Dtype::F16, &half).unwrap()[..], values);
        assert_eq!(to_f32(Dtype::F16, &shifted[1..]).unwrap()[..], values);
        assert_eq!(to_f32(Dtype::BF16, &brain).unwrap()[..], [1.5, -0.25, 2.0]);
        let single: Vec<u8> = std::iter::repeat_n(0, 3).chain(values.iter().flat_map(|v| v.to_le_bytes())).collect();
        assert_eq!(to_f32(Dtype::F32, &single[3..]).unwrap()[..], values);
        assert_eq!(to_f32(Dtype::F64, &0.1f64.to_le_bytes()).unwrap()[..], [0.1f32]);
        assert!(to_f32(Dtype::I64, &[0; 8]).is_none());
    }
}
