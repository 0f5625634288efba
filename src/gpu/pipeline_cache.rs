//! Compiled pipelines kept on disk between processes, if the backend exposes them (Vulkan).
//!
//! A file is `SHA-256(rest) | SHA-256(identity) | what wgpu gave`. The identity names adapter, driver and every shader. wgpu
//! checks a header of its own but not the bytes after it, and these go to the driver as they are; so a file whose digest
//! does not match is never used. The digest detects damage, not malice: whoever can write here can also replace the program.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::adapter::AdapterReport;
use super::shaders;
use crate::error::Result;
use crate::files;

/// A larger file is not read; the pipelines of all of the crate's networks are a few MiB.
const MAX_BYTES: u64 = 64 << 20;
const DIGEST: usize = 32;
/// Bytes of `VkPipelineCacheHeaderVersionOne`.
const VULKAN_HEADER: usize = 32;

/// The pipelines of one adapter.
pub(super) struct PipelineCache {
    pub raw: wgpu::PipelineCache,
    path: PathBuf,
    identity: [u8; DIGEST],
    /// Bytes that were read.
    loaded: Option<usize>,
}

impl PipelineCache {
    /// The cache of `adapter` in `folder`, and a warning if there is a file that can't be used; then it starts empty.
    /// None where the backend has none.
    #[allow(unsafe_code)]
    pub fn open(
        device: &wgpu::Device,
        info: &wgpu::AdapterInfo,
        report: &AdapterReport,
        folder: &Path,
    ) -> Option<(Self, Option<String>)> {
        let name = wgpu::util::pipeline_cache_key(info)?;
        let text =
            |part: &str| part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>();
        // Otherwise two drivers of one device (two versions of a software driver) would replace each other's file.
        let path = folder.join(format!("{name}_{:.64}", text(&report.driver_info)));
        let identity = identity(report);
        let (data, warning) = match read(&path, &identity) {
            Ok(data) => (data, None),
            Err(why) => (None, Some(format!("{}: {why}; pipelines are compiled again", path.display()))),
        };
        let loaded = data.as_ref().map(Vec::len);
        // SAFETY: the bytes were given by `get_data` for this adapter and driver: their digest, written with them, fits. What
        // another version of wgpu or of the driver wrote, wgpu's own header tells, and then the cache starts empty.
        let raw = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: Some("pipelines"),
                data: data.as_deref(),
                fallback: true,
            })
        };
        Some((Self { raw, path, identity, loaded }, warning))
    }

    /// Writes the file if there is anything new in it.
    pub fn save(&self) -> Result<()> {
        let Some(data) = self.raw.get_data() else { return Ok(()) };
        // SwiftShader puts one more empty header before what it was given, each time; a pipeline is larger.
        let nothing_new = self.loaded.is_some_and(|loaded| data.len() <= loaded + VULKAN_HEADER);
        if nothing_new || data.len() as u64 > MAX_BYTES - 2 * DIGEST as u64 {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            files::create_folder(folder)?;
        }
        files::write(&self.path, &[&seal(&self.identity, &data)[..], &self.identity, &data].concat())
    }
}

/// Identifies what wrote a file, and for which adapter.
fn identity(report: &AdapterReport) -> [u8; DIGEST] {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n", report.identity()));
    for (name, digest) in shaders::hashes() {
        hash.update(format!("{name} {digest}\n"));
    }
    hash.finalize().into()
}

/// The digest that opens a file.
fn seal(identity: &[u8; DIGEST], data: &[u8]) -> [u8; DIGEST] {
    Sha256::new().chain_update(identity).chain_update(data).finalize().into()
}

/// What wgpu once gave for `identity`; none if there is no file, or one of an older version of the crate or driver, which
/// the next save replaces. The error is the problem of a file that is damaged.
pub fn read(path: &Path, identity: &[u8; DIGEST]) -> std::result::Result<Option<Vec<u8>>, String> {
    let Some(mut bytes) = files::read_limited(path, MAX_BYTES).map_err(|e| e.to_string())? else { return Ok(None) };
    let data = bytes.get(2 * DIGEST..).ok_or("is too short to be a pipeline cache")?;
    let found: [u8; DIGEST] = bytes[DIGEST..2 * DIGEST].try_into().map_err(|_| "is damaged")?;
    if bytes[..DIGEST] != seal(&found, data) {
        return Err("is damaged".into());
    }
    if found != *identity {
        return Ok(None);
    }
    Ok(Some(bytes.split_off(2 * DIGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_files_of_the_same_identity_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        let (ours, other) = ([1; DIGEST], [2; DIGEST]);
        assert_eq!(read(&path, &ours), Ok(None));
        let file = |identity: &[u8; DIGEST]| [&seal(identity, b"data")[..], identity, b"data"].concat();
        std::fs::write(&path, file(&ours)).unwrap();
        assert_eq!(read(&path, &ours), Ok(Some(b"data".to_vec())));
        std::fs::write(&path, file(&other)).unwrap();
        assert_eq!(read(&path, &ours), Ok(None));
        let whole = file(&ours);
        for at in [0, DIGEST, 2 * DIGEST, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            assert!(read(&path, &ours).is_err(), "byte {at}");
        }
        for bytes in [&b""[..], b"noise", &whole[..whole.len() - 1]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(read(&path, &ours).is_err(), "{} bytes", bytes.len());
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(read(&path, &ours).is_err());
    }
}
