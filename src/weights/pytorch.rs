//! PyTorch checkpoints (`.pth`): where in the file each tensor of a state dict lies. Both of `torch.save`'s formats are
//! read, the zip archive and the plain file of before 1.6; the pickle in them only as data (`pickle.rs`).

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::Dtype;

use super::file::printable;
use super::pickle::{Id, Pickle, Storage, Tensor, Value};

/// What the plain format begins with, as a pickled number.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i128 = 1001;
/// More than any ResNet has tensors.
const MOST_ENTRIES: usize = 100_000;

/// Keys under which training scripts put the state dict.
const WRAPPERS: [&str; 5] = ["state_dict", "model_state_dict", "model", "net", "module"];

/// A tensor of the file.
pub(super) struct Found {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Bytes of the file, from the first element to the last.
    pub range: Range<usize>,
    /// In elements, of a tensor that does not lie in row-major order.
    pub strides: Option<Vec<usize>>,
}

/// Whether `bytes` begin as `torch.save` begins.
pub(super) fn is_pytorch(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || (bytes.len() > 2 && bytes[0] == 0x80 && bytes[2] == 0x8a)
}

/// The tensors of the state dict in `bytes`. The error completes the sentence "FILE …".
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Found>, String> {
    if bytes.starts_with(b"PK") { read_zip(bytes) } else { read_plain(bytes) }
}

fn read_zip(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let entries = zip_entries(bytes)?;
    let mut pickles = entries.keys().filter(|name| name.matches('/').count() == 1 && name.ends_with("/data.pkl"));
    let root = match (pickles.next(), pickles.next()) {
        (Some(name), None) => name.trim_end_matches("data.pkl"),
        _ => return Err("is a zip archive but no PyTorch checkpoint: it has no data.pkl; give a state dict".into()),
    };
    let entry = |name: &str| entries.get(&format!("{root}{name}")).map(|range| &bytes[range.clone()]);
    if entry("byteorder").is_some_and(|order| order != b"little") {
        return Err("was written on a big-endian machine, which is not read; save it again on another".into());
    }
    let pickle = Pickle::read(entry("data.pkl").unwrap_or_default())?;
    tensors(&pickle, |storage| entries.get(&format!("{root}data/{}", storage.key)).cloned())
}

/// Every entry of a zip archive by its name. They are ranges of the file: nothing is ever unpacked, least of all to disk.
fn zip_entries(bytes: &[u8]) -> Result<BTreeMap<String, Range<usize>>, String> {
    let damaged = |error: rawzip::Error| format!("is a damaged zip archive ({error}); copy or download it again");
    let archive = rawzip::ZipArchive::from_slice(bytes).map_err(damaged)?;
    let mut found = BTreeMap::new();
    let mut entries = archive.entries();
    while let Some(header) = entries.next_entry().map_err(damaged)? {
        let name = String::from_utf8_lossy(header.file_path().as_bytes()).into_owned();
        let refuse = |why: &str| Err(format!("has the entry {} in its zip archive, {why}", printable(&name)));
        if name.starts_with('/') || name.contains('\\') || name.split('/').any(|part| part == "..") {
            return refuse("a path out of the archive; torch.save writes none, so don't trust the file");
        }
        if name.contains("/code/") || name.ends_with("/constants.pkl") {
            return Err("is TorchScript, which holds a program; save model.state_dict() with torch.save instead".into());
        }
        if header.compression_method() != rawzip::CompressionMethod::STORE || header.flags().is_encrypted() {
            return refuse("compressed or encrypted; torch.save does neither, so save it again with torch.save");
        }
        let entry = archive.get_entry(header.wayfinder()).map_err(damaged)?;
        let (start, end) = entry.compressed_data_range();
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
            return refuse("larger than this machine's memory");
        };
        if found.len() == MOST_ENTRIES {
            return refuse("one of more than 100000; no network here has as many tensors");
        }
        if found.insert(name.clone(), start..end).is_some() {
            return refuse("and has it twice; don't trust the file");
        }
    }
    Ok(found)
}

