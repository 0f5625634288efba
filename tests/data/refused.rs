//! Images that would be read as something else than what they show.

use std::path::Path;

use gpu_resnet::data::{Rgb8, decode_bytes};

use crate::assert_error;
use crate::formats::cases;

fn decode(bytes: &[u8]) -> gpu_resnet::Result<Rgb8> {
    decode_bytes(bytes, Path::new("some/picture"))
}

/// The first page of a camera raw is its thumbnail.
#[test]
fn camera_raws_in_tiffs_are_named() {
    let case = cases("tiff/rgb_little").swap_remove(0);
    // A directory of one more or two more entries, at the end of the file.
    let with = |entries: &[(u16, u16, u32)]| {
        let mut file = case.file.clone();
        let count = usize::from(u16::from_le_bytes([file[8], file[9]]));
        let mut all: Vec<[u8; 12]> = file[10..10 + 12 * count].as_chunks().0.to_vec();
        for &(tag, kind, value) in entries {
            let entry = [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &[1, 0, 0, 0], &value.to_le_bytes()].concat();
            all.push(entry.try_into().expect("twelve bytes"));
        }
        all.sort_by_key(|entry| u16::from_le_bytes([entry[0], entry[1]]));
        let at = file.len() as u32;
        file[4..8].copy_from_slice(&at.to_le_bytes());
        file.extend((all.len() as u16).to_le_bytes());
        file.extend(all.concat());
        file.extend([0; 4]);
        decode(&file)
    };
    assert_eq!(with(&[]).expect("a TIFF"), case.expected);
    // A page that is whole may have thumbnails below it; one that is reduced may stand alone.
    assert_eq!(with(&[(254, 4, 0), (330, 4, 8)]).expect("a TIFF with a thumbnail"), case.expected);
    assert_eq!(with(&[(254, 4, 1)]).expect("a TIFF"), case.expected);
    for kind in [3, 4] {
        assert_error(with(&[(254, kind, 1), (330, 4, 8)]), &["is a camera raw photograph (such as NEF", "convert it"]);
    }
    assert_error(with(&[(50706, 1, 0x401)]), &["is a camera raw photograph (DNG)", "convert it"]);
}

/// A CMYK JPEG whose frame header says another size: of one MCU, so that its data suffice.
#[test]
fn narrow_cmyk_jpegs_with_subsampled_chroma_are_refused() {
    let sized = |width: u16| {
        let mut file = cases("jpeg/cmyk_420").swap_remove(0).file;
        let at = file.windows(2).position(|w| w == [0xff, 0xc0]).expect("a frame") + 5;
        file[at..at + 4].copy_from_slice(&[8u16.to_be_bytes(), width.to_be_bytes()].concat());
        decode(&file)
    };
    assert_error(sized(2), &["is a JPEG of at most 4 pixels' width", "CMYK", "save it as PNG"]);
    assert_eq!(sized(5).expect("a JPEG").width, 5);
}

#[test]
fn a_pnm_whose_header_does_not_end_is_refused() {
    for file in [&b"P6 1 1 255x123"[..], b"P6 1 1 255#c\nx123"] {
        assert_error(decode(file), &["is a corrupt PNM image (its header has no end)"]);
    }
    assert_eq!(decode(b"P6 1 1 255\n123").expect("a PPM").pixels, *b"123");
    assert_error(decode(b"P6 1 1 255"), &["truncated PNM"]);
}

/// A little-endian TIFF of indices of a palette, with `from` (the beginning of a directory's entry) replaced.
fn changed_tiff(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut file = cases("tiff/palette_raw").remove(0).file;
    let at = file.windows(from.len()).position(|part| part == from).expect("the entry");
    file[at..at + to.len()].copy_from_slice(to);
    file
}

#[test]
fn a_palette_that_a_tiff_does_not_use_is_ignored() {
    // Black is zero instead of a palette.
    let grey = decode(&changed_tiff(&[6, 1, 3, 0, 1, 0, 0, 0, 3], &[6, 1, 3, 0, 1, 0, 0, 0, 1])).expect("a picture");
    assert!(grey.pixels.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b));
}

#[test]
fn damaged_directories_of_tiffs_are_refused() {
    // The height's entry became another width, and the samples have 7 bits.
    assert_error(decode(&changed_tiff(&[1, 1, 4, 0], &[0, 1])), &["is a corrupt TIFF image (a tag stands twice"]);
    // A description may stand twice.
    let mut twice = cases("tiff/palette_raw").remove(0).file;
    let entries = u16::from_le_bytes([twice[8], twice[9]]);
    let kept = twice[10..10 + 12 * usize::from(entries)].to_vec();
    let description = [14, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    twice.resize(twice.len().next_multiple_of(2), 0);
    let at = twice.len() as u32;
    twice[4..8].copy_from_slice(&at.to_le_bytes());
    twice.extend([&(entries + 2).to_le_bytes()[..], &kept, &description, &description, &[0; 4]].concat());
    assert!(decode(&twice).is_ok());
    let bits = changed_tiff(&[2, 1, 3, 0, 1, 0, 0, 0, 8], &[2, 1, 3, 0, 1, 0, 0, 0, 7]);
    assert_error(decode(&bits), &["is a corrupt TIFF image (its samples are not those of its pixels)"]);
}
