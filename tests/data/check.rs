//! What `data inspect` warns of, each with a data set next to it that is well.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use gpu_resnet::data::{Depth, check, open_splits};
use image::ImageFormat::Png;

use crate::{encode, put, source};

/// Writes image `number` of a kind of its own for every class name and count, under `folder`.
fn images(folder: &Path, classes: &[(&str, usize)], first: u32) {
    for (class, count) in classes {
        for i in 0..*count as u32 {
            // No two have the same size, class and part, so none are copies.
            let image = source("noise", 3 + i, 2 + first + class.len() as u32);
            put(folder.join(class).join(format!("{i:03}.png")), encode(&image, Png));
        }
    }
}

/// The warnings, after checking that each image was counted and each warning is one line.
fn warnings(folder: &Path) -> Vec<String> {
    let splits = open_splits(folder).expect("a data set");
    let done = AtomicUsize::new(0);
    let warnings = check(&*splits.train, splits.val.as_deref(), Depth::Pixels, || {
        done.fetch_add(1, SeqCst);
    });
    assert_eq!(done.into_inner(), splits.train.len() + splits.val.map_or(0, |val| val.len()));
    assert!(warnings.iter().all(|w| !w.contains('\n')), "{warnings:?}");
    warnings
}

/// One warning with all of `words`.
#[track_caller]
fn assert_only(warnings: &[String], words: &[&str]) {
    assert!(warnings.len() == 1 && words.iter().all(|w| warnings[0].contains(w)), "{words:?} in {warnings:?}");
}

fn copy(folder: &Path, from: &str, to: &str) {
    put(folder.join(to), std::fs::read(folder.join(from)).expect("it was written"));
}

#[test]
fn nothing_is_said_of_good_data() {
    let dir = tempfile::tempdir().expect("a folder");
    images(&dir.path().join("train"), &[("a", 3), ("bb", 30)], 0);
    images(&dir.path().join("val"), &[("a", 2), ("bb", 1)], 10);
    assert_eq!(warnings(dir.path()), [""; 0]);
    // Copies in the training part alone can't cross to the validation part.
    copy(dir.path(), "train/a/000.png", "train/a/copy.png");
    assert_eq!(warnings(dir.path()), [""; 0]);
}

#[test]
fn unreadable_images_are_counted_and_one_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    images(dir.path(), &[("a", 3), ("bb", 3)], 0);
    put(dir.path().join("bb/x.png"), "not a picture");
    assert_only(&warnings(dir.path()), &["1 image can't be read", "x.png"]);
    let whole = std::fs::read(dir.path().join("a/001.png")).expect("it was written");
    put(dir.path().join("bb/y.png"), &whole[..whole.len() / 2]);
    // Broken copies are broken, not copies.
    put(dir.path().join("a/z.png"), "not a picture");
    assert_only(&warnings(dir.path()), &["3 images can't be read", "a/z.png"]);
}

#[test]
fn copies_across_the_split_are_found() {
    let dir = tempfile::tempdir().expect("a folder");
    images(&dir.path().join("train"), &[("a", 3), ("bb", 3)], 0);
    images(&dir.path().join("test"), &[("a", 2), ("bb", 2)], 10);
    copy(dir.path(), "train/bb/001.png", "test/bb/twin.png");
    assert_only(&warnings(dir.path()), &["1 image is held out and trained on", "twin.png is", "train/bb/001.png"]);
    copy(dir.path(), "train/a/000.png", "test/a/twin.png");
    copy(dir.path(), "train/a/000.png", "test/bb/wrong.png");
    let said = warnings(dir.path());
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("1 image is in two classes") && said[0].contains("wrong.png"), "{said:?}");
    assert!(said[1].contains("3 images are held out and trained on"), "{said:?}");
}

#[test]
fn copies_are_found_before_a_split_is_drawn() {
    let dir = tempfile::tempdir().expect("a folder");
    images(dir.path(), &[("a", 3), ("bb", 3)], 0);
    copy(dir.path(), "a/000.png", "a/again.png");
    copy(dir.path(), "a/000.png", "a/more.png");
    assert_only(&warnings(dir.path()), &["2 images are a copy", "again.png is"]);
}

#[test]
fn lopsided_and_empty_classes_are_named() {
    for (large, warns) in [(30, false), (31, true)] {
        let dir = tempfile::tempdir().expect("a folder");
        images(dir.path(), &[("a", 3), ("bb", 5), ("ccc", large)], 0);
        let said = warnings(dir.path());
        assert_eq!(said.len(), usize::from(warns), "{said:?}");
        if warns {
            assert_only(&said, &["`ccc` has 31 images and `a` only 3"]);
        }
    }
}

#[test]
fn classes_without_an_image_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    images(dir.path(), &[("a", 3), ("bb", 3)], 0);
    let splits = open_splits(dir.path()).expect("a data set");
    let all: std::sync::Arc<dyn gpu_resnet::data::Dataset> = splits.train.into();
    let part = |indices| gpu_resnet::data::Subset::new(all.clone(), indices).expect("valid");
    assert_eq!(check(&part(vec![0, 3]), None, Depth::Pixels, || ()), [""; 0]);
    assert_only(&check(&part(vec![0, 1]), None, Depth::Pixels, || ()), &["1 class has no image to train on", "`bb`"]);
}

#[test]
fn bytes_tell_copies_and_labels_only_lopsided_classes() {
    let dir = tempfile::tempdir().expect("a folder");
    images(dir.path(), &[("a", 3), ("bb", 31)], 0);
    copy(dir.path(), "a/000.png", "bb/again.png");
    put(dir.path().join("a/broken.png"), b"no picture");
    let splits = open_splits(dir.path()).expect("a data set");
    let said = |depth| check(&*splits.train, None, depth, || ());
    assert_eq!([Depth::Labels, Depth::Bytes, Depth::Pixels].map(|depth| said(depth).len()), [0, 2, 3]);
    assert!(said(Depth::Pixels)[0].contains("1 image can't be read") && said(Depth::Bytes)[0].contains("two classes"));
}
