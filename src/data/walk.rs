//! The files under a folder.

use std::path::{Path, PathBuf};

use super::bytes::describe;
use super::clutter::is_clutter;
use super::image_names::is_image_name;
use super::runs::{is_curves, is_maps};
use crate::error::{Error, Result};

/// Every file under `folder` except clutter, symbolic links followed (but not in circles), ordered by folder and then by name, which is
/// `ImageFolder`'s order.
pub(crate) fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    visit(folder, &mut Vec::new(), &mut |file| {
        files.push(file);
        true
    })?;
    files.sort_by(|a, b| {
        let key = |p: &Path| (p.parent().map(|p| p.as_os_str().to_owned()), p.file_name().map(|n| n.to_owned()));
        key(a).cmp(&key(b))
    });
    Ok(files)
}

/// True if some image lies under `folder`, at any depth.
pub(crate) fn holds_image(folder: &Path) -> Result<bool> {
    let mut found = false;
    visit(folder, &mut Vec::new(), &mut |file| {
        found = is_image_name(&file);
        !found
    })?;
    Ok(found)
}

/// True if `part` is a folder of class folders: no image lies in it directly, but some do below it.
pub(crate) fn has_classes(part: &Path) -> Result<bool> {
    let direct = std::fs::read_dir(part).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut direct = direct.filter(|path| is_image_name(path) && path.is_file());
    Ok(direct.next().is_none() && holds_image(part)?)
}

/// Passes the files under `folder` to `each` until it returns false; `above` are the folders around it. Returns false if stopped.
fn visit(folder: &Path, above: &mut Vec<PathBuf>, each: &mut dyn FnMut(PathBuf) -> bool) -> Result<bool> {
    let real = folder.canonicalize().map_err(|e| Error::file(folder, describe(&e)))?;
    if above.contains(&real) {
        return Ok(true);
    }
    above.push(real);
    for entry in std::fs::read_dir(folder).map_err(|e| Error::file(folder, describe(&e)))? {
        let path = entry.map_err(|e| Error::file(folder, describe(&e)))?.path();
        if is_clutter(&path) || is_maps(&path) || is_curves(&path) {
            continue;
        }
        let goes_on = if path.is_dir() { visit(&path, above, each)? } else { !path.is_file() || each(path) };
        if !goes_on {
            return Ok(false);
        }
    }
    above.pop();
    Ok(true)
}
