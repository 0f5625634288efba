//! MNIST's IDX files (also Fashion-MNIST, KMNIST, EMNIST): `…images-idx3-ubyte` beside `…labels-idx1-ubyte`.

use std::path::{Path, PathBuf};

use super::Dataset;
use super::bytes::Mapped;
use super::table::{Layout, Part, PixelTable};
use crate::error::{Error, Result};

const FASHION: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

/// True if `path` is named like a file of IDX images.
pub(crate) fn is_images(path: &Path) -> bool {
    path.file_name().is_some_and(|n| {
        let name = n.to_string_lossy();
        name.ends_with("images-idx3-ubyte") || name.ends_with("images.idx3-ubyte")
    })
}

/// The image files in `folder`, sorted, as (training, test); a file is a test file if its name starts with `t10k` or
/// `test` or has `-test-` in it (EMNIST).
pub(crate) fn files(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).map(|d| d.flatten().map(|e| e.path()).collect::<Vec<_>>());
    let mut images: Vec<_> = entries.unwrap_or_default().into_iter().filter(|p| is_images(p) && p.is_file()).collect();
    images.sort();
    images.into_iter().partition(|p| {
        let name = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        !(name.starts_with("t10k") || name.starts_with("test") || name.contains("-test-"))
    })
}

/// Opens one pair of files, by the path of its images.
pub(crate) fn open(images: &Path) -> Result<Box<dyn Dataset>> {
    let name = images.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let labels = images.with_file_name(name.replace("images", "labels").replace("idx3", "idx1"));
    let map = Mapped::open(images)?;
    let [count, height, width] = header::<3>(images, &map)?;
    let tags = Mapped::open(&labels)?;
    let [tag_count] = header::<1>(&labels, &tags)?;
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

/// The sizes in an IDX header of unsigned bytes with `D` dimensions, which must account for the whole file.
fn header<const D: usize>(path: &Path, bytes: &[u8]) -> Result<[u32; D]> {
    let start = 4 + 4 * D;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(Error::file(path, "is still compressed; unpack it with gunzip"));
    }
    if bytes.len() < start || bytes[..4] != [0, 0, 8, D as u8] {
        return Err(Error::file(path, format!("is no IDX file of bytes in {D} dimensions; download it again")));
    }
    let sizes: [u32; D] = std::array::from_fn(|d| {
        let at = 4 + 4 * d;
        u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    });
    let expected =
        sizes.iter().try_fold(1u64, |p, &s| p.checked_mul(u64::from(s))).and_then(|p| p.checked_add(start as u64));
    if expected != Some(bytes.len() as u64) {
        let found = bytes.len();
        return Err(Error::file(path, format!("promises {sizes:?} bytes but has {found} in all; download it again")));
    }
    Ok(sizes)
}

/// Digits by their number; Fashion-MNIST, which only its folder's name tells apart, by its published names.
fn class_names(images: &Path, labels: &[u32]) -> Vec<String> {
    let highest = labels.iter().max().map_or(0, |&l| l as usize);
    let folder = images.to_string_lossy().to_lowercase();
    if folder.contains("fashion") && highest < FASHION.len() {
        return FASHION.map(String::from).to_vec();
    }
    (0..=highest.max(9)).map(|c| c.to_string()).collect()
}
