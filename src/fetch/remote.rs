//! A file on a server, where it may come from instead, and where it goes.

use std::path::{Path, PathBuf};

use crate::cache::cache_dir;
use crate::error::{Error, Result};

/// Where files come from and go.
#[derive(Clone, Default)]
pub struct FetchOptions<'a> {
    /// Stands in for the beginning of every URL.
    pub mirror: Option<String>,
    /// The folder that gets them; one in [`cache_dir`] if none is given.
    pub folder: Option<PathBuf>,
    /// Take only what is there already.
    pub offline: bool,
    /// Told of bytes that are there, and of how many there will be as far as the server says.
    pub progress: Option<&'a dyn Fn(u64, Option<u64>)>,
    /// Told a sentence for the user: that another process has to be waited for.
    pub notice: Option<&'a dyn Fn(&str)>,
}

impl FetchOptions<'_> {
    /// `GPU_RESNET_MIRROR`, and the cache's own folder.
    pub fn from_env() -> Self {
        let mirror = std::env::var("GPU_RESNET_MIRROR").ok().filter(|base| !base.is_empty());
        FetchOptions { mirror, ..Default::default() }
    }

    /// The folder that was given, or `inside` of the cache.
    pub(crate) fn folder_or(&self, inside: impl AsRef<Path>) -> Result<PathBuf> {
        match &self.folder {
            Some(folder) => Ok(folder.clone()),
            None => Ok(cache_dir()?.join(inside)),
        }
    }

    /// `url`, or the mirror's: all but the server's name stays.
    pub(crate) fn url(&self, url: &str) -> String {
        mirrored(url, self.mirror.as_deref())
    }
}

/// `url` with `mirror` in the place of `https://SERVER`.
pub(crate) fn mirrored(url: &str, mirror: Option<&str>) -> String {
    match (mirror, url.splitn(4, '/').nth(3)) {
        (Some(mirror), Some(path)) => format!("{}/{path}", mirror.trim_end_matches('/')),
        _ => url.to_owned(),
    }
}

/// A file on a server.
pub(crate) struct Remote<'a> {
    /// Opens every error.
    pub name: &'a str,
    pub url: &'a str,
    /// Hexadecimal SHA-256, or its beginning; none where only the hub tells it.
    pub sha256: Option<&'a str>,
    /// Bytes that it can have at the most.
    pub most: u64,
    /// What one can do with no network: `give a file with --weights`.
    pub instead: &'a str,
}

/// An error about what is not there and must not be fetched.
pub(crate) fn offline(name: &str, folder: &Path, instead: &str) -> Error {
    let folder = folder.display();
    Error::file(name, format!("is not in the cache ({folder}); fetch it once without --offline, or {instead}"))
}
