//! Weights in several files: `model.safetensors.index.json` or `pytorch_model.bin.index.json`, which says for each tensor in
//! which file beside it the tensor is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::bytes::Bytes;
use super::stored::Contents;
use super::text::{printable, quoted};
use crate::error::{Error, Result};
use crate::files;

/// The largest index that is read; ResNet-152's would have 0.1 MB.
const MAX_INDEX: u64 = 16 << 20;
/// The most files of one network.
const MOST_FILES: usize = 1000;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Every file of the index at `path`, with the tensors that the index says are in it.
///
/// # Errors
/// An index that is not such JSON, a file that is missing or not beside the index, or a tensor that its file lacks.
pub(super) fn open(path: &Path) -> Result<Vec<(Bytes, Contents)>> {
    let refuse = |problem: String| Error::file(path, problem);
    let missing = || refuse("does not exist; give the index, a .safetensors or a .pth file".into());
    let bytes = files::read_limited(path, MAX_INDEX)?.ok_or_else(missing)?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|error| refuse(format!("is not an index of weights in several files: {}", quoted(error))))?;
    let names: BTreeSet<&str> = index.weight_map.values().map(String::as_str).collect();
    if names.is_empty() || names.len() > MOST_FILES {
        return Err(refuse(format!("names {} files; it takes 1 to {MOST_FILES}", names.len())));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut opened = Vec::with_capacity(names.len());
    for name in names {
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            let problem = format!("names the file {}, which is not beside it; don't trust the index", printable(name));
            return Err(refuse(problem));
        }
        let file = folder.join(name);
        if !file.exists() {
            let problem = format!("names the file {}, which is not there; download it too", printable(name));
            return Err(refuse(problem));
        }
        let bytes = Bytes::open(&file)?;
        let mut contents = bytes.contents(&file)?;
        let is_mine = |tensor: &str| index.weight_map.get(tensor).is_some_and(|file| file == name);
        contents.tensors.retain(|tensor| is_mine(&tensor.name));
        let there: BTreeSet<&str> = contents.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        let expected = index.weight_map.iter().filter(|(_, file)| *file == name).map(|(tensor, _)| tensor.as_str());
        if let Some(absent) = expected.into_iter().find(|tensor| !there.contains(tensor)) {
            let problem = format!("has no tensor {}, which {} says it has", printable(absent), path.display());
            return Err(Error::file(file, problem + "; download both again"));
        }
        opened.push((bytes, contents));
    }
    Ok(opened)
}
