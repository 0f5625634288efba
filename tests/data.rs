//! `gpu_resnet::data` against Pillow, torchvision, and files that mean harm.

#[path = "data/augment.rs"]
mod augment;
#[path = "data/check.rs"]
mod check;
#[path = "data/cuts.rs"]
mod cuts;
#[path = "data/damaged.rs"]
mod damaged;
#[path = "data/datasets.rs"]
mod datasets;
#[path = "data/decode.rs"]
mod decode;
#[path = "data/fetch.rs"]
mod fetch;
#[path = "data/folders.rs"]
mod folders;
#[path = "data/formats.rs"]
mod formats;
#[path = "data/golden.rs"]
mod golden;
#[path = "data/idx.rs"]
mod idx;
#[path = "data/inputs.rs"]
mod inputs;
#[path = "data/lists.rs"]
mod lists;
#[path = "data/loader.rs"]
mod loader;
#[cfg(feature = "parquet")]
#[path = "data/parquet.rs"]
mod parquet;
#[cfg(feature = "parquet")]
#[path = "common/parquet_file.rs"]
mod parquet_file;
#[path = "data/processors.rs"]
mod processors;
#[path = "data/refused.rs"]
mod refused;
#[path = "common/server.rs"]
mod server;
#[path = "data/set_parts.rs"]
mod set_parts;
#[path = "data/split.rs"]
mod split;

use std::path::{Path, PathBuf};

use gpu_resnet::data::Rgb8;

/// SplitMix64 of a name and an index, as in `golden/resize.py`.
pub fn hash(name: &str, index: u64) -> u64 {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let z = seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The source image of a golden case: `noise`, `edges` (0 or 255) or `smooth`.
pub fn source(kind: &str, width: u32, height: u32) -> Rgb8 {
    let pixels = (0..u64::from(width) * u64::from(height) * 3)
        .map(|i| match kind {
            "noise" => (hash(kind, i) >> 56) as u8,
            "edges" => 255 * (hash(kind, i) >> 63) as u8,
            "smooth" => {
                let (x, y, c) = (i / 3 % u64::from(width), i / 3 / u64::from(width), i % 3);
                ((x * 5 + y * 3 + c * 70) % 256) as u8
            }
            other => panic!("no such kind of image: {other}"),
        })
        .collect();
    Rgb8 { width, height, pixels }
}

/// An image encoded by the `image` crate.
pub fn encode(image: &Rgb8, format: image::ImageFormat) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_raw(image.width, image.height, image.pixels.clone())
        .expect("the length fits")
        .write_to(&mut out, format)
        .expect("encoding in memory works");
    out.into_inner()
}

/// Writes a file, making its folders.
pub fn put(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = path.as_ref().to_path_buf();
    std::fs::create_dir_all(path.parent().expect("a path in a temporary folder")).expect("the folder can be made");
    std::fs::write(&path, bytes).expect("the file can be written");
    path
}

/// Reads a committed reference; without it the test fails.
pub fn golden_file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{} is missing ({e}); see its script", path.display()))
}

/// Checks that an error is one sentence that has all of `words`.
#[track_caller]
pub fn assert_error<T>(result: gpu_resnet::Result<T>, words: &[&str]) {
    let Err(error) = result else { panic!("no error, but one with {words:?} was expected") };
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in `{text}`");
    }
    assert!(!text.contains('\n'), "more than a line: {text}");
}
