//! Fetching a data set by name: its archives, checked, and their files unpacked under their names.

use std::path::{Path, PathBuf};

use super::named::{Archive, NamedData};
use super::unpack::unpack;
use crate::error::Result;
use crate::fetch::{FetchOptions, Part, Remote, offline, sha256_of};
use crate::files;

const INSTEAD: &str = "give a folder of your own as DATA";

/// What [`fetch`] did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct FetchedData {
    /// The folder with its files, which may stand as DATA.
    pub path: PathBuf,
    /// Whether all of them were already there and intact.
    pub cached: bool,
}

/// The files of `set`, fetched and unpacked where they are missing or damaged: into [`NamedData::folder`] below the folder of
/// `options`, or of the cache. Those that are there are read and checked.
///
/// # Errors
/// No cache folder, no network, a server that has no such archive or a different one, an archive with other content, a full disk; each
/// error says what to do. No new file is left then. An interrupted transfer is kept, and the next call continues where it ended.
pub fn fetch(set: &NamedData, options: &FetchOptions) -> Result<FetchedData> {
    let base = match &options.folder {
        Some(folder) => folder.clone(),
        None => set.cache_folder()?,
    };
    let path = base.join(&set.folder);
    let mut parts = Vec::new();
    for archive in &set.archives {
        if is_whole(archive, &path)? {
            continue;
        }
        if options.offline {
            return Err(offline(&set.name, &base, INSTEAD));
        }
        files::create_folder(&base)?;
        let file = archive.url.rsplit('/').next().unwrap_or("archive");
        let part = Part::open(base.join(file), &set.name, options)?;
        // Another process may have done it meanwhile.
        if is_whole(archive, &path)? {
            continue;
        }
        let url = options.url(&archive.url);
        let sha256 = Some(&*archive.sha256);
        let remote = Remote { name: &set.name, url: &url, sha256, most: archive.bytes, instead: INSTEAD };
        part.fill(&remote, options)?;
        parts.push((archive, part));
    }
    let mut unpacked = Vec::new();
    for (archive, part) in &parts {
        files::create_folder(&path)?;
        unpacked.extend(unpack(&set.name, archive, part.file(), &set.folder, &path)?);
    }
    for file in unpacked {
        file.commit()?;
    }
    for (_, part) in &parts {
        part.remove();
    }
    Ok(FetchedData { path, cached: parts.is_empty() })
}

/// Whether all files of `archive` are in `folder` as they should be.
fn is_whole(archive: &Archive, folder: &Path) -> Result<bool> {
    for file in &archive.files {
        let path = folder.join(&file.name);
        let there = std::fs::metadata(&path).is_ok_and(|about| about.is_file() && about.len() == file.bytes);
        if !there || sha256_of(&path)? != file.sha256 {
            return Ok(false);
        }
    }
    Ok(true)
}
