//! `named.toml`: the data sets that are known by name, and where they are once fetched.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::bytes::describe;
use crate::cache::cache_dir;
use crate::error::{Error, Result};

/// A data set that can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedData {
    /// The name, which may be given as DATA.
    pub name: String,
    /// What it holds.
    pub about: String,
    /// Its licence, or its authors' terms.
    pub terms: String,
    /// Where its files go, below the chosen folder.
    pub folder: String,
    /// The archives to fetch.
    pub archives: Vec<Archive>,
}

/// A file on the publisher's server: `.tar.gz` with [`NamedData::folder`] in it, or one file as `.gz`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Where it is.
    pub url: String,
    /// Its size.
    pub bytes: u64,
    /// Hexadecimal SHA-256.
    pub sha256: String,
    /// The files that are kept.
    pub files: Vec<Member>,
}

/// A file of a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name in the folder of the set.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Hexadecimal SHA-256.
    pub sha256: String,
}

impl NamedData {
    /// The folder in the cache that it is fetched into.
    pub fn cache_folder(&self) -> Result<PathBuf> {
        Ok(cache_dir()?.join("data").join(&self.name))
    }

    /// The first file that is missing below `folder` or has another size; `None` if all are there.
    pub(crate) fn missing(&self, folder: &Path) -> Option<PathBuf> {
        let files = self.archives.iter().flat_map(|archive| &archive.files);
        let there = |path: &Path, bytes| std::fs::metadata(path).is_ok_and(|about| about.len() == bytes);
        files
            .map(|file| (folder.join(&self.folder).join(&file.name), file.bytes))
            .find_map(|(path, bytes)| if there(&path, bytes) { None } else { Some(path) })
    }
}

/// Every data set that is known by name.
pub fn named_data() -> Result<&'static [NamedData]> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Manifest {
        data: Vec<NamedData>,
    }
    static PARSED: OnceLock<Result<Manifest, String>> = OnceLock::new();
    match PARSED.get_or_init(|| toml::from_str(include_str!("named.toml")).map_err(|error| error.to_string())) {
        Ok(manifest) => Ok(&manifest.data),
        Err(error) => Err(Error::file("src/data/named.toml", error)),
    }
}

/// The data set with the name `path`, unless there is a file or folder of that name.
pub fn find_named(path: &Path) -> Result<Option<&'static NamedData>> {
    if path.exists() {
        return Ok(None);
    }
    Ok(named_data()?.iter().find(|set| Path::new(&set.name) == path))
}

/// The location of the data set that `path` names: the file or folder `path`, otherwise the fetched set of that name.
pub(crate) fn locate(path: &Path) -> Result<Cow<'_, Path>> {
    let Some(set) = find_named(path)? else {
        let bare = path.components().count() == 1 && path.extension().is_none();
        return match std::fs::metadata(path) {
            Ok(_) => Ok(Cow::Borrowed(path)),
            Err(error) if bare && error.kind() == std::io::ErrorKind::NotFound => {
                let names: Vec<_> = named_data()?.iter().map(|set| set.name.as_str()).collect();
                let names = names.join(", ");
                Err(Error::file(
                    path,
                    format!("does not exist; check the path, or give a name that is known ({names})"),
                ))
            }
            Err(error) => Err(Error::file(path, describe(&error))),
        };
    };
    let folder = set.cache_folder()?;
    let Some(missing) = set.missing(&folder) else { return Ok(Cow::Owned(folder.join(&set.folder))) };
    let name = &set.name;
    let problem = match folder.join(&set.folder).is_dir() {
        true => format!("is incomplete in the cache ({} is missing or damaged)", missing.display()),
        false => "was not fetched yet".into(),
    };
    Err(Error::file(path, format!("{problem}; run `gpu-resnet data fetch {name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_whole() {
        for set in named_data().unwrap() {
            assert_eq!(Path::new(&set.name).components().count(), 1);
            for archive in &set.archives {
                let hashes = archive.files.iter().map(|file| &file.sha256).chain([&archive.sha256]);
                for sha256 in hashes {
                    let hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                    assert!(sha256.len() == 64 && sha256.bytes().all(hex), "{}", archive.url);
                }
                assert!(archive.url.starts_with("https://"));
                assert!(archive.url.ends_with(".tar.gz") || archive.files.len() == 1 && archive.url.ends_with(".gz"));
                // Never above or beside the chosen folder.
                let plain =
                    |name: &str| Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
                assert!(plain(&set.folder) && archive.files.iter().all(|file| plain(&file.name)));
            }
        }
    }
}
