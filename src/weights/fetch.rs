//! Fetching a network of the manifest into the user's cache: once, and checked before it has its name.

use std::path::{Path, PathBuf};

use super::Pretrained;
use crate::error::{Error, Result};
use crate::fetch::{FetchOptions, Part, Remote, offline, sha256_of};
use crate::files;

/// No network here is larger: ResNet-152 has 0.24 GB.
const MOST: u64 = 4 << 30;
const INSTEAD: &str = "give a file with --weights";

/// What [`fetch`] did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Fetched {
    /// The file.
    pub path: PathBuf,
    /// Whether it was in the cache already.
    pub cached: bool,
    /// SHA-256 of the file, in hexadecimal; none for a cached one that was not read.
    pub sha256: Option<String>,
}

/// The file of `entry` in the cache, fetched if it is not there. A file that has its name was whole and right when it
/// got it; `recheck` reads it again, and fetches a damaged one anew.
///
/// # Errors
/// No cache folder, no network, a server that has no such file or another one, a full disk; each says what to do. Under
/// the file's name there is then what there was before. A transfer that was cut off is kept under another name, and the
/// next call goes on where it ended.
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
    let part = Part::open(folder.join(format!("{}.part", entry.file_name())), &entry.name, options)?;
    // Another process may have fetched it meanwhile.
    if let Some(there) = present(entry, &path, options, recheck)? {
        return Ok(there);
    }
    let url = entry.url(options.mirror.as_deref());
    let remote = Remote { name: &entry.name, url: &url, sha256: entry.sha256.as_deref(), most: MOST, instead: INSTEAD };
    let found = part.fill(&remote, options)?;
    part.commit(&path)?;
    Ok(Fetched { path, cached: false, sha256: Some(found) })
}

/// The file, if it is there and, where it is read again, right.
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
