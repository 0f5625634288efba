//! Decoding what cameras and hostile people write.

use std::path::Path;

use gpu_resnet::data::{Rgb8, decode_bytes, decode_file};
use image::ImageFormat::{self, Bmp, Gif, Jpeg, Png, WebP};

use crate::formats::cases;
use crate::{assert_error, encode, put, source};

fn decode(bytes: &[u8]) -> gpu_resnet::Result<Rgb8> {
    decode_bytes(bytes, Path::new("some/picture"))
}

/// A JPEG, as libjpeg writes it.
fn jpeg() -> Vec<u8> {
    cases("jpeg/420_large").remove(0).file
}

/// `picture` in `format`, or another JPEG.
fn file(picture: &Rgb8, format: ImageFormat) -> Vec<u8> {
    if format == Jpeg { jpeg() } else { encode(picture, format) }
}

#[test]
fn the_format_is_told_by_content_not_by_name() {
    let picture = source("smooth", 19, 11);
    let folder = tempfile::tempdir().expect("a folder");
    for (format, name) in [(Png, "a.jpg"), (Bmp, "b.png"), (WebP, "c.gif"), (Png, "no extension")] {
        let path = put(folder.path().join(name), encode(&picture, format));
        assert_eq!(decode_file(&path).expect(name), picture);
    }
    let path = put(folder.path().join("d.bmp"), jpeg());
    assert!(decode_file(&path).expect("a JPEG").width > 1);
    assert!(decode(&encode(&picture, Gif)).is_ok());
}

#[test]
fn sixteen_bits_keep_the_high_byte() {
    let values = [0u16, 255, 256, 0x7fff, 0x8000, 0xffff];
    let expected: Vec<u8> = values.iter().map(|v| (v >> 8) as u8).collect();
    let mut grey = std::io::Cursor::new(Vec::new());
    image::ImageBuffer::<image::Luma<u16>, _>::from_raw(6, 1, values.to_vec())
        .expect("six pixels")
        .write_to(&mut grey, Png)
        .expect("encoding works");
    let found = decode(grey.get_ref()).expect("16-bit grey");
    assert_eq!(found.pixels, expected.iter().flat_map(|&v| [v; 3]).collect::<Vec<u8>>());
    let mut rgb = std::io::Cursor::new(Vec::new());
    image::ImageBuffer::<image::Rgb<u16>, _>::from_raw(2, 1, values.to_vec())
        .expect("two pixels")
        .write_to(&mut rgb, Png)
        .expect("encoding works");
    assert_eq!(decode(rgb.get_ref()).expect("16-bit colour").pixels, expected);
}

#[test]
fn a_truncated_file_is_an_error_wherever_it_is_cut() {
    let picture = source("noise", 40, 33);
    for format in [Jpeg, Png, WebP, Bmp, Gif] {
        let whole = file(&picture, format);
        assert!(decode(&whole).is_ok(), "{format:?}");
        // Up to here there can be no complete picture: a PNG may lose its end chunk (12 bytes) and the check sum before it,
        // a GIF its trailer and the block's end.
        let needed = whole.len() - if matches!(format, Png | Gif) { 20 } else { 1 };
        for cut in (0..needed).step_by(7).chain([needed]) {
            let result = decode(&whole[..cut]);
            assert!(result.is_err(), "{format:?} cut to {cut} of {} bytes was taken for whole", whole.len());
            assert_error(result, &["some/picture"]);
        }
    }
    assert_error(decode(&jpeg()[..1000]), &["truncated JPEG"]);
}

#[test]
fn damaged_bytes_never_panic() {
    let picture = source("noise", 24, 17);
    for format in [Jpeg, Png, WebP, Bmp, Gif] {
        let whole = file(&picture, format);
        for round in 0..150u64 {
            let mut damaged = whole.clone();
            for hit in 0..1 + round % 4 {
                let h = crate::hash("damage", round * 8 + hit);
                let at = (h as usize) % damaged.len();
                damaged[at] ^= (h >> 32) as u8 | 1;
            }
            if let Ok(image) = decode(&damaged) {
                assert_eq!(image.pixels.len(), image.width as usize * image.height as usize * 3);
            }
        }
    }
}

#[test]
fn text_empty_and_foreign_files_are_named_for_what_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = put(folder.path().join("letter.png"), "Dear Sir or Madam,\n");
    assert_error(decode_file(&text), &["letter.png", "is a text file, not an image"]);
    let empty = put(folder.path().join("zero.jpg"), "");
    assert_error(decode_file(&empty), &["zero.jpg", "is empty"]);
    assert_error(decode_file(&folder.path().join("gone.jpg")), &["gone.jpg", "does not exist"]);
    assert_error(decode_file(folder.path()), &["is a folder"]);
    assert_error(decode(b"II*\0\x08\0\0\0 and more"), &["truncated or corrupt TIFF"]);
    assert_error(decode(b"\0\0\0\x1cftypavif\0\0\0\0"), &["some/picture", "AVIF", "convert it to JPEG, PNG"]);
    assert_error(decode(&[0, 159, 146, 150, 1, 2, 3]), &["not an image of a known format"]);
}

/// A PNG header alone, with any size.
fn png_header(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([depth, colour, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(&chunk);
    png.extend(crc32(&chunk).to_be_bytes());
    png.extend(b"\0\0\0\0IDAT");
    png.extend(crc32(b"IDAT").to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
    })
}

#[test]
fn a_header_that_lies_about_the_size_allocates_nothing() {
    assert_error(decode(&png_header(60_000, 60_000, 8, 2)), &["60000 x 60000 pixels"]);
    assert_error(decode(&png_header(0x7fff_ffff, 0x7fff_ffff, 16, 6)), &["some/picture"]);
    // Few enough pixels, but eight bytes each.
    assert_error(decode(&png_header(13_000, 13_000, 16, 6)), &["memory"]);
    // Few enough bytes, but no data behind the header.
    assert_error(decode(&png_header(64, 64, 8, 2)), &["some/picture"]);

    let mut bmp = encode(&source("smooth", 8, 8), Bmp);
    bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    assert!(decode(&bmp).is_err());
    let mut gif = encode(&source("smooth", 8, 8), Gif);
    gif[6..10].copy_from_slice(&[0xff; 4]);
    assert_error(decode(&gif), &["65535 x 65535 pixels"]);
    let mut jpeg = jpeg();
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).expect("a baseline frame");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert_error(decode(&jpeg), &["65535 x 65535 pixels"]);
}

#[cfg(unix)]
#[test]
fn a_device_is_not_read_for_ever() {
    assert_error(decode_file(Path::new("/dev/zero")), &["is not a regular file"]);
}