fn read_plain(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.length;
        Ok::<_, String>(pickle)
    };
    let is = |pickle: &Pickle, number| matches!(pickle.get(pickle.root), Value::Int(value) if *value == number);
    if !is(&next()?, MAGIC) || !is(&next()?, PROTOCOL) {
        return Err("is a pickle but no PyTorch checkpoint; save model.state_dict() with torch.save".into());
    }
    let machine = next()?;
    if let Value::Dict(items) = machine.get(machine.root) {
        let big = |(key, value): &(Id, Id)| {
            matches!((machine.get(*key), machine.get(*value)), (Value::Text("little_endian"), Value::Bool(false)))
        };
        if items.iter().any(big) {
            return Err("was written on a big-endian machine, which is not read; save it again on another".into());
        }
    }
    let (object, keys) = (next()?, next()?);
    // Then the storages one after another, in the order of the keys: a count of elements, and the elements.
    let types = object.values.iter().filter_map(|value| match value {
        Value::Storage(storage) => Some((storage.key, storage.dtype)),
        _ => None,
    });
    let types: BTreeMap<&str, Dtype> = types.collect();
    let damaged = || "is damaged: its storages don't fit its keys; copy or download it again".to_owned();
    let Value::List(list) = keys.get(keys.root) else { return Err(damaged()) };
    let mut ranges = BTreeMap::new();
    for key in list {
        let Value::Text(key) = keys.get(*key) else { return Err(damaged()) };
        let size = types.get(key).ok_or_else(damaged)?.bitsize() / 8;
        let count = bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|count| u64::from_le_bytes(*count));
        let length = count.and_then(|count| usize::try_from(count).ok()).and_then(|count| count.checked_mul(size));
        let start = at + 8;
        let end = length.and_then(|length| start.checked_add(length)).filter(|end| *end <= bytes.len());
        at = end.ok_or_else(|| "ends too early; copy or download it again".to_owned())?;
        ranges.insert(*key, start..at);
    }
    tensors(&object, |storage| ranges.get(storage.key).cloned())
}

/// The state dict's tensors; `place` knows where in the file a storage lies.
fn tensors(pickle: &Pickle, place: impl Fn(&Storage) -> Option<Range<usize>>) -> Result<Vec<Found>, String> {
    let items = state_dict(pickle).ok_or(
        "holds no state dict (a dictionary of tensors, or one under `state_dict` or `model`); save model.state_dict() with \
         torch.save",
    )?;
    let mut found = BTreeMap::new();
    for (key, value) in items {
        let Value::Text(name) = pickle.get(*key) else { return Err("has a tensor whose name is no text".into()) };
        let Value::Tensor(tensor) = pickle.get(*value) else {
            return Err(format!("has {} in its state dict, which is no tensor; leave it out", printable(name)));
        };
        let Value::Storage(storage) = pickle.get(tensor.storage) else { continue };
        let view = view(tensor, storage, place(storage)).ok_or_else(|| {
            format!("has the tensor {} where there is not as much data; copy or download it again", printable(name))
        })?;
        let (range, strides) = view;
        let found_one =
            Found { name: (*name).to_owned(), dtype: storage.dtype, shape: tensor.shape.clone(), range, strides };
        found.insert(*name, found_one);
    }
    Ok(found.into_values().collect())
}

/// The dictionary that holds tensors: the outermost, or one under a usual key of it.
fn state_dict<'p>(pickle: &'p Pickle) -> Option<&'p [(Id, Id)]> {
    let with_tensors = |id: Id| match pickle.get(id) {
        Value::Dict(items) if items.iter().any(|(_, value)| matches!(pickle.get(*value), Value::Tensor(_))) => {
            Some(&items[..])
        }
        _ => None,
    };
    if let Some(items) = with_tensors(pickle.root) {
        return Some(items);
    }
    let Value::Dict(items) = pickle.get(pickle.root) else { return None };
    WRAPPERS.iter().find_map(|wrapper| {
        let (_, value) =
            items.iter().find(|(key, _)| matches!(pickle.get(*key), Value::Text(text) if text == wrapper))?;
        with_tensors(*value)
    })
}

/// The bytes that a tensor spans and, unless it is in row-major order, its strides. None if it reaches past its storage,
/// or has more elements than that (an expanded tensor, which could be of any size).
fn view(tensor: &Tensor, storage: &Storage, place: Option<Range<usize>>) -> Option<(Range<usize>, Option<Vec<usize>>)> {
    let place = place?;
    let size = storage.dtype.bitsize() / 8;
    let there = place.len() / size;
    let elements = tensor.shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))?;
    if storage.count > there || elements > storage.count {
        return None;
    }
    if elements == 0 {
        return Some((place.start..place.start, None));
    }
    let mut span = 1usize;
    for (size, stride) in tensor.shape.iter().zip(&tensor.strides) {
        span = span.checked_add((size - 1).checked_mul(*stride)?)?;
    }
    if tensor.offset.checked_add(span)? > storage.count {
        return None;
    }
    let mut expected = 1;
    let dense = tensor.shape.iter().zip(&tensor.strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected *= size;
        fits
    });
    let start = place.start + tensor.offset * size;
    Some((start..start + span * size, (!dense).then(|| tensor.strides.clone())))
}
