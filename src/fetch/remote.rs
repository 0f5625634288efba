//! A file on a server, where it may come from instead, and where it goes.

use std::path::{Path, PathBuf};

use crate::cache::cache_dir;
use crate::error::{Error, Result};

/// Where files come from and go.
#[derive(Clone, Default)]
pub struct FetchOptions<'a> {
    /// Replaces the beginning of every URL.
    pub mirror: Option<String>,
    /// The folder for the files; if `None`, one in [`cache_dir`].
    pub folder: Option<PathBuf>,
    /// Use only files that are already there.
    pub offline: bool,
    /// Receives the number of bytes that are there, and the total if the server gives it.
    pub progress: Option<&'a dyn Fn(u64, Option<u64>)>,
    /// Receives a sentence for the user: that it waits for another process.
    pub notice: Option<&'a dyn Fn(&str)>,
}

impl FetchOptions<'_> {
    /// `GPU_RESNET_MIRROR`, and the cache's own folder.
    pub fn from_env() -> Self {
        let mirror = std::env::var("GPU_RESNET_MIRROR").ok().filter(|base| !base.is_empty());
        FetchOptions { mirror, ..Default::default() }
    }

    /// The given folder, or `inside` of the cache.
    pub(crate) fn folder_or(&self, inside: impl AsRef<Path>) -> Result<PathBuf> {
        match &self.folder {
            Some(folder) => Ok(folder.clone()),
            None => Ok(cache_dir()?.join(inside)),
        }
    }

    /// `url`, or the mirror's, in which only the server's name differs.
    pub(crate) fn url(&self, url: &str) -> String {
        mirrored(url, self.mirror.as_deref())
    }
}

/// `url` with `mirror` in place of `https://SERVER`.
pub(crate) fn mirrored(url: &str, mirror: Option<&str>) -> String {
    match (mirror, url.splitn(4, '/').nth(3)) {
        (Some(mirror), Some(path)) => format!("{}/{path}", mirror.trim_end_matches('/')),
        _ => url.to_owned(),
    }
}

/// A file on a server.
pub(crate) struct Remote<'a> {
    /// The beginning of every error message.
    pub name: &'a str,
    pub url: &'a str,
    /// Hexadecimal SHA-256, or its beginning; `None` if only the hub gives it.
    pub sha256: Option<&'a str>,
    /// Bytes that it can have at most.
    pub most: u64,
    /// What to do without a network: `give a file with --weights`.
    pub instead: &'a str,
}

/// The error for a file that is not in the cache and must not be fetched.
pub(crate) fn offline(name: &str, folder: &Path, instead: &str) -> Error {
    let folder = folder.display();
    Error::file(name, format!("is not in the cache ({folder}); fetch it once without --offline, or {instead}"))
}
