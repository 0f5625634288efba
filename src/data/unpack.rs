//! Extracts the known files from an archive: no others, none larger than expected, and only into one folder.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::named::{Archive, Member};
use crate::error::{Error, Result};
use crate::files::NewFile;

/// Bytes of an archive in addition to the kept files: their headers, and texts about the data.
const BESIDE: u64 = 16 << 20;

/// Unpacks the files of `archive`, which lies in `packed`, into `folder`; in a `.tar.gz` they are below `inside`. They get
/// their names when they are committed.
///
/// # Errors
/// `name` and what is wrong with the archive: a file that is missing, has another size or content, or is not a plain file, or far more
/// bytes than those of the files.
pub fn unpack(name: &str, archive: &Archive, packed: &File, inside: &str, folder: &Path) -> Result<Vec<NewFile>> {
    let unpacker = Unpacker { name, archive, folder };
    let mut packed = packed;
    packed.rewind().map_err(|error| unpacker.bad(error))?;
    let left = archive.files.iter().map(|file| file.bytes).sum::<u64>() + BESIDE;
    let mut bytes = Bounded { reader: MultiGzDecoder::new(BufReader::new(packed)), left };
    match (archive.url.ends_with(".tar.gz"), &archive.files[..]) {
        (true, _) => unpacker.tar(bytes, inside),
        (false, [file]) => Ok(vec![unpacker.member(file, &mut bytes)?]),
        (false, files) => Err(unpacker.bad(format!("can't be {} files", files.len()))),
    }
}

struct Unpacker<'a> {
    name: &'a str,
    archive: &'a Archive,
    folder: &'a Path,
}

impl Unpacker<'_> {
    /// The error that no file to unpack was fetched.
    #[cfg(not(feature = "fetch"))]
    fn tar(&self, _bytes: impl Read, _inside: &str) -> Result<Vec<NewFile>> {
        Err(self.bad("needs the cargo feature `fetch` to be unpacked"))
    }

    #[cfg(feature = "fetch")]
    fn tar(&self, bytes: impl Read, inside: &str) -> Result<Vec<NewFile>> {
        let files = &self.archive.files;
        let mut found: Vec<Option<NewFile>> = files.iter().map(|_| None).collect();
        let mut tar = tar::Archive::new(bytes);
        for entry in tar.entries().map_err(|error| self.bad(error))? {
            let mut entry = entry.map_err(|error| self.bad(error))?;
            let path = entry.path_bytes().into_owned();
            let path = path.strip_prefix(b"./").unwrap_or(&path);
            let is_here = |file: &Member| path == format!("{inside}/{}", file.name).as_bytes();
            let Some((file, place)) = files.iter().zip(&mut found).find(|(file, _)| is_here(file)) else { continue };
            if !entry.header().entry_type().is_file() || place.is_some() {
                return Err(self.bad(format!("has {} twice, or not as a file", file.name)));
            }
            *place = Some(self.member(file, &mut entry)?);
            if found.iter().all(Option::is_some) {
                break;
            }
        }
        let missing = files.iter().zip(&found).find(|(_, place)| place.is_none());
        match missing {
            Some((file, _)) => Err(self.bad(format!("has no {inside}/{}", file.name))),
            None => Ok(found.into_iter().flatten().collect()),
        }
    }

    /// Writes all that `bytes` gives, which must be `file`.
    fn member(&self, file: &Member, bytes: &mut dyn Read) -> Result<NewFile> {
        let mut new = NewFile::create(&self.folder.join(&file.name))?;
        let (mut hasher, mut left) = (Sha256::new(), file.bytes);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = match bytes.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.bad(error)),
            };
            let chunk = &buffer[..count];
            match left.checked_sub(count as u64) {
                Some(rest) if count > 0 || rest == 0 => left = rest,
                _ => return Err(self.bad(format!("has a {} of another size than {} bytes", file.name, file.bytes))),
            }
            if count == 0 {
                break;
            }
            hasher.update(chunk);
            new.write(chunk)?;
        }
        let found = format!("{:x}", hasher.finalize());
        match found == file.sha256 {
            true => Ok(new),
            false => Err(self.bad(format!("has a {} with the sha256 {found} instead of {}", file.name, file.sha256))),
        }
    }

    fn bad(&self, problem: impl std::fmt::Display) -> Error {
        Error::file(self.name, format!("{} {problem}, so nothing of it was kept", self.archive.url))
    }
}

/// A reader that fails once it has given more bytes than it may.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| std::io::Error::other("unpacks to far more bytes than it should"))?;
        Ok(count)
    }
}
