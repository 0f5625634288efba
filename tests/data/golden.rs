//! Pixels compared with those that Pillow and torchvision made (`tests/golden/resize.py`, `images.py`).

use std::path::Path;

use gpu_resnet::data::{Interpolation, Preprocess, Rgb8, decode_bytes, resize};
use safetensors::SafeTensors;

use crate::{golden_file, source};

/// Largest difference, how many bytes differ, and the mean difference.
fn compare(found: &[u8], expected: &[u8]) -> (u8, usize, f64) {
    assert_eq!(found.len(), expected.len());
    let differences: Vec<u8> = found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).collect();
    let sum: u64 = differences.iter().map(|&d| u64::from(d)).sum();
    let differing = differences.iter().filter(|&&d| d > 0).count();
    (differences.iter().copied().max().unwrap_or(0), differing, sum as f64 / differences.len() as f64)
}

fn size(text: &str) -> (u32, u32) {
    let (w, h) = text.split_once('x').expect("WxH");
    (w.parse().expect("a number"), h.parse().expect("a number"))
}

fn filter(text: &str) -> Interpolation {
    match text {
        "bilinear" => Interpolation::Bilinear,
        "bicubic" => Interpolation::Bicubic,
        other => panic!("no such filter: {other}"),
    }
}

fn other(filter: Interpolation) -> Interpolation {
    match filter {
        Interpolation::Bilinear => Interpolation::Bicubic,
        Interpolation::Bicubic => Interpolation::Bilinear,
    }
}

/// Runs `make` on every case that starts with `prefix`, and returns how many there were, the worst difference and the
/// share of bytes that differ.
fn run(prefix: &str, make: impl Fn(&[&str]) -> Rgb8) -> (usize, u8, f64) {
    let file = golden_file("resize.safetensors");
    let golden = SafeTensors::deserialize(&file).expect("a safetensors file");
    let (mut cases, mut worst, mut differing, mut total) = (0, 0, 0, 0);
    for (name, expected) in golden.tensors() {
        let parts: Vec<&str> = name.split('/').collect();
        if parts[0] != prefix {
            continue;
        }
        let found = make(&parts[1..]);
        assert_eq!([found.height as usize, found.width as usize, 3], expected.shape(), "{name}");
        let (max, differ, _) = compare(&found.pixels, expected.data());
        if max > 1 {
            println!("{name}: off by up to {max}");
        }
        (cases, worst, differing, total) =
            (cases + 1, worst.max(max), differing + differ, total + expected.data().len());
    }
    let share = differing as f64 / total as f64;
    println!("{prefix}: {cases} cases, worst difference {worst}/255, {:.3} % of the bytes differ", share * 100.0);
    (cases, worst, share)
}

fn resized(parts: &[&str], filter: Interpolation) -> Rgb8 {
    let ((w, h), (tw, th)) = (size(parts[1]), size(parts[2]));
    resize(&source(parts[0], w, h), tw, th, filter).expect("a valid size")
}

fn preprocessed(parts: &[&str], change: impl Fn(&mut Preprocess)) -> Rgb8 {
    let (w, h) = size(parts[1]);
    let mut preprocess = Preprocess {
        resize: parts[2].parse().expect("a number"),
        crop: parts[3].parse().expect("a number"),
        interpolation: filter(parts[4]),
        ..Preprocess::default()
    };
    change(&mut preprocess);
    preprocess.apply(&source(parts[0], w, h)).expect("a valid size")
}

#[test]
fn resizing_matches_pillow_in_every_bit() {
    let (cases, worst, share) = run("resize", |p| resized(p, filter(p[3])));
    assert!(cases >= 100, "only {cases} cases");
    // The same fixed-point arithmetic in the same order: more than the one level that is promised.
    assert_eq!(worst, 0, "{share} of the bytes differ");
}

#[test]
fn the_eval_transform_matches_torchvision_in_every_bit() {
    let (cases, worst, share) = run("preprocess", |p| preprocessed(p, |_| ()));
    assert!(cases >= 70, "only {cases} cases");
    // The same fixed-point arithmetic in the same order: more than the one level that is promised.
    assert_eq!(worst, 0, "{share} of the bytes differ");
}

#[test]
fn the_comparison_catches_a_wrong_filter_a_wrong_order_and_a_shifted_crop() {
    assert!(run("resize", |p| resized(p, other(filter(p[3])))).1 > 30);
    // Columns first, then rows: the clipping between the passes is at other pixels.
    let columns_first = |p: &[&str]| {
        let ((w, h), (tw, th)) = (size(p[1]), size(p[2]));
        let tall = resize(&source(p[0], w, h), w, th, filter(p[3])).expect("a valid size");
        resize(&tall, tw, th, filter(p[3])).expect("a valid size")
    };
    assert!(run("resize", columns_first).1 > 3);
    assert!(run("preprocess", |p| preprocessed(p, |t| t.resize += 1)).1 > 30);
}

/// The largest single and mean difference that a CMYK JPEG may have, whose decoder rounds in another way. All others must agree in every
/// bit.
fn tolerance(name: &str) -> (u8, f64) {
    if name == "jpeg_cmyk" { (1, 0.01) } else { (0, 0.0) }
}

#[test]
fn every_format_decodes_to_pillows_pixels() {
    let file = golden_file("images.safetensors");
    let golden = SafeTensors::deserialize(&file).expect("a safetensors file");
    let mut cases = 0;
    let mut failed = Vec::new();
    for name in golden.names() {
        let Some(stem) = name.strip_suffix(".file") else { continue };
        let encoded = golden.tensor(name).expect("listed");
        let expected = golden.tensor(&format!("{stem}.rgb")).expect("each file has its pixels");
        let found = decode_bytes(encoded.data(), Path::new(stem)).expect(stem);
        assert_eq!([found.height as usize, found.width as usize, 3], expected.shape(), "{stem}");
        let (max, differ, mean) = compare(&found.pixels, expected.data());
        println!("{stem}: up to {max}, mean {mean:.3}, {differ} of {} bytes differ", found.pixels.len());
        let (allowed, allowed_mean) = tolerance(stem);
        if max > allowed || mean > allowed_mean {
            failed.push(format!("{stem}: up to {max}, mean {mean:.3}"));
        }
        cases += 1;
    }
    assert_eq!(cases, 36, "the references are incomplete");
    assert!(failed.is_empty(), "{failed:#?}");
}
