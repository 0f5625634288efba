//! A file that is being fetched, under the name `NAME.part`. It is locked while it is written, so that two processes never write
//! into it. After an interruption the transfer continues from it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::digest::hash;
use super::http::Client;
use super::remote::{FetchOptions, Remote};
use super::reply::Reply;
use crate::error::{Error, Result};
use crate::files::is_same;

/// How often an interrupted transfer is resumed within one call.
const TRIES: u32 = 4;

/// The file, locked. When dropped, it stays for the next call to continue from, unless it is empty.
pub(crate) struct Part {
    path: PathBuf,
    /// What it becomes, which errors name.
    wanted: PathBuf,
    file: File,
}

impl Part {
    /// Opens or creates the part of `wanted`, the file called `name`, and waits while another process holds it. Check afterwards whether there
    /// is still something to fetch.
    pub fn open(wanted: PathBuf, name: &str, options: &FetchOptions) -> Result<Self> {
        let mut path = wanted.clone().into_os_string();
        path.push(".part");
        let path = PathBuf::from(path);
        loop {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(|error| full(&wanted, &error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    if let Some(notice) = options.notice {
                        notice(&format!("{name}: another process is fetching it; waiting for that one"));
                    }
                    file.lock().map_err(|error| full(&wanted, &error))?;
                }
                // A file system without locks.
                Err(TryLockError::Error(_)) => return Ok(Part { path, wanted, file }),
            }
            // The process that held it may have renamed or removed it.
            if is_same(&path, &file) {
                return Ok(Part { path, wanted, file });
            }
        }
    }

    /// What is there.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Fetches what is missing, and returns the SHA-256 of the whole file.
    ///
    /// # Errors
    /// What the server did, and what to do about it. Nothing is kept after a wrong checksum.
    pub fn fill(&self, remote: &Remote, options: &FetchOptions) -> Result<String> {
        if !remote.url.starts_with("https://") && !remote.url.starts_with("http://") {
            let url = remote.url;
            return Err(Error::Usage(format!("GPU_RESNET_MIRROR makes {url:?} of the URL; begin it with https://")));
        }
        let client = Client::new(remote);
        let expected = match remote.sha256 {
            Some(expected) => expected.to_owned(),
            None => client.checksum()?,
        };
        let found = self.transfer(&client, remote, options)?;
        if found.starts_with(&expected) {
            return Ok(found);
        }
        self.remove();
        let problem = format!(
            "what came from {} has the sha256 {found} instead of {expected}; nothing was kept, so fetch it again, or take \
             another GPU_RESNET_MIRROR",
            remote.url
        );
        Err(Error::file(remote.name, problem))
    }

    /// Gives the file its own name.
    pub fn commit(self) -> Result<()> {
        self.file.sync_all().map_err(|error| full(&self.wanted, &error))?;
        std::fs::rename(&self.path, &self.wanted).map_err(|error| full(&self.wanted, &error))
    }

    /// Removes the file.
    pub fn remove(&self) {
        // What stays is checked again the next time.
        let _ = std::fs::remove_file(&self.path);
    }

    fn transfer(&self, client: &Client, remote: &Remote, options: &FetchOptions) -> Result<String> {
        let mut last = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(100 << attempt));
            }
            match self.attempt(client, remote, options)? {
                Outcome::Whole(sha256) => return Ok(sha256),
                Outcome::Cut(why) => last = Some(why),
            }
        }
        let have = self.file.metadata().map_or(0, |about| about.len());
        Err(client.failed(&format!(
            "was interrupted after {have} bytes ({}); run it again to continue from there",
            last.unwrap_or_default()
        )))
    }

    fn attempt(&self, client: &Client, remote: &Remote, options: &FetchOptions) -> Result<Outcome> {
        let mut file = &self.file;
        file.rewind().map_err(|error| full(&self.wanted, &error))?;
        let mut hasher = hash(file).map_err(|error| full(&self.wanted, &error))?;
        let mut have = file.stream_position().map_err(|error| full(&self.wanted, &error))?;
        let mut reply = match client.get(have)? {
            Reply::Body(body) => body,
            // The file is already complete.
            Reply::Complete => return Ok(Outcome::Whole(format!("{:x}", hasher.finalize()))),
            Reply::Unreachable(why) if have > 0 => return Ok(Outcome::Cut(why)),
            Reply::Unreachable(why) => return Err(client.unreachable(&why)),
        };
        if reply.start == 0 && have > 0 {
            hasher = Sha256::new();
            have = 0;
            file.set_len(0).and_then(|()| file.rewind()).map_err(|error| full(&self.wanted, &error))?;
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
            if have > remote.most {
                self.remove();
                return Err(client.failed(&format!("sends more than the {} bytes that the file can have", remote.most)));
            }
            hasher.update(bytes);
            file.write_all(bytes).map_err(|error| full(&self.wanted, &error))?;
            if let Some(progress) = options.progress {
                progress(have, total);
            }
        }
        match total {
            Some(total) if have < total => Ok(Outcome::Cut(format!("{total} were announced"))),
            _ => Ok(Outcome::Whole(format!("{:x}", hasher.finalize()))),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|about| about.len() == 0) {
            self.remove();
        }
    }
}

/// How one transfer ended.
enum Outcome {
    /// It reached the end, with the SHA-256 of all bytes.
    Whole(String),
    /// It stopped before the end.
    Cut(String),
}

fn full(path: &Path, error: &std::io::Error) -> Error {
    Error::file(path, format!("could not be written: {error}; check the folder and its space"))
}

/// Whether a file begins like a web page. (A lone `<` may be the length of a safetensors header.)
fn is_markup(bytes: &[u8]) -> bool {
    let begins =
        |tag: &[u8]| bytes.trim_ascii_start().get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    [b"<!doctype".as_slice(), b"<html", b"<head", b"<?xml"].into_iter().any(begins)
}
