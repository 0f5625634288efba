//! One weights file: opened, its header checked, its tensors turned into f32 one by one as they are asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::labels::{labels_of, parse_json_labels};
use super::{LABELS_KEY, PREPROCESS_KEY, naming, pytorch};
use crate::error::{Error, Result};
use crate::files;

/// The largest header that is read. ResNet-152's is 0.1 MB; parsing takes many times a header's size in memory.
const MAX_HEADER: u64 = 8 << 20;

/// Named tensors of a safetensors file or PyTorch checkpoint, under torchvision's names. The file stays mapped, and a tensor is read when it
/// is asked for, so opening costs a header.
pub struct Weights {
    label: PathBuf,
    bytes: Bytes,
    tensors: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
    /// Once it has been asked for.
    sha256: OnceLock<String>,
}

/// Where the file's bytes are.
enum Bytes {
    Mapped(Mmap),
    Memory(Cow<'static, [u8]>),
}

/// One tensor: its type, shape, place in the file and the name that it has there.
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    range: Range<usize>,
    /// In elements, where they don't lie in row-major order.
    strides: Option<Vec<usize>>,
    original: String,
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({}, {} tensors)", self.label.display(), self.tensors.len())
    }
}

impl Weights {
    /// Opens a safetensors file or PyTorch checkpoint. Errors: not a file, neither format, or a header that lies.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        // Before opening, because opening a pipe would wait for a writer.
        let kind = std::fs::metadata(path).map_err(|error| Error::file(path, error))?;
        if !kind.is_file() {
            return Err(Error::file(path, "is not a regular file; give a .safetensors or .pth file"));
        }
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        if kind.len() == 0 {
            return Err(Error::file(path, "is empty; copy or download it again"));
        }
        let map = files::map(&file).map_err(|error| Error::file(path, error))?;
        Weights::new(Bytes::Mapped(map), path.to_path_buf())
    }

    /// Reads a safetensors file that is in memory; `label` stands for its path in errors.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>, label: impl Into<PathBuf>) -> Result<Self> {
        Weights::new(Bytes::Memory(bytes.into()), label.into())
    }

    fn new(bytes: Bytes, label: PathBuf) -> Result<Self> {
        let refuse = |problem: String| Error::file(&label, problem);
        let Some(length) = bytes.first_chunk().map(|length| u64::from_le_bytes(*length)) else {
            return Err(refuse("is too short to be safetensors; copy or download it again".into()));
        };
        if length > MAX_HEADER && pytorch::is_pytorch(&bytes) {
            return Weights::from_pytorch(bytes, label);
        }
        if length > MAX_HEADER {
            return Err(refuse(other_format(&bytes).map_or_else(
                || format!("is not safetensors: its header would have {length} bytes; at most {MAX_HEADER} are read"),
                str::to_owned,
            )));
        }
        let (header, parsed) = SafeTensors::read_metadata(&bytes).map_err(|error| {
            refuse(format!("is damaged or not safetensors ({}); copy or download it again", quoted(error)))
        })?;
        let start = 8 + header;
        let infos = parsed.tensors();
        let tensors = rename(&label, infos.iter().map(|(name, info)| (name.as_str(), *info)), |original, info| {
            let range = start + info.data_offsets.0..start + info.data_offsets.1;
            let original = original.to_owned();
            Entry { dtype: info.dtype, shape: info.shape.clone(), range, strides: None, original }
        })?;
        let metadata = parsed.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Weights { label, bytes, tensors, metadata, sha256: OnceLock::new() })
    }

    fn from_pytorch(bytes: Bytes, label: PathBuf) -> Result<Self> {
        let found = pytorch::read(&bytes).map_err(|problem| Error::file(&label, problem))?;
        let infos = found.iter().map(|tensor| TensorInfo {
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            data_offsets: (tensor.range.start, tensor.range.end),
        });
        let infos: Vec<TensorInfo> = infos.collect();
        let strides: BTreeMap<&str, _> = found.iter().map(|tensor| (tensor.name.as_str(), &tensor.strides)).collect();
        let named = found.iter().zip(&infos).map(|(tensor, info)| (tensor.name.as_str(), info));
        let tensors = rename(&label, named, |original, info| Entry {
            dtype: info.dtype,
            shape: info.shape.clone(),
            range: info.data_offsets.0..info.data_offsets.1,
            strides: strides.get(original).and_then(|strides| (*strides).clone()),
            original: original.to_owned(),
        })?;
        Ok(Weights { label, bytes, tensors, metadata: BTreeMap::new(), sha256: OnceLock::new() })
    }

    /// The file's path, or what stands for it.
    pub fn label(&self) -> &Path {
        &self.label
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// SHA-256 of the file in hexadecimal; the first call reads all of it.
    pub fn sha256(&self) -> &str {
        let digest = || format!("{:x}", Sha256::digest(&self.bytes[..]));
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

    /// The name that the tensor has in the file.
    pub fn original_name(&self, name: &str) -> Option<&str> {
        self.tensors.get(name).map(|entry| entry.original.as_str())
    }

    /// The tensor's elements in row-major order, in place where the file has aligned f32. F64 is rounded. Errors: no such
    /// tensor, a type other than F32, F16, BF16 and F64, or elements that are not finite.
    pub fn tensor_f32(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let missing = || Error::file(&self.label, format!("has no tensor {}", printable(name)));
        let entry = self.tensors.get(name).ok_or_else(missing)?;
        let values = to_f32(entry.dtype, &self.bytes[entry.range.clone()]).ok_or_else(|| {
            let (name, dtype) = (printable(name), entry.dtype);
            let problem = format!("{name} is {dtype}; only F32, F16, BF16 and F64 are read, so convert it first");
            Error::file(&self.label, problem)
        })?;
        let values = match &entry.strides {
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
        Ok(values)
    }

    /// The value of a metadata key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Gives a metadata key a value where the file has none.
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

/// Formats that people take for safetensors, by their first bytes, which no header of a length that is read has.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    let starts_with = |text: &str| bytes.get(..text.len()).is_some_and(|b| b.eq_ignore_ascii_case(text.as_bytes()));
    if starts_with("version https://git-lfs") {
        Some("is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`")
    } else if starts_with("<!doctype") || starts_with("<html") {
        Some("is an HTML page, not safetensors; download the file itself")
    } else {
        None
    }
}

/// The tensors under torchvision's names, each made by `entry` of its own name and what the file says of it.
fn rename<'a>(
    label: &Path,
    tensors: impl Iterator<Item = (&'a str, &'a TensorInfo)>,
    entry: impl Fn(&str, &TensorInfo) -> Entry,
) -> Result<BTreeMap<String, Entry>> {
    let named = naming::to_torchvision(tensors).map_err(|(a, b)| {
        let (a, b) = (printable(a), printable(b));
        Error::file(label, format!("has {a} and {b}, which are two names of one tensor; remove one"))
    })?;
    Ok(named.into_iter().map(|(name, (original, info))| (name, entry(original, info))).collect())
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

/// A name from outside as a message may show it: control characters escaped, length bounded.
pub(super) fn printable(name: &str) -> String {
    tame(name, 120)
}

/// A parser's message, which quotes what it was given, likewise.
pub(super) fn quoted(error: impl std::fmt::Display) -> String {
    tame(&error.to_string(), 500)
}

fn tame(text: &str, most: usize) -> String {
    let escape = |c: char| if c.is_control() { c.escape_unicode().collect() } else { c.to_string() };
    let shown: String = text.chars().take(most).map(escape).collect();
    if text.chars().nth(most).is_some() { shown + "…" } else { shown }
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

    #[test]
    fn names_from_outside_are_tamed() {
        assert_eq!(printable("fc.weight"), "fc.weight");
        assert_eq!(printable("a\x1b[31m"), "a\\u{1b}[31m");
        assert_eq!(printable("Größe \"x\""), "Größe \"x\"");
        assert!(printable(&"x".repeat(1 << 20)).chars().count() <= 121);
    }
}
