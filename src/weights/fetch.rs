//! Fetches a network of the manifest into the user's cache: once, and checked before it gets its name.

use std::path::{Path, PathBuf};

use super::Pretrained;
use crate::error::{Error, Result};
use crate::fetch::{FetchOptions, Part, Remote, offline, sha256_of};
use crate::files;

/// The largest file that is fetched; ResNet-152 has 0.24 GB.
const MOST: u64 = 4 << 30;
const INSTEAD: &str = "give a file with --weights";

/// What [`fetch`] did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Fetched {
    /// The file.
    pub path: PathBuf,
    /// Whether it was in the cache already.
    pub cached: bool,
    /// SHA-256 of the file, in hexadecimal; `None` for a cached one that was not read.
    pub sha256: Option<String>,
}

/// The file of `entry` in the cache, fetched if it is not there. A file was complete and correct when it got its name; `recheck` reads
/// it again, and fetches a damaged one anew.
///
/// # Errors
/// No cache folder, no network, a server that has no such file or a different one, a full disk; each error says what to do. Nothing
/// changes under the file's name then. An interrupted transfer is kept under another name, and the next call continues where it ended.
pub fn fetch(entry: &Pretrained, options: &FetchOptions, recheck: bool) -> Result<Fetched> {
    let folder = options.folder_or("weights")?;
    let path = folder.join(entry.file_name());
    if let Some(there) = present(entry, &path, options, recheck)? {
        return Ok(there);
    }
    if options.offline {
        return Err(offline(&entry.name, &folder, INSTEAD));
    }
    files::create_folder(&folder)?;
    let part = Part::open(path.clone(), &entry.name, options)?;
    // Another process may have fetched it meanwhile.
    if let Some(there) = present(entry, &path, options, recheck)? {
        return Ok(there);
    }
    let url = entry.url(options.mirror.as_deref());
    let remote = Remote { name: &entry.name, url: &url, sha256: entry.sha256.as_deref(), most: MOST, instead: INSTEAD };
    let found = part.fill(&remote, options)?;
    part.commit()?;
    Ok(Fetched { path, cached: false, sha256: Some(found) })
}

/// The file, if it exists and, if it is read again, is intact.
fn present(entry: &Pretrained, path: &Path, options: &FetchOptions, recheck: bool) -> Result<Option<Fetched>> {
    if !path.is_file() {
        return Ok(None);
    }
    let there = |sha256| Ok(Some(Fetched { path: path.to_owned(), cached: true, sha256 }));
    if !recheck {
        return there(None);
    }
    let found = sha256_of(path)?;
    if entry.sha256.as_ref().is_none_or(|expected| found.starts_with(expected.as_str())) {
        return there(Some(found));
    }
    if options.offline {
        let problem = format!("is damaged: its sha256 is {found}; fetch it again without --offline");
        return Err(Error::file(path, problem));
    }
    Ok(None)
}
