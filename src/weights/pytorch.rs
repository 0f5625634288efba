//! PyTorch checkpoints (`.pth`, `.pt`, `.bin`, `.ckpt`): the position of each tensor in the file. Both formats of `torch.save` are read,
//! the zip archive and the plain file from before 1.6. The pickle in them is read only as data (`pickle.rs`).

use std::collections::BTreeMap;
use std::ops::Range;

use super::formats::other_pickle;
use super::pickle::{Element, Id, Pickle, Storage, Tensor, Value};
use super::state_dict;
use super::stored::{Contents, Stored};
use super::text::printable;

/// The first value of the plain format, a pickled number.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i128 = 1001;
/// More tensors than any ResNet and its optimiser have.
const MOST_ENTRIES: usize = 100_000;
/// The most elements of all expanded tensors together, which take no space in the file.
const MOST_EXPANDED: usize = 16 << 20;

/// Whether `bytes` begin like a file of `torch.save`, or like any pickle of the protocols 1 to 5.
pub(super) fn is_pytorch(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
        || matches!(bytes, [0x80, 1..=5, ..])
        || bytes.starts_with(b"L119547037146038801333356L\n.")
}

/// The tensors of the checkpoint in `bytes`. The error completes the sentence "FILE …".
pub(super) fn read(bytes: &[u8]) -> Result<Contents, String> {
    if bytes.starts_with(b"PK") { read_zip(bytes) } else { read_plain(bytes) }
}

fn read_zip(bytes: &[u8]) -> Result<Contents, String> {
    let entries = zip_entries(bytes)?;
    let mut pickles = entries.keys().filter(|name| name.matches('/').count() == 1 && name.ends_with("/data.pkl"));
    let root = match (pickles.next(), pickles.next()) {
        (Some(name), None) => name.trim_end_matches("data.pkl"),
        _ => return Err(other_zip(&entries)),
    };
    let entry = |name: &str| entries.get(&format!("{root}{name}")).map(|range| &bytes[range.clone()]);
    if entry("byteorder").is_some_and(|order| order != b"little") {
        return Err("was written on a big-endian machine, which is not read; save it again on another".into());
    }
    let pickle = Pickle::read(entry("data.pkl").unwrap_or_default())?;
    tensors(&pickle, |storage| entries.get(&format!("{root}data/{}", storage.key)).cloned())
}

/// The kind of a zip archive that torch.save did not write.
fn other_zip(entries: &BTreeMap<String, Range<usize>>) -> String {
    let ends = |end: &str| entries.keys().any(|name| name.ends_with(end));
    let what = if ends(".npy") {
        "NumPy's .npz"
    } else if ends(".weights.h5") {
        "Keras' .keras"
    } else {
        return "is a zip archive but no PyTorch checkpoint: it has no data.pkl; give a state dict, or unpack it"
            .into();
    };
    format!("is {what}, which is not read; copy its arrays into a torchvision ResNet, and save model.state_dict()")
}

/// Every entry of a zip archive by its name. Entries are ranges of the file; nothing is ever unpacked. Their checksums are compared,
/// except those that are 0, which torch.save writes where it is told to compute none.
fn zip_entries(bytes: &[u8]) -> Result<BTreeMap<String, Range<usize>>, String> {
    let damaged = |error: rawzip::Error| format!("is a damaged zip archive ({error}); copy or download it again");
    let archive = rawzip::ZipArchive::from_slice(bytes).map_err(damaged)?;
    let mut found = BTreeMap::new();
    let mut length = 0usize;
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
        let Some(data) = bytes.get(start..end) else {
            return refuse("which is longer than the file; copy or download it again");
        };
        length = length.saturating_add(data.len());
        if length > bytes.len() {
            return refuse("which overlaps another; don't trust the file");
        }
        let mut checksum = flate2::Crc::new();
        checksum.update(data);
        if ![0, checksum.sum()].contains(&header.crc32()) && !cfg!(fuzzing) {
            return refuse("which is damaged: its checksum is another; copy or download the file again");
        }
        if found.len() == MOST_ENTRIES {
            return refuse("one of more than 100000; no network here has as many tensors");
        }
        if found.insert(name.clone(), start..end).is_some() {
            return refuse("and has it twice; don't trust the file");
        }
    }
    Ok(found)
}

fn read_plain(bytes: &[u8]) -> Result<Contents, String> {
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.length;
        Ok::<_, String>(pickle)
    };
    let is = |pickle: &Pickle, number| matches!(pickle.get(pickle.root), Value::Int(value) if *value == number);
    if !is(&next()?, MAGIC) || !is(&next()?, PROTOCOL) {
        return Err(other_pickle());
    }
    let machine = next()?;
    if let Value::Dict(items) = machine.get(machine.root) {
        let big = |(key, value): &(Id, Id)| {
            let is_order = matches!(machine.get(*key), Value::Text(text) if text == "little_endian");
            is_order && matches!(machine.get(*value), Value::Bool(false))
        };
        if items.iter().any(big) {
            return Err("was written on a big-endian machine, which is not read; save it again on another".into());
        }
    }
    let (object, keys) = (next()?, next()?);
    // Then the storages one after another, in the order of the keys: a count of elements, and the elements.
    let types = object.values.iter().filter_map(|value| match value {
        Value::Storage(storage) => Some((storage.key, storage.element)),
        _ => None,
    });
    let types: BTreeMap<&str, Element> = types.collect();
    let damaged = || "is damaged: its storages don't fit its keys; copy or download it again".to_owned();
    let Value::List(list) = keys.get(keys.root) else { return Err(damaged()) };
    let mut ranges = BTreeMap::new();
    for key in list {
        let Value::Text(key) = keys.get(*key) else { return Err(damaged()) };
        let size = types.get(&**key).ok_or_else(damaged)?.size;
        let count = bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|count| u64::from_le_bytes(*count));
        let length = count.and_then(|count| usize::try_from(count).ok()).and_then(|count| count.checked_mul(size));
        let start = at + 8;
        let end = length.and_then(|length| start.checked_add(length)).filter(|end| *end <= bytes.len());
        at = end.ok_or_else(|| "ends too early; copy or download it again".to_owned())?;
        ranges.insert(key.as_ref(), start..at);
    }
    tensors(&object, |storage| ranges.get(storage.key).cloned())
}

