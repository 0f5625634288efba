//! MNIST's IDX files (also Fashion-MNIST, KMNIST, EMNIST): `…images-idx3-ubyte` beside `…labels-idx1-ubyte`, gzipped or not.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use super::Dataset;
use super::bytes::Mapped;
use super::table::{Layout, Part, PixelTable};
use crate::error::{Error, Result};

const FASHION: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

/// The most bytes that a gzipped file may unpack to: EMNIST's largest has 547 MB.
const MAX_UNPACKED: u64 = 1 << 30;

const IMAGES: &str = "images-idx3-ubyte";
const LABELS: &str = "labels-idx1-ubyte";

/// A file's name as its publisher writes it: tools replace dashes with dots or `_`, and `.gz` stays when a browser unpacks a file.
fn plain_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.strip_suffix(".gz").unwrap_or(&name).replace(['.', '_'], "-")
}

/// True if `path` is named like a file of IDX images, gzipped or not.
pub(crate) fn is_images(path: &Path) -> bool {
    plain_name(path).ends_with(IMAGES)
}

/// The files in `folder`, sorted; of one in two forms the unpacked one comes first.
fn sorted_files(folder: &Path) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(here).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut files: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
    let is_packed = |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    files.sort_by_cached_key(|path| (plain_name(path), is_packed(path), path.clone()));
    files
}

/// The image files in `folder`, sorted, as (training, test); a file is a test file if its name starts with `t10k` or
/// `test` or has `-test-` in it (EMNIST).
pub(crate) fn files(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut images = sorted_files(folder);
    images.retain(|path| is_images(path) && path.is_file());
    images.dedup_by_key(|path| plain_name(path));
    images.into_iter().partition(|path| {
        let name = plain_name(path);
        !(name.starts_with("t10k") || name.starts_with("test") || name.contains("-test-"))
    })
}

/// The file of labels that belongs to one of images.
fn labels_of(images: &Path) -> PathBuf {
    let own = plain_name(images);
    let wanted = format!("{}{LABELS}", own.strip_suffix(IMAGES).unwrap_or_default());
    let beside = images.parent().map(sorted_files).unwrap_or_default();
    let found = beside.into_iter().find(|path| plain_name(path) == wanted && path.is_file());
    found.unwrap_or_else(|| images.with_file_name(wanted))
}

/// Opens one pair of files, by the path of its images.
pub(crate) fn open(images: &Path) -> Result<Box<dyn Dataset>> {
    let labels = labels_of(images);
    let (map, [count, height, width]) = read::<3>(images)?;
    let (tags, [tag_count]) = read::<1>(&labels)?;
    if tag_count != count {
        return Err(Error::file(
            &labels,
            format!("has {tag_count} labels for {count} images; download both files again"),
        ));
    }
    let record = width as usize * height as usize;
    let labels: Vec<u32> = tags[8..].iter().map(|&l| u32::from(l)).collect();
    let part = Part { name: images.display().to_string(), offset: 16, stride: record, count: count as usize, map };
    let classes = class_names(images, &labels);
    Ok(Box::new(PixelTable::new(images, vec![part], (width, height), Layout::Grey, labels, classes)?))
}

/// The bytes of an IDX file and the sizes in its header, which account for all of them.
fn read<const D: usize>(path: &Path) -> Result<(Mapped, [u32; D])> {
    let mut bytes = Mapped::open(path)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        bytes = Mapped::unpacked(unpack::<D>(path, &bytes)?);
    }
    let sizes = header::<D>(path, &bytes)?;
    let expected = promised(&sizes);
    if expected != Some(bytes.len() as u64) {
        let found = bytes.len();
        return Err(Error::file(path, format!("promises {sizes:?} bytes but has {found} in all; download it again")));
    }
    Ok((bytes, sizes))
}

/// The concatenated members of a gzip file. Zeros may follow them, as tapes and block devices append them.
struct Members<'a> {
    member: GzDecoder<&'a [u8]>,
}

impl Read for Members<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.member.read(buffer)?;
            let rest: &[u8] = self.member.get_ref();
            if count > 0 || buffer.is_empty() || rest.iter().all(|&byte| byte == 0) {
                return Ok(count);
            }
            self.member = GzDecoder::new(rest);
        }
    }
}

/// The content of a gzipped IDX file, at most one byte beyond what its header promises.
fn unpack<const D: usize>(path: &Path, packed: &[u8]) -> Result<Vec<u8>> {
    let damaged = |e: std::io::Error| Error::file(path, format!("is a damaged gzip file ({e}); download it again"));
    let mut decoder = Members { member: GzDecoder::new(packed) };
    let mut bytes = vec![0; 4 + 4 * D];
    decoder.read_exact(&mut bytes).map_err(damaged)?;
    let sizes = header::<D>(path, &bytes)?;
    let length = promised(&sizes).filter(|&length| length <= MAX_UNPACKED);
    let length = length.ok_or_else(|| {
        let most = MAX_UNPACKED >> 20;
        Error::file(path, format!("promises {sizes:?} bytes, more than the {most} MiB that are unpacked; use gunzip"))
    })?;
    decoder.take(length - bytes.len() as u64 + 1).read_to_end(&mut bytes).map_err(damaged)?;
    Ok(bytes)
}

/// The sizes in an IDX header of unsigned bytes with `D` dimensions.
fn header<const D: usize>(path: &Path, bytes: &[u8]) -> Result<[u32; D]> {
    if bytes.len() < 4 + 4 * D || bytes[..4] != [0, 0, 8, D as u8] {
        return Err(Error::file(path, format!("is not an IDX file of bytes in {D} dimensions; download it again")));
    }
    Ok(std::array::from_fn(|d| {
        let at = 4 + 4 * d;
        u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    }))
}

/// Bytes of a file with a header of these sizes; `None` if their number exceeds 64 bits.
fn promised<const D: usize>(sizes: &[u32; D]) -> Option<u64> {
    let data = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(u64::from(size)))?;
    data.checked_add(4 + 4 * D as u64)
}

/// Class names: digits; or the published names for Fashion-MNIST, which only the folder's name identifies.
fn class_names(images: &Path, labels: &[u32]) -> Vec<String> {
    let highest = labels.iter().max().map_or(0, |&l| l as usize);
    let folder = images.to_string_lossy().to_lowercase();
    if folder.contains("fashion") && highest < FASHION.len() {
        return FASHION.map(String::from).to_vec();
    }
    (0..=highest.max(9)).map(|c| c.to_string()).collect()
}
