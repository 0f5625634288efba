//! IDX files as publishers and tools leave them: gzipped, with other names, and with lies in them.

use std::io::Write;

use flate2::write::GzEncoder;
use gpu_resnet::data::{open_dataset, open_splits};

use crate::datasets::{idx, labels};
use crate::{assert_error, put};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compressing in memory works");
    encoder.finish().expect("compressing in memory works")
}

const PIXELS: [u8; 24] = [7; 24];

#[test]
fn gzipped_files_under_the_names_that_tools_give() {
    for (images, tags) in [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte.gz", "train-labels.idx1-ubyte"),
        ("train-images.idx3-ubyte", "train-labels-idx1-ubyte.gz"),
        ("train_images_idx3_ubyte.GZ", "train-labels-idx1-ubyte"),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            // What a browser unpacked may have kept the name; what counts is the bytes.
            let packed = name.ends_with("gz");
            put(dir.path().join(name), if packed { gzip(bytes) } else { bytes.to_vec() })
        };
        let file = write(images, &idx(&[2, 3, 4], &PIXELS));
        write(tags, &idx(&[2], &[7, 2]));
        put(dir.path().join("t10k-images-idx3-ubyte.gz"), idx(&[1, 3, 4], &PIXELS[..12]));
        put(dir.path().join("t10k-labels-idx1-ubyte.gz"), idx(&[1], &[5]));
        let splits = open_splits(dir.path()).expect("MNIST");
        assert_eq!(labels(&*splits.train), [7, 2], "{images}");
        assert_eq!(labels(&*splits.val.expect("a test part")), [5]);
        let image = splits.train.image(1).expect("a record");
        assert_eq!((image.width, image.height, image.pixels[0]), (4, 3, 7));
        assert_eq!(labels(&*open_dataset(&file).expect("one pair")), [7, 2]);
    }
}

#[test]
fn both_forms_of_a_file_are_one_set() {
    let dir = tempfile::tempdir().expect("a folder");
    let (images, tags) = (idx(&[2, 3, 4], &PIXELS), idx(&[2], &[7, 2]));
    put(dir.path().join("train-images-idx3-ubyte"), &images);
    put(dir.path().join("train-labels-idx1-ubyte"), &tags);
    put(dir.path().join("train-images-idx3-ubyte.gz"), "never read");
    put(dir.path().join("train-labels-idx1-ubyte.gz"), "never read");
    assert_eq!(labels(&*open_dataset(dir.path()).expect("one set")), [7, 2]);
}

#[test]
fn gzipped_lies() {
    let dir = tempfile::tempdir().expect("a folder");
    let images = dir.path().join("train-images-idx3-ubyte.gz");
    put(dir.path().join("train-labels-idx1-ubyte.gz"), gzip(&idx(&[2], &[7, 2])));
    let whole = gzip(&idx(&[2, 3, 4], &PIXELS));
    put(&images, &whole[..whole.len() - 9]);
    assert_error(open_dataset(dir.path()), &["train-images-idx3-ubyte.gz", "damaged gzip", "download it again"]);
    put(&images, [0x1f, 0x8b, 8, 0]);
    assert_error(open_dataset(dir.path()), &["damaged gzip"]);
    // More than the header promises is not unpacked; less is told.
    put(&images, gzip(&[idx(&[2, 3, 4], &PIXELS), vec![0; 1 << 20]].concat()));
    assert_error(open_dataset(dir.path()), &["promises [2, 3, 4] bytes but has 41"]);
    put(&images, gzip(&idx(&[3, 3, 4], &PIXELS)));
    assert_error(open_dataset(dir.path()), &["promises [3, 3, 4] bytes but has 40"]);
    put(&images, gzip(&idx(&[70_000, 1000, 1000], &PIXELS)));
    assert_error(open_dataset(dir.path()), &["more than the 1024 MiB", "gunzip"]);
    put(&images, gzip(&idx(&[u32::MAX; 3], &PIXELS)));
    assert_error(open_dataset(dir.path()), &["gunzip"]);
    put(&images, gzip(b"not an IDX file at all, but long enough"));
    assert_error(open_dataset(dir.path()), &["not an IDX file"]);
}

#[test]
fn gzip_in_members_and_padded_with_zeros_is_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    put(dir.path().join("train-labels-idx1-ubyte"), idx(&[2], &[7, 2]));
    let bytes = idx(&[2, 3, 4], &PIXELS);
    let images = dir.path().join("train-images-idx3-ubyte.gz");
    let packed = [gzip(&bytes[..20]), gzip(&bytes[20..])].concat();
    put(&images, [&packed[..], &[0; 512]].concat());
    assert_eq!(labels(&*open_dataset(dir.path()).expect("a set")), [7, 2]);
    put(&images, [&packed[..], &[0, 0, 1]].concat());
    assert_error(open_dataset(dir.path()), &["damaged gzip"]);
    let mut damaged = [&packed[..], &[0; 4]].concat();
    damaged[packed.len() - 6] ^= 1;
    put(&images, damaged);
    assert_error(open_dataset(dir.path()), &["damaged gzip"]);
}

#[test]
fn a_root_with_several_sets_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    for set in ["MNIST", "FashionMNIST"] {
        put(dir.path().join(set).join("raw/train-images-idx3-ubyte"), idx(&[2, 3, 4], &PIXELS));
        put(dir.path().join(set).join("raw/train-labels-idx1-ubyte"), idx(&[2], &[7, 2]));
    }
    assert_error(open_dataset(dir.path()), &["several data sets: `MNIST/raw`, `FashionMNIST/raw`", "name one"]);
    assert_eq!(open_dataset(&dir.path().join("FashionMNIST")).expect("one set").classes()[9], "Ankle boot");
}