/// The checkpoint's tensors; `place` returns the position of a storage in the file.
fn tensors(pickle: &Pickle, place: impl Fn(&Storage) -> Option<Range<usize>>) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let mut expanded = 0usize;
    for (name, id) in state_dict::tensors(pickle)? {
        let Value::Tensor(tensor) = pickle.get(id) else { continue };
        let Value::Storage(storage) = pickle.get(tensor.storage) else { continue };
        let shown = printable(&name);
        let Some(dtype) = tensor.dtype.or(storage.element.dtype) else {
            let problem = "whose elements are complex or quantised; only floats are read, so convert it first";
            contents.unread.insert(name, format!("has the tensor {shown}, {problem}"));
            continue;
        };
        if tensor.lazy {
            let problem = "whose elements are still to be negated or conjugated; save it after .resolve_neg()";
            contents.unread.insert(name, format!("has the tensor {shown}, {problem}"));
            continue;
        }
        let elements = tensor.shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
        if let Some(elements) = elements.filter(|elements| *elements > storage.count) {
            expanded = elements.saturating_add(expanded);
        }
        if expanded > MOST_EXPANDED {
            let problem = format!("repeats its elements {MOST_EXPANDED} times and more; save it after .contiguous()");
            return Err(format!("has the tensor {shown}, which {problem}"));
        }
        let Some((range, strides)) = view(tensor, storage, dtype.bitsize() / 8, place(storage)) else {
            let problem = "where there is not as much data; copy or download it again";
            contents.unread.insert(name, format!("has the tensor {shown} {problem}"));
            continue;
        };
        contents.tensors.push(Stored { name, dtype, shape: tensor.shape.clone(), range, strides });
    }
    if contents.tensors.is_empty() && contents.unread.is_empty() {
        return Err(
            "holds no state dict (a dictionary of tensors, or one inside of others); save model.state_dict() with \
                    torch.save"
                .into(),
        );
    }
    Ok(contents)
}

/// The bytes that a tensor spans and, unless it is in row-major order, its strides. `None` if it extends past its storage, or has more
/// elements than the storage without repeating any. An expanded tensor repeats them with a stride of 0.
fn view(
    tensor: &Tensor,
    storage: &Storage,
    size: usize,
    place: Option<Range<usize>>,
) -> Option<(Range<usize>, Option<Vec<usize>>)> {
    let place = place?;
    // Of an untyped storage the count is of bytes.
    let count = storage.count.checked_mul(storage.element.size)? / size;
    let elements = tensor.shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))?;
    let repeats = tensor.shape.iter().zip(&tensor.strides).any(|(size, stride)| *size > 1 && *stride == 0);
    if count > place.len() / size || elements > count && !(repeats && elements <= MOST_EXPANDED) {
        return None;
    }
    if elements == 0 {
        return Some((place.start..place.start, None));
    }
    let mut span = 1usize;
    for (size, stride) in tensor.shape.iter().zip(&tensor.strides) {
        span = span.checked_add((size - 1).checked_mul(*stride)?)?;
    }
    if tensor.offset.checked_add(span)? > count {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn viewed(shape: &[usize], strides: &[usize], count: usize) -> Option<(Range<usize>, Option<Vec<usize>>)> {
        let element = Element { dtype: Some(safetensors::Dtype::F32), size: 4 };
        let (shape, strides) = (shape.to_vec(), strides.to_vec());
        let tensor = Tensor { storage: 0, dtype: None, offset: 0, shape, strides, lazy: false };
        view(&tensor, &Storage { element, key: "0", count }, 4, Some(100..100 + 4 * count))
    }

    #[test]
    fn an_expanded_tensor_spans_what_it_repeats() {
        assert_eq!(viewed(&[8], &[0], 1), Some((100..104, Some(vec![0]))));
        assert_eq!(viewed(&[3, 2], &[0, 1], 2), Some((100..108, Some(vec![0, 1]))));
        assert_eq!(viewed(&[2, 3], &[3, 1], 6), Some((100..124, None)));
        // More elements than the storage has, and more than may be repeated.
        for (shape, strides) in [(&[8][..], &[1][..]), (&[1 << 40], &[0]), (&[2, 4], &[1, 1])] {
            assert_eq!(viewed(shape, strides, 1), None, "{shape:?}");
        }
    }
}
