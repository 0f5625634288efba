//! A safetensors file with `images` (u8, [N, H, W, 3] or [N, H, W]) and `labels` (i64, i32 or u8, [N]); class names as a
//! JSON list under the metadata key `classes`.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::Dataset;
use super::bytes::Mapped;
use super::table::{Layout, MAX_CLASSES, Part, PixelTable};
use crate::error::{Error, Result};

/// Opens such a file; it is mapped, not read.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Dataset>> {
    let map = Mapped::open(path)?;
    let broken = |e: safetensors::SafeTensorError| Error::file(path, format!("is not a valid safetensors file ({e})"));
    let (_, metadata) = SafeTensors::read_metadata(&map).map_err(broken)?;
    let names = metadata.metadata().as_ref().and_then(|m| m.get("classes")).cloned();
    let tensors = SafeTensors::deserialize(&map).map_err(broken)?;
    let get = |key: &str| {
        let have = || tensors.names().iter().take(8).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        let missing = || {
            Error::file(path, format!("has no tensor `{key}` (only {}); a data set has `images` and `labels`", have()))
        };
        tensors.tensor(key).map_err(|_| missing())
    };

    let images = get("images")?;
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (layout, count, height, width) = match (images.dtype(), images.shape()) {
        (Dtype::U8, &[n, h, w, 3]) => (Layout::Interleaved, n, size(h), size(w)),
        (Dtype::U8, &[n, h, w]) => (Layout::Grey, n, size(h), size(w)),
        (dtype, shape) => {
            let found = format!("`images` as {dtype:?} {shape:?}");
            return Err(Error::file(path, format!("has {found}; it must be U8 [N, H, W, 3] or [N, H, W]")));
        }
    };
    let labels = read_labels(path, &get("labels")?, count)?;
    let classes = class_names(path, names.as_deref(), &labels)?;

    // The tensor's position in the file, to index the map once the borrowed view is gone.
    let offset = images.data().as_ptr() as usize - map.as_ptr() as usize;
    let stride = images.data().len().checked_div(count).unwrap_or(0);
    drop(tensors);
    let part = Part { name: path.display().to_string(), offset, stride, count, map };
    Ok(Box::new(PixelTable::new(path, vec![part], (width, height), layout, labels, classes)?))
}

fn read_labels(path: &Path, labels: &safetensors::tensor::TensorView<'_>, count: usize) -> Result<Vec<u32>> {
    if labels.shape() != [count] {
        let shape = labels.shape();
        return Err(Error::file(
            path,
            format!("has `labels` of shape {shape:?} for {count} images; it must be [{count}]"),
        ));
    }
    let data = labels.data();
    let wide: Vec<i64> = match labels.dtype() {
        Dtype::U8 => data.iter().map(|&b| i64::from(b)).collect(),
        Dtype::I32 => data.chunks_exact(4).map(|b| i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect(),
        Dtype::I64 => {
            data.chunks_exact(8).map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])).collect()
        }
        other => return Err(Error::file(path, format!("has `labels` as {other:?}; they must be I64, I32 or U8"))),
    };
    let bad = |l: &i64| *l < 0 || *l >= MAX_CLASSES as i64;
    match wide.iter().position(bad) {
        Some(i) => Err(Error::file(path, format!("gives image {i} the label {}, which is not possible", wide[i]))),
        None => Ok(wide.into_iter().map(|l| l as u32).collect()),
    }
}

/// The metadata's names, otherwise the labels' numbers.
fn class_names(path: &Path, json: Option<&str>, labels: &[u32]) -> Result<Vec<String>> {
    match json {
        Some(json) => serde_json::from_str::<Vec<String>>(json)
            .map_err(|e| Error::file(path, format!("has metadata `classes` that is not a JSON list of names ({e})"))),
        None => Ok((0..=labels.iter().max().copied().unwrap_or(0)).map(|c| c.to_string()).collect()),
    }
}
