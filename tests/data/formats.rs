//! Files of every format, as odd programs write them, against Pillow's pixels (`tests/golden/decode`).

use std::path::Path;

use gpu_resnet::data::{Rgb8, decode_bytes};
use safetensors::SafeTensors;

use crate::{assert_error, golden_file, hash};

/// A stored file: its name, its bytes, and the pixels that Pillow has for it.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    pub file: Vec<u8>,
    pub expected: Rgb8,
}

/// The stored files of one kind.
pub fn cases(kind: &str) -> Vec<Case> {
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
    compare("jpeg/", 93, |name| if name.starts_with("jpeg/cmyk") { LOSSY } else { EXACT });
}

#[test]
fn pictures_are_turned_as_pillow_turns_them() {
    compare("metadata/", 65, |_| EXACT);
}

#[test]
fn the_first_frame_of_a_gif_lies_on_its_canvas() {
    compare("gif/", 11, |_| EXACT);
}

#[test]
fn a_webp_may_promise_chunks_that_are_not_there() {
    compare("webp/", 16, |_| EXACT);
}

#[test]
fn tiffs_are_pillows() {
    compare("tiff/", 62, |_| EXACT);
}

#[test]
fn pnms_are_pillows() {
    compare("pnm/", 32, |_| EXACT);
}

/// Five and six bits become eight by rounding, where Pillow cuts off.
#[test]
fn bmps_and_dibs_are_pillows() {
    compare("bmp/", 11, |name| if name.starts_with("bmp/rgb_5") { (1, 0.5) } else { EXACT });
}

#[test]
fn compressions_of_os2_are_named() {
    let mut case = cases("bmp/os2").remove(0);
    for kind in [3, 4] {
        case.file[14 + 16] = kind;
        assert_error(decode(&case.file), &["is a BMP with a compression of OS/2", "save it as PNG"]);
    }
    assert_error(decode(&case.file[..70]), &["is a truncated BMP"]);
}

#[test]
fn a_bmp_need_not_say_where_its_pixels_begin() {
    let mut case = cases("bmp/fields").remove(0);
    assert!(case.file.starts_with(b"BM") && case.file[10] > 0);
    case.file[10..14].fill(0);
    assert!(decode(&case.file).expect("a picture") == case.expected);
}

/// What Pillow clips at 255.
#[test]
fn deep_grey_keeps_its_high_byte() {
    let values = [0u16, 0xff, 0x100, 0x7fff, 0x8000, 0xffff];
    let expected: Vec<u8> = values.iter().flat_map(|v| [(v >> 8) as u8; 3]).collect();
    for (order, bytes) in [("II", u16::to_le_bytes as fn(u16) -> [u8; 2]), ("MM", u16::to_be_bytes)] {
        let data: Vec<u8> = values.iter().flat_map(|&v| bytes(v)).collect();
        let long = |v: u16| if order == "II" { [bytes(v), [0; 2]].concat() } else { [[0; 2], bytes(v)].concat() };
        // Width, height, bits, compression, black is zero, where the strip is, rows in it, bytes in it.
        let tags = [(256, 6), (257, 1), (258, 16), (259, 1), (262, 1), (273, 110), (278, 1), (279, 12)];
        let mut file = [order.as_bytes(), &bytes(42), &long(8), &bytes(tags.len() as u16)].concat();
        for (tag, value) in tags {
            file.extend([&bytes(tag)[..], &bytes(3), &long(1), &bytes(value), &[0; 2]].concat());
        }
        file.extend([&[0; 4][..], &data].concat());
        assert_eq!(decode(&file).expect("16-bit grey").pixels, expected, "{order}");
    }
    let pgm = b"P5 3 1 1023\n\0\xff\x02\0\x03\xff";
    assert_eq!(decode(pgm).expect("a PGM").pixels, [64, 64, 64, 128, 128, 128, 255, 255, 255]);
}

fn decode(bytes: &[u8]) -> gpu_resnet::Result<Rgb8> {
    decode_bytes(bytes, Path::new("some/picture"))
}

/// Every stored file, with some of its bytes changed, or its end cut off: an error or a picture, never a panic that gets
/// out, and never a wait.
#[test]
fn damaged_files_of_every_format_are_errors_or_pictures() {
    let started = std::time::Instant::now();
    let (mut read, mut refused) = (0, 0);
    for case in cases("") {
        for round in 0..6u64 {
            let mut damaged = case.file.clone();
            let random = |i: u64| hash(&case.name, 16 * round + i);
            if round == 0 {
                damaged.truncate(random(0) as usize % damaged.len());
            }
            for hit in 0..round {
                // Half of the hits are in the headers, where lengths and sizes are.
                let span = if hit % 2 == 0 { damaged.len() } else { damaged.len().min(120) };
                damaged[random(2 * hit) as usize % span] = random(2 * hit + 1) as u8;
            }
            match decode(&damaged) {
                Ok(image) => {
                    assert_eq!(image.pixels.len(), image.width as usize * image.height as usize * 3, "{}", case.name);
                    read += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().contains('\n'), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// A cut file may be read only if what is missing holds no pixels.
#[test]
fn no_half_of_a_tiff_or_pnm_is_taken_for_whole() {
    for case in [cases("tiff/"), cases("pnm/")].concat() {
        let half = &case.file[..case.file.len() / 2];
        assert_error(decode(half), &["some/picture: "]);
    }
}

#[test]
fn a_tiff_that_lies_about_its_size_is_refused() {
    let with = |name: &str, changes: &[(u16, u32)]| {
        let case = cases(name).into_iter().next().expect("a stored file");
        let mut file = case.file;
        for &(tag, value) in changes {
            let [low, high] = tag.to_le_bytes();
            let at = file.windows(2).position(|w| w == [low, high]).expect("the tag");
            file[at + 2..at + 12].copy_from_slice(&[&[4, 0, 1, 0, 0, 0][..], &value.to_le_bytes()].concat());
        }
        decode(&file)
    };
    assert_error(with("tiff/rgb_little", &[(256, 60_000), (257, 60_000), (278, 60_000)]), &["60000 x 60000 pixels"]);
    assert_error(with("tiff/rgb_little", &[(256, 13_000), (257, 13_000), (278, 13_000)]), &["truncated"]);
}

#[test]
fn kinds_of_tiff_that_are_not_read_are_named() {
    let case = cases("tiff/rgb_little").into_iter().next().expect("a stored file");
    let with = |tag: u16, to: u16, value: u16| {
        let mut file = case.file.clone();
        let at = file.windows(4).position(|w| w[..2] == tag.to_le_bytes() && w[2..] == [3, 0]).expect("the tag");
        file[at..at + 2].copy_from_slice(&to.to_le_bytes());
        file[at + 8..at + 10].copy_from_slice(&value.to_le_bytes());
        decode(&file)
    };
    assert_error(with(278, 266, 2), &["is a TIFF image whose bits are stored in reverse order", "save it"]);
    assert_error(with(278, 339, 3), &["signed or floating-point samples", "save it"]);
    assert_error(with(259, 259, 50000), &["not read", "save it"]);
    assert_error(with(262, 262, 8), &["not read", "save it"]);
}
