//! Every kind of data set, opened as a user would, and in every broken state.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gpu_resnet::data::{Dataset, open_dataset, open_splits, require_classes};
use image::ImageFormat::Png;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::{assert_error, encode, put, source};

pub fn picture(folder: &Path, name: &str) -> PathBuf {
    put(folder.join(name), encode(&source("noise", 5, 4), Png))
}

pub fn names(data: &dyn Dataset, folder: &Path) -> Vec<String> {
    let strip = |n: String| Path::new(&n).strip_prefix(folder).map(|p| p.display().to_string()).unwrap_or(n.clone());
    (0..data.len()).map(|i| strip(data.name(i))).collect()
}

pub fn labels(data: &dyn Dataset) -> Vec<usize> {
    (0..data.len()).map(|i| data.label(i)).collect()
}

#[test]
fn an_image_folder_is_read_in_image_folders_order() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["dog/b.png", "dog/a.PNG", "cat/z.png", "cat/deep/a.jpg", "Ape/1.webp", ".hidden/x.png", "cat/.x.png"] {
        picture(dir.path(), name);
    }
    put(dir.path().join("dog/notes.txt"), "x");
    put(dir.path().join("dog/Thumbs.db"), "x");
    picture(dir.path(), "loose.png");
    let data = open_dataset(dir.path()).expect("an image folder");
    assert_eq!(data.classes(), ["Ape", "cat", "dog"]);
    assert_eq!(names(&*data, dir.path()), ["Ape/1.webp", "cat/z.png", "cat/deep/a.jpg", "dog/a.PNG", "dog/b.png"]);
    assert_eq!(labels(&*data), [0, 1, 1, 2, 2]);
    assert_eq!(data.image(1).expect("a picture"), source("noise", 5, 4));
    let remarks = data.remarks().join("; ");
    assert!(remarks.contains("1 file without an image's extension"), "{remarks}");
    assert!(remarks.contains("1 image outside the class folders"), "{remarks}");
    // The same bytes have the same key, whatever the file is called; other bytes have another.
    assert_eq!(data.content_key(0).expect("a key"), data.content_key(1).expect("a key"));
    put(dir.path().join("cat/z.png"), encode(&source("edges", 5, 4), Png));
    assert_ne!(data.content_key(0).expect("a key"), data.content_key(1).expect("a key"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    let dir = tempfile::tempdir().expect("a folder");
    picture(dir.path(), "store/a.png");
    picture(dir.path(), "set/cat/b.png");
    std::os::unix::fs::symlink(dir.path().join("store"), dir.path().join("set/dog")).expect("a link");
    std::os::unix::fs::symlink(dir.path().join("set/cat"), dir.path().join("set/cat/again")).expect("a link");
    let data = open_dataset(&dir.path().join("set")).expect("an image folder");
    assert_eq!(data.classes(), ["cat", "dog"]);
    assert_eq!(labels(&*data), [0, 1]);
}

#[test]
fn broken_image_folders() {
    let dir = tempfile::tempdir().expect("a folder");
    assert_error(open_dataset(dir.path()), &["holds no data set"]);
    assert_error(open_dataset(&dir.path().join("nowhere")), &["nowhere", "does not exist"]);
    picture(dir.path(), "flat/a.png");
    assert_error(open_dataset(&dir.path().join("flat")), &["1 image but no class folders"]);
    picture(dir.path(), "set/cat/a.png");
    let one = open_dataset(&dir.path().join("set")).expect("one class can be looked at");
    assert_error(require_classes(&*one, 2), &["at least 2 classes", "`cat`"]);
    assert!(require_classes(&*one, 1).is_ok());
    put(dir.path().join("set/dog/readme.txt"), "x");
    assert_error(open_dataset(&dir.path().join("set")), &["dog", "without images"]);
    let file = put(dir.path().join("x.tar"), "x");
    assert_error(open_dataset(&file), &["x.tar", "is no data set"]);
}

#[test]
fn splits_by_folder_align_their_classes_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["train/ape/a.png", "train/cat/a.png", "train/dog/a.png", "val/dog/b.png", "test/cat/c.png"] {
        picture(dir.path(), name);
    }
    let splits = open_splits(dir.path()).expect("two parts");
    assert_eq!(labels(&*splits.train), [0, 1, 2]);
    // The validation part has only dogs: they are class 2 all the same, and `test` is left alone.
    let val = splits.val.expect("a held-out part");
    assert_eq!((labels(&*val), val.classes()), (vec![2], splits.train.classes()));
    let all = open_dataset(dir.path()).expect("both parts");
    assert_eq!(names(&*all, dir.path())[2..], ["train/dog/a.png", "val/dog/b.png"]);
    assert_eq!(labels(&*all), [0, 1, 2, 2]);

    picture(dir.path(), "val/zebra/b.png");
    assert_error(open_splits(dir.path()), &["held-out part", "`zebra`"]);
}

