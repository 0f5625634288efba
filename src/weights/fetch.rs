//! Fetching a network of the manifest into the user's cache: once, resumed after a cut, checked before it has its name.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Pretrained;
use super::http::{Client, Reply};
use crate::cache::cache_dir;
use crate::error::{Error, Result};
use crate::files;

/// No network here is larger: ResNet-152 has 0.24 GB.
const MOST: u64 = 4 << 30;
/// How often a transfer that was cut off is taken up again within one call.
const TRIES: u32 = 4;

/// Where networks come from and go.
#[derive(Default)]
pub struct FetchOptions<'a> {
    /// Stands in for the beginning of every URL.
    pub mirror: Option<String>,
    /// The folder that keeps them; [`cache_dir`]'s `weights` if none is given.
    pub folder: Option<PathBuf>,
    /// Take only what is there already.
    pub offline: bool,
    /// Told of bytes that are there, and of how many there will be as far as the server says.
    pub progress: Option<&'a dyn Fn(u64, Option<u64>)>,
}

impl FetchOptions<'_> {
    /// `GPU_RESNET_MIRROR`, and the cache's own folder.
    pub fn from_env() -> Self {
        let mirror = std::env::var("GPU_RESNET_MIRROR").ok().filter(|base| !base.is_empty());
        FetchOptions { mirror, ..Default::default() }
    }
}

/// What [`fetch`] did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Fetched {
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
    let folder = match &options.folder {
        Some(folder) => folder.clone(),
        None => cache_dir()?.join("weights"),
    };
    let path = folder.join(entry.file_name());
    if path.is_file() {
        if !recheck {
            return Ok(Fetched { path, cached: true, sha256: None });
        }
        let file = File::open(&path).map_err(|error| Error::file(&path, error))?;
        let found = format!("{:x}", hash(file).map_err(|error| Error::file(&path, error))?.finalize());
        if entry.sha256.as_ref().is_none_or(|expected| found.starts_with(expected.as_str())) {
            return Ok(Fetched { path, cached: true, sha256: Some(found) });
        }
        if options.offline {
            let problem = format!("is damaged: its sha256 is {found}; fetch it again without --offline");
            return Err(Error::file(path, problem));
        }
    }
    if options.offline {
        let problem =
            format!("is not in the cache ({}); fetch it once without --offline, or give a file", folder.display());
        return Err(Error::file(&entry.name, problem));
    }
    let url = entry.url(options.mirror.as_deref());
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Error::Usage(format!("GPU_RESNET_MIRROR makes {url:?} of the URL; begin it with https://")));
    }
    files::create_folder(&folder)?;
    let client = Client::new(&entry.name, &url);
    let expected = match &entry.sha256 {
        Some(expected) => expected.clone(),
        None => client.checksum()?,
    };
    let part = Part::open(folder.join(format!("{}.part", entry.file_name())))?;
    let found = part.fill(&client, options).inspect_err(|_| part.remove_if_empty())?;
    if !found.starts_with(&expected) {
        part.remove();
        let problem = format!(
            "what came from {url} has the sha256 {found} instead of {expected}; nothing was kept, so fetch it again, or \
             take another GPU_RESNET_MIRROR"
        );
        return Err(Error::file(&entry.name, problem));
    }
    part.commit(&path)?;
    Ok(Fetched { path, cached: false, sha256: Some(found) })
}

/// A file on its way, under a name of its own in the cache.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn open(path: PathBuf) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| full(&path, &error))?;
        Ok(Part { path, file })
    }

    /// Fetches what is missing, and gives the SHA-256 of the whole.
    fn fill(&self, client: &Client, options: &FetchOptions) -> Result<String> {
        let mut last = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(100 << attempt));
            }
            match self.attempt(client, options)? {
                Outcome::Whole(sha256) => return Ok(sha256),
                Outcome::Cut(why) => last = Some(why),
            }
        }
        let have = self.file.metadata().map_or(0, |about| about.len());
        Err(client.failed(&format!(
            "was cut off after {have} bytes ({}); run it again to go on from there",
            last.unwrap_or_default()
        )))
    }

    fn attempt(&self, client: &Client, options: &FetchOptions) -> Result<Outcome> {
        let mut file = &self.file;
        file.rewind().map_err(|error| full(&self.path, &error))?;
        let mut hasher = hash(file).map_err(|error| full(&self.path, &error))?;
        let mut have = file.stream_position().map_err(|error| full(&self.path, &error))?;
        let mut reply = match client.get(have)? {
            Reply::Body(body) => body,
            // Nothing follows what is there.
            Reply::Complete => return Ok(Outcome::Whole(format!("{:x}", hasher.finalize()))),
            Reply::Unreachable(why) if have > 0 => return Ok(Outcome::Cut(why)),
            Reply::Unreachable(why) => return Err(client.unreachable(&why)),
        };
        if reply.start == 0 && have > 0 {
            hasher = Sha256::new();
            have = 0;
            file.set_len(0).and_then(|()| file.rewind()).map_err(|error| full(&self.path, &error))?;
        }
        let total = reply.length.map(|length| length.saturating_add(have));
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = match reply.reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Outcome::Cut(error.to_string())),
            };
            let bytes = &buffer[..count];
            if have == 0 && is_markup(bytes) {
                self.remove();
                return Err(client.web_page());
            }
            have += count as u64;
            if have > MOST {
                self.remove();
                return Err(client.failed(&format!("sends more than {MOST} bytes, which is no network of ours")));
            }
            hasher.update(bytes);
            file.write_all(bytes).map_err(|error| full(&self.path, &error))?;
            if let Some(progress) = options.progress {
                progress(have, total);
            }
        }
        match total {
            Some(total) if have < total => Ok(Outcome::Cut(format!("{total} were announced"))),
            _ => Ok(Outcome::Whole(format!("{:x}", hasher.finalize()))),
        }
    }

    fn remove_if_empty(&self) {
        if self.file.metadata().is_ok_and(|about| about.len() == 0) {
            self.remove();
        }
    }

    fn remove(&self) {
        // What stays is checked again the next time.
        let _ = std::fs::remove_file(&self.path);
    }

    fn commit(self, path: &Path) -> Result<()> {
        let Part { path: part, file } = self;
        file.sync_all().map_err(|error| full(&part, &error))?;
        drop(file);
        std::fs::rename(&part, path).map_err(|error| full(path, &error))
    }
}

/// How one transfer ended.
enum Outcome {
    /// At its end, with the SHA-256 of all bytes.
    Whole(String),
    /// Before it.
    Cut(String),
}

fn full(path: &Path, error: &std::io::Error) -> Error {
    Error::file(path, format!("could not be written: {error}; check the folder and its space"))
}

/// Whether a file begins as a web page does. (A lone `<` may be a safetensors header's length.)
fn is_markup(bytes: &[u8]) -> bool {
    let begins =
        |tag: &[u8]| bytes.trim_ascii_start().get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    [b"<!doctype".as_slice(), b"<html", b"<head", b"<?xml"].into_iter().any(begins)
}

/// The hash of all that is left to read.
fn hash(mut file: impl Read) -> std::io::Result<Sha256> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(hasher)
}
