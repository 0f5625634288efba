//! Files of every format, as odd programs write them, against Pillow's pixels (`tests/golden/decode`).

use std::path::Path;

use gpu_resnet::data::{Rgb8, decode_bytes};
use safetensors::SafeTensors;

use crate::{assert_error, golden_file};

/// A stored file: its name, its bytes, and the pixels that Pillow has for it.
struct Case {
    name: String,
    file: Vec<u8>,
    expected: Rgb8,
}

/// The stored files of one kind.
fn cases(kind: &str) -> Vec<Case> {
    let stored = golden_file("decode.safetensors");
    let stored = SafeTensors::deserialize(&stored).expect("a safetensors file");
    let names = stored.names().into_iter().filter_map(|n| n.strip_suffix(".file")).filter(|n| n.starts_with(kind));
    let mut cases: Vec<Case> = names
        .map(|name| {
            let data = |part: &str| stored.tensor(&format!("{name}.{part}")).expect("both parts").data().to_vec();
            let expected = image::load_from_memory(&data("png")).expect("a PNG").into_rgb8();
            let (width, height) = expected.dimensions();
            let expected = Rgb8 { width, height, pixels: expected.into_raw() };
            Case { name: name.to_string(), file: data("file"), expected }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// What is wrong with a file's pixels if they may differ by `most` levels and by `mean` on average.
fn difference(case: &Case, most: u8, mean: f64) -> Option<String> {
    let found = match decode_bytes(&case.file, Path::new(&case.name)) {
        Ok(found) => found,
        Err(error) => return Some(error.to_string()),
    };
    let (size, expected) = ((found.width, found.height), (case.expected.width, case.expected.height));
    if size != expected {
        return Some(format!("{}: {size:?} pixels, not {expected:?}", case.name));
    }
    let differences: Vec<u8> = found.pixels.iter().zip(&case.expected.pixels).map(|(a, b)| a.abs_diff(*b)).collect();
    let worst = differences.iter().copied().max().unwrap_or(0);
    let average = differences.iter().map(|&d| f64::from(d)).sum::<f64>() / differences.len() as f64;
    (worst > most || average > mean).then(|| format!("{}: off by up to {worst}, on average by {average:.3}", case.name))
}

/// What an inverse transform and a conversion of colours that round in another way may change. A wrong upsampling or a
/// wrong kind of colours is off by dozens of levels.
const LOSSY: (u8, f64) = (4, 0.6);
const EXACT: (u8, f64) = (0, 0.0);

/// Compares `count` files of one kind, each within the largest and the mean difference that `tolerance` has for its name.
#[track_caller]
fn compare(kind: &str, count: usize, tolerance: impl Fn(&str) -> (u8, f64)) {
    let cases = cases(kind);
    assert_eq!(cases.len(), count, "references of {kind}");
    let judge = |case: &Case| {
        let (most, mean) = tolerance(&case.name);
        difference(case, most, mean)
    };
    let wrong: Vec<_> = cases.iter().filter_map(judge).collect();
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn jpegs_of_every_sampling_scan_order_and_colour_are_pillows() {
    compare("jpeg/", 84, |_| LOSSY);
}

#[test]
fn pictures_are_turned_as_pillow_turns_them() {
    compare("metadata/", 65, |name| if name.starts_with("metadata/jpeg") { LOSSY } else { EXACT });
}

#[test]
fn the_first_frame_of_a_gif_lies_on_its_canvas() {
    compare("gif/", 11, |_| EXACT);
}

#[test]
fn a_webp_may_promise_chunks_that_are_not_there() {
    compare("webp/", 14, |name| if name.ends_with("_lossy") || name.ends_with("/alpha") { LOSSY } else { EXACT });
}

#[test]
fn tiffs_are_pillows() {
    compare("tiff/", 55, |name| if name.starts_with("tiff/jpeg") { LOSSY } else { EXACT });
}

#[test]
fn pnms_are_pillows() {
    compare("pnm/", 29, |_| EXACT);
}
