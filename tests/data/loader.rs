//! The loader: order, failures, early drops, bounded look-ahead.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use gpu_resnet::data::{Augment, Dataset, FileList, Loader, Preprocess, Rgb8};
use gpu_resnet::{Error, Result};
use image::ImageFormat::Png;

use crate::{assert_error, encode, put, source};

/// Image `i` is a flat `i`; multiples of 10 fail, 13 panics, and early images take longest.
struct Flat {
    len: usize,
    read: AtomicUsize,
}

impl Flat {
    fn new(len: usize) -> Arc<Self> {
        Arc::new(Flat { len, read: AtomicUsize::new(0) })
    }
}

impl Dataset for Flat {
    fn len(&self) -> usize {
        self.len
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn name(&self, i: usize) -> String {
        format!("flat {i}")
    }

    fn label(&self, _: usize) -> usize {
        0
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        self.read.fetch_add(1, SeqCst);
        if i.is_multiple_of(3) {
            std::thread::sleep(Duration::from_millis(2));
        }
        match i {
            13 => panic!("a data set with a bug"),
            i if i % 10 == 0 => Err(Error::file(self.name(i), "is bad")),
            i => Ok(Rgb8 { width: 4, height: 6, pixels: vec![i as u8; 72] }),
        }
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        Ok([i as u8; 32])
    }
}

fn small() -> Preprocess {
    Preprocess { resize: 4, crop: 4, ..Preprocess::default() }
}

#[test]
fn batches_come_in_order_and_failures_are_left_out() {
    let order: Vec<usize> = (0..57).rev().chain([3, 3]).collect();
    let loader = Loader::new(Flat::new(57), order.clone(), 8, small(), 2).expect("a loader");
    assert_eq!(loader.size_hint(), (8, Some(8)));
    let (mut seen, mut failed, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for batch in loader {
        assert_eq!(batch.pixels.len(), batch.indices.len() * 48);
        for (i, pixels) in batch.indices.iter().zip(batch.pixels.chunks_exact(48)) {
            assert!(pixels.iter().all(|&p| p == *i as u8), "image {i} has another's pixels");
        }
        sizes.push(batch.indices.len() + batch.failures.len());
        seen.extend(batch.indices);
        for (i, error) in batch.failures {
            let words = if i == 13 { "panicked" } else { "is bad" };
            assert!(error.to_string().contains(words), "{error}");
            failed.push(i);
        }
    }
    assert_eq!(sizes, [8, 8, 8, 8, 8, 8, 8, 3]);
    assert_eq!(failed, [50, 40, 30, 20, 13, 10, 0]);
    let good: Vec<usize> = order.into_iter().filter(|i| i % 10 != 0 && *i != 13).collect();
    assert_eq!(seen, good);
}

/// Image `i` is noise of its own.
struct Noise(usize);

impl Dataset for Noise {
    fn len(&self) -> usize {
        self.0
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn name(&self, i: usize) -> String {
        format!("noise {i}")
    }

    fn label(&self, _: usize) -> usize {
        0
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        Ok(source("noise", 20 + i as u32 % 7, 30))
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        Ok([i as u8; 32])
    }
}

#[test]
fn augmented_pixels_depend_on_seed_epoch_and_number_alone() {
    let data = Arc::new(Noise(60));
    let augment: Augment = "imagenet,jitter".parse().expect("valid");
    let load = |order: &[usize], batch: usize, seed, epoch| {
        let loader = Loader::augmented(data.clone(), order.to_vec(), batch, small(), 2, augment, seed, epoch);
        let mut by_number = vec![Vec::new(); 60];
        for batch in loader.expect("a loader") {
            for (&i, pixels) in batch.indices.iter().zip(batch.pixels.chunks_exact(48)) {
                by_number[i] = pixels.to_vec();
            }
        }
        by_number
    };
    // On this thread alone, one after the other.
    let alone = |seed, epoch| -> Vec<Vec<u8>> {
        let see = |i| augment.apply(&data.image(i)?, &small(), &mut Augment::rng(seed, epoch, i));
        (0..60).map(|i| see(i).expect("valid").pixels).collect()
    };
    let order: Vec<usize> = (0..60).collect();
    let backwards: Vec<usize> = (0..60).rev().collect();
    assert_eq!(load(&order, 8, 5, 1), alone(5, 1));
    assert_eq!(load(&backwards, 7, 5, 1), alone(5, 1));
    for (seed, epoch) in [(5, 2), (6, 1)] {
        let differing = alone(seed, epoch).iter().zip(alone(5, 1)).filter(|(a, b)| *a != b).count();
        assert!(differing > 55, "only {differing} of 60 images differ");
    }
    let plain: Vec<u8> =
        Loader::new(data.clone(), order.clone(), 8, small(), 2).expect("a loader").flat_map(|b| b.pixels).collect();
    let none =
        Loader::augmented(data.clone(), order.clone(), 8, small(), 2, Augment::default(), 5, 1).expect("a loader");
    assert_eq!(none.flat_map(|b| b.pixels).collect::<Vec<u8>>(), plain);
    let bad = Augment { flip: Some(2.0), ..Augment::default() };
    assert_error(Loader::augmented(data, order, 8, small(), 2, bad, 5, 1), &["flip=2"]);
}

#[test]
fn a_consumer_that_leaves_early_is_not_waited_for() {
    let data = Flat::new(5000);
    for taken in [0, 1, 3] {
        let mut loader = Loader::new(data.clone(), (0..5000).collect(), 16, small(), 2).expect("a loader");
        for _ in 0..taken {
            assert!(loader.next().is_some());
        }
        drop(loader);
    }
    assert!(data.read.load(SeqCst) < 1000, "the workers went on");
}

#[test]
fn no_more_is_read_ahead_than_the_window() {
    let data = Flat::new(500);
    let mut loader = Loader::new(data.clone(), (0..500).collect(), 10, small(), 3).expect("a loader");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(data.read.load(SeqCst), 40, "three batches ahead of the first");
    assert!(loader.next().is_some());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(data.read.load(SeqCst), 50);
}

#[test]
fn nothing_to_read_and_nonsense() {
    assert!(Loader::new(Flat::new(3), Vec::new(), 4, small(), 0).expect("a loader").next().is_none());
    assert_eq!(Loader::new(Flat::new(9), vec![1], 1000, small(), usize::MAX).expect("a loader").count(), 1);
    assert_error(Loader::new(Flat::new(3), vec![0], 0, small(), 1), &["batch size"]);
    assert_error(Loader::new(Flat::new(3), vec![3], 1, small(), 1), &["image 3", "only 3"]);
    let bad = Preprocess { crop: 0, ..Preprocess::default() };
    assert_error(Loader::new(Flat::new(3), vec![0], 1, bad, 1), &["crop must be 1 to 4096"]);
}

#[test]
fn a_list_of_files_with_a_bad_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let picture = source("smooth", 9, 7);
    let files: Vec<PathBuf> = (0..5).map(|i| dir.path().join(format!("{i}.png"))).collect();
    for file in &files {
        put(file, encode(&picture, Png));
    }
    put(&files[2], "not a picture");
    let list: Arc<dyn Dataset> = Arc::new(FileList::new(files));
    let batches: Vec<_> = Loader::new(list, (0..5).collect(), 3, small(), 1).expect("a loader").collect();
    assert_eq!((&batches[0].indices[..], &batches[1].indices[..]), (&[0, 1][..], &[3, 4][..]));
    assert!(batches[0].failures[0].1.to_string().contains("2.png"));
    assert_eq!(batches[1].pixels[..48], small().apply(&picture).expect("a valid size").pixels[..]);
}

#[test]
fn preprocess_as_weights_files_carry_it() {
    let json = r#"{"resize": 256, "crop": 224, "interpolation": "bicubic", "mean": [0.5,0.5,0.5], "std": [1,1,1]}"#;
    let read = Preprocess::from_json(json).expect("valid");
    assert_eq!(Preprocess::from_json(&serde_json::to_string(&read).expect("it serialises")).expect("valid"), read);
    let written = serde_json::to_value(Preprocess::default()).expect("it serialises");
    let mut keys: Vec<&String> = written.as_object().expect("an object").keys().collect();
    keys.sort();
    assert_eq!(keys, ["crop", "interpolation", "mean", "resize", "std"]);
    assert_eq!(written["interpolation"], "bilinear");
    let half = Preprocess::default().with_image_size(112).expect("valid");
    assert_eq!((half.resize, half.crop), (128, 112));
    for size in [0, 5000] {
        assert_error(Preprocess::default().with_image_size(size), &["crop must be 1 to 4096"]);
    }
    for (json, word) in [
        (r#"{"std": [0,1,1]}"#, "std"),
        (r#"{"mean": [1e39,1,1]}"#, "mean"),
        (r#"{"crop": 100000}"#, "crop"),
        (r#"{"resize": 0}"#, "resize"),
        (r#"{"interpolation": "nearest"}"#, "nearest"),
        ("[", "JSON"),
    ] {
        assert_error(Preprocess::from_json(json), &[word]);
    }
}

#[test]
fn a_long_narrow_image_costs_little() {
    let start = std::time::Instant::now();
    let line = source("noise", 400_000, 1);
    let cropped = Preprocess::default().apply(&line).expect("a valid size");
    assert_eq!((cropped.width, cropped.height), (224, 224));
    let wrong = Rgb8 { width: 10, height: 10, pixels: vec![0; 299] };
    assert_error(Preprocess::default().apply(&wrong), &["needs 300 bytes"]);
    assert_error(Preprocess::default().apply(&Rgb8 { width: 0, height: 0, pixels: vec![] }), &["0 x 0"]);
    // Made whole, it would be 102 million x 256 pixels.
    assert!(start.elapsed() < Duration::from_secs(5));
}