/// `n` records whose first pixel has red 10 + i, green 20 + i, blue 30 + i.
fn cifar(n: u8, label_bytes: &[u8]) -> Vec<u8> {
    (0..n)
        .flat_map(|i| {
            let mut record = label_bytes.to_vec();
            *record.last_mut().expect("a label") += i;
            let start = record.len();
            record.resize(start + 3072, 0);
            for (plane, value) in [10, 20, 30].into_iter().enumerate() {
                record[start + plane * 1024] = value + i;
            }
            record
        })
        .collect()
}

#[test]
fn cifar_10_and_100() {
    let dir = tempfile::tempdir().expect("a folder");
    let ten = dir.path().join("root/cifar-10-batches-bin");
    put(ten.join("data_batch_1.bin"), cifar(3, &[0]));
    put(ten.join("data_batch_2.bin"), cifar(2, &[4]));
    put(ten.join("test_batch.bin"), cifar(1, &[9]));
    for root in [&ten, &dir.path().join("root")] {
        let splits = open_splits(root).expect("CIFAR-10");
        assert_eq!(labels(&*splits.train), [0, 1, 2, 4, 5]);
        assert_eq!(labels(&*splits.val.expect("a test part")), [9]);
        let image = splits.train.image(4).expect("a record");
        assert_eq!((image.width, image.height), (32, 32));
        assert_eq!(image.pixels[..4], [11, 21, 31, 0]);
        assert!(splits.train.name(4).ends_with("data_batch_2.bin#1"), "{}", splits.train.name(4));
        assert_eq!(splits.train.classes()[9], "truck");
        // Record 1 of both files has the same pixels.
        let key = |i| splits.train.content_key(i).expect("a key");
        assert_eq!(key(1), key(4));
        assert_ne!(key(0), key(1));
    }
    put(ten.join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
    assert_eq!(open_dataset(&ten).expect("CIFAR-10").classes()[9], "j");
    put(ten.join("batches.meta.txt"), "a\nb\n");
    assert_error(open_dataset(&ten), &["batches.meta.txt", "2 class names instead of 10"]);

    let hundred = dir.path().join("cifar-100-binary");
    put(hundred.join("train.bin"), cifar(2, &[7, 50]));
    put(hundred.join("test.bin"), cifar(1, &[7, 99]));
    let splits = open_splits(&hundred).expect("CIFAR-100");
    assert_eq!(labels(&*splits.train), [50, 51]);
    assert_eq!(splits.train.classes()[99], "worm");
    assert_eq!(splits.train.image(1).expect("a record").pixels[..3], [11, 21, 31]);
    let single = open_dataset(&hundred.join("train.bin")).expect("one file");
    assert_eq!(labels(&*single), [50, 51]);
}

#[test]
fn broken_cifar() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut bytes = cifar(2, &[1]);
    bytes.pop();
    let cut = put(dir.path().join("data_batch_1.bin"), bytes);
    assert_error(open_dataset(dir.path()), &["data_batch_1.bin", "6145 bytes", "3073"]);
    assert_error(open_dataset(&cut), &["6145 bytes"]);
    put(&cut, cifar(2, &[9]));
    assert_error(open_dataset(dir.path()), &["image 1 the label 10", "10 classes"]);
    put(&cut, "");
    assert_error(open_dataset(dir.path()), &["is empty"]);
    put(dir.path().join("py/cifar-10-batches-py/data_batch_1"), "pickle");
    assert_error(open_dataset(&dir.path().join("py")), &["Python version", "binary version"]);
}

pub fn idx(sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|s| s.to_be_bytes()));
    bytes.extend(data);
    bytes
}

#[test]
fn mnist_and_its_lies() {
    let dir = tempfile::tempdir().expect("a folder");
    let pixels: Vec<u8> = (0..2 * 3 * 4).collect();
    let images = put(dir.path().join("train-images-idx3-ubyte"), idx(&[2, 3, 4], &pixels));
    let tags = put(dir.path().join("train-labels-idx1-ubyte"), idx(&[2], &[7, 2]));
    put(dir.path().join("t10k-images-idx3-ubyte"), idx(&[1, 3, 4], &pixels[..12]));
    put(dir.path().join("t10k-labels-idx1-ubyte"), idx(&[1], &[5]));
    let splits = open_splits(dir.path()).expect("MNIST");
    assert_eq!((labels(&*splits.train), splits.train.classes().len()), (vec![7, 2], 10));
    assert_eq!(labels(&*splits.val.expect("a test part")), [5]);
    let image = splits.train.image(1).expect("a record");
    assert_eq!((image.width, image.height, &image.pixels[..6]), (4, 3, &[12, 12, 12, 13, 13, 13][..]));
    assert_eq!(labels(&*open_dataset(&images).expect("one pair")), [7, 2]);

    put(&images, idx(&[3, 3, 4], &pixels));
    assert_error(open_dataset(dir.path()), &["train-images-idx3-ubyte", "promises [3, 3, 4]"]);
    put(&images, idx(&[u32::MAX, u32::MAX, u32::MAX], &pixels));
    assert_error(open_dataset(dir.path()), &["promises"]);
    put(&images, idx(&[2, 0, 4], &[]));
    assert_error(open_dataset(dir.path()), &["4 x 0 pixels"]);
    put(&images, idx(&[2, 3, 4], &pixels));
    put(&tags, idx(&[1], &[7]));
    assert_error(open_dataset(dir.path()), &["train-labels-idx1-ubyte", "1 labels for 2 images"]);
    std::fs::remove_file(&tags).expect("it is there");
    assert_error(open_dataset(dir.path()), &["train-labels-idx1-ubyte", "does not exist"]);
}

