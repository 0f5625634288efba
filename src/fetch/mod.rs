//! Fetching a file: once, resumed after an interruption, by one process at a time, and checked before it is used.
//!
//! [`weights`](crate::weights) and [`data`](crate::data) decide what is fetched and how it is used.

#[cfg(feature = "fetch")]
mod http;
#[cfg(not(feature = "fetch"))]
#[path = "no_http.rs"]
mod http;
mod part;
mod reply;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cache::cache_dir;
use crate::error::{Error, Result};
pub(crate) use part::Part;

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

/// The SHA-256 of the file at `path`, in hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let hasher = File::open(path).and_then(hash);
    Ok(format!("{:x}", hasher.map_err(|error| Error::file(path, format!("could not be read: {error}")))?.finalize()))
}

/// The hash of everything that is left to read.
fn hash(mut file: impl Read) -> std::io::Result<Sha256> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(hasher)
}