fn tensors(path: &Path, images: (Dtype, &[usize]), labels: (Dtype, &[usize], &[u8]), classes: Option<&str>) -> PathBuf {
    let width = if images.0 == Dtype::F32 { 4 } else { 1 };
    let pixels: Vec<u8> = (0..images.1.iter().product::<usize>() * width).map(|i| i as u8).collect();
    let views = [
        ("images", TensorView::new(images.0, images.1.to_vec(), &pixels).expect("a tensor")),
        ("labels", TensorView::new(labels.0, labels.1.to_vec(), labels.2).expect("a tensor")),
    ];
    let metadata = classes.map(|c| HashMap::from([("classes".to_string(), c.to_string())]));
    put(path, safetensors::serialize(views, metadata).expect("serialising works"))
}

#[test]
fn safetensors_and_their_lies() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("set.safetensors");
    let two = [1i64, 0].map(i64::to_le_bytes).concat();
    let rgb = (Dtype::U8, &[2, 3, 4, 3][..]);
    tensors(&path, rgb, (Dtype::I64, &[2], &two), Some(r#"["no","yes"]"#));
    let data = open_dataset(&path).expect("a data set");
    assert_eq!((labels(&*data), data.classes()), (vec![1, 0], &["no".to_string(), "yes".to_string()][..]));
    let image = data.image(1).expect("a record");
    assert_eq!((image.width, image.height, &image.pixels[..3]), (4, 3, &[36, 37, 38][..]));
    let narrow = [3i32, 1].map(i32::to_le_bytes).concat();
    tensors(&path, (Dtype::U8, &[2, 3, 4]), (Dtype::I32, &[2], &narrow), None);
    let data = open_dataset(&path).expect("grey images");
    assert_eq!((labels(&*data), data.classes().len()), (vec![3, 1], 4));
    assert_eq!(data.image(1).expect("a record").pixels[..3], [12, 12, 12]);

    tensors(&path, (Dtype::F32, &[2, 3, 4, 3]), (Dtype::U8, &[2], &[0, 1]), None);
    assert_error(open_dataset(&path), &["`images` as F32", "U8 [N, H, W, 3]"]);
    tensors(&path, (Dtype::U8, &[2, 3, 4, 4]), (Dtype::U8, &[2], &[0, 1]), None);
    assert_error(open_dataset(&path), &["[2, 3, 4, 4]"]);
    tensors(&path, rgb, (Dtype::U8, &[3], &[0, 1, 1]), None);
    assert_error(open_dataset(&path), &["`labels` of shape [3] for 2 images"]);
    tensors(&path, rgb, (Dtype::F32, &[2], &[0; 8]), None);
    assert_error(open_dataset(&path), &["`labels` as F32"]);
    let negative = [-1i64, 0].map(i64::to_le_bytes).concat();
    tensors(&path, rgb, (Dtype::I64, &[2], &negative), None);
    assert_error(open_dataset(&path), &["image 0 the label -1"]);
    let huge = [0, i64::MAX].map(i64::to_le_bytes).concat();
    tensors(&path, rgb, (Dtype::I64, &[2], &huge), None);
    assert_error(open_dataset(&path), &["image 1 the label 9223372036854775807"]);
    tensors(&path, rgb, (Dtype::U8, &[2], &[0, 2]), Some(r#"["no","yes"]"#));
    assert_error(open_dataset(&path), &["label 2", "2 classes"]);
    tensors(&path, rgb, (Dtype::U8, &[2], &[0, 1]), Some("no, yes"));
    assert_error(open_dataset(&path), &["metadata `classes`"]);
    tensors(&path, (Dtype::U8, &[0, 3, 4, 3]), (Dtype::U8, &[0], &[]), None);
    assert_error(open_dataset(&path), &["holds no images"]);

    put(&path, [&u64::MAX.to_le_bytes()[..], b"{}"].concat());
    assert_error(open_dataset(&path), &["not a valid safetensors"]);
    let weights = TensorView::new(Dtype::U8, vec![1], &[0]).expect("a tensor");
    put(&path, safetensors::serialize([("fc.weight", weights)], None).expect("serialising works"));
    assert_error(open_dataset(&path), &["no tensor `images`", "`fc.weight`"]);
}
