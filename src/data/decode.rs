//! Encoded images to [`Rgb8`], as Pillow's `ImageOps.exif_transpose(Image.open(f)).convert("RGB")` gives them.
//!
//! Two deliberate differences: 16-bit samples keep their high byte in every mode (Pillow clips 16-bit grey at 255), and
//! a JPEG must have its end-of-image marker.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{Rgb8, bytes};
use crate::error::{Error, Result};

/// Images of more pixels are refused before anything is allocated: Pillow's decompression-bomb limit.
pub const MAX_PIXELS: u64 = 178_956_970;

/// Encoded images of more bytes are refused.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// What the decoder may allocate for one image.
const MAX_ALLOC: u64 = 1 << 30;

/// Reads and decodes one image file: JPEG, PNG, WebP, BMP, or a GIF's first frame, recognised by its content.
///
/// # Errors
/// A file that is missing, longer than [`MAX_FILE_BYTES`], no such image, truncated, corrupt, or of more than
/// [`MAX_PIXELS`] pixels.
pub fn decode_file(path: &Path) -> Result<Rgb8> {
    decode_bytes(&bytes::read_limited(path, MAX_FILE_BYTES)?, path)
}

/// Decodes an image from memory; `name` is what errors call it. See [`decode_file`].
pub fn decode_bytes(bytes: &[u8], name: &Path) -> Result<Rgb8> {
    // A decoder that panics on a hostile file must not take the run with it.
    catch_unwind(AssertUnwindSafe(|| decode(bytes, name))).unwrap_or_else(|_| {
        Err(Error::file(name, "is so corrupt that its decoder gave up; remove or replace the file"))
    })
}

fn decode(bytes: &[u8], name: &Path) -> Result<Rgb8> {
    let format = recognise(bytes, name)?;
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err(Error::file(name, "is a truncated JPEG (its end is missing); copy or download it again"));
    }
    let corrupt = |e: image::ImageError| Error::file(name, explain(&e, format));
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(corrupt)?;

    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Error::file(name, format!("is an empty image of {width} x {height} pixels; replace the file")));
    }
    if pixels > MAX_PIXELS {
        return Err(Error::file(
            name,
            format!(
                "claims {width} x {height} pixels, more than the {} million that are decoded; reduce the image first",
                MAX_PIXELS / 1_000_000
            ),
        ));
    }
    limits.reserve(decoder.total_bytes()).map_err(corrupt)?;
    decoder.set_limits(limits).map_err(corrupt)?;
    // Broken EXIF data is no reason to refuse a picture.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(corrupt)?;
    image.apply_orientation(orientation);
    Ok(to_rgb8(image))
}

/// The format by its first bytes, or an error that says what the file is instead.
fn recognise(bytes: &[u8], name: &Path) -> Result<ImageFormat> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    const READ: &str = "JPEG, PNG, WebP, BMP or GIF";
    if bytes.is_empty() {
        return Err(Error::file(name, "is empty; copy or download it again"));
    }
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Bmp | Gif)) => Ok(format),
        Ok(other) => Err(Error::file(name, format!("is a {other:?} image, which is not read; convert it to {READ}"))),
        Err(_) => {
            let start = &bytes[..bytes.len().min(256)];
            let text = start.iter().all(|&b| b >= 32 && b != 127 || matches!(b, b'\t' | b'\r' | b'\n'));
            let what = if text { "is a text file, not an image" } else { "is not an image of a known format" };
            Err(Error::file(name, format!("{what}; give a {READ} file")))
        }
    }
}

/// The decoder's complaint as the end of a sentence.
fn explain(error: &image::ImageError, format: ImageFormat) -> String {
    match error {
        image::ImageError::Limits(_) => {
            format!("would need more than {} MiB of memory to decode; reduce the image first", MAX_ALLOC >> 20)
        }
        image::ImageError::Unsupported(e) => format!("uses a {format:?} feature that is not read ({e}); convert it"),
        e => {
            let cause = std::error::Error::source(e).map_or_else(|| e.to_string(), |s| s.to_string());
            let cause = cause.trim().trim_end_matches('.').replace('\n', " ");
            format!("is a truncated or corrupt {format:?} image ({cause}); copy or download it again")
        }
    }
}

/// True if the chain of JPEG markers reaches the end-of-image marker. The decoder itself fills what is missing with
/// grey, which must not be classified as if it were the picture.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // Entropy-coded data and padding stand between a segment and the next marker.
        while bytes.get(at).is_some_and(|&b| b != 0xff) {
            at += 1;
        }
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        match bytes.get(at) {
            None => return false,
            Some(0xd9) => return true,
            // A stuffed zero, TEM, RST0 to RST7 and SOI have no length; every other marker starts a segment, which
            // is jumped over because it may hold a thumbnail with an end marker of its own.
            Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
            Some(_) => match bytes.get(at + 1..at + 3) {
                Some(length) => at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2),
                None => return false,
            },
        }
    }
}

/// Drops alpha, spreads grey over three channels, keeps the high byte of 16 bits.
fn to_rgb8(image: DynamicImage) -> Rgb8 {
    let (width, height) = (image.width(), image.height());
    let high = |v: u16| (v >> 8) as u8;
    let pixels = match image {
        DynamicImage::ImageRgb8(i) => i.into_raw(),
        DynamicImage::ImageRgba8(i) => i.as_raw().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        DynamicImage::ImageLuma8(i) => i.as_raw().iter().flat_map(|&v| [v; 3]).collect(),
        DynamicImage::ImageLumaA8(i) => i.as_raw().chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        DynamicImage::ImageRgb16(i) => i.as_raw().iter().map(|&v| high(v)).collect(),
        DynamicImage::ImageRgba16(i) => {
            i.as_raw().chunks_exact(4).flat_map(|p| [high(p[0]), high(p[1]), high(p[2])]).collect()
        }
        DynamicImage::ImageLuma16(i) => i.as_raw().iter().flat_map(|&v| [high(v); 3]).collect(),
        DynamicImage::ImageLumaA16(i) => i.as_raw().chunks_exact(2).flat_map(|p| [high(p[0]); 3]).collect(),
        other => other.into_rgb8().into_raw(),
    };
    Rgb8 { width, height, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_with_a_thumbnail_is_complete_only_with_its_own_end() {
        let thumbnail_end = [0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 1, 2];
        assert!(!jpeg_is_complete(&thumbnail_end));
        let whole = [&thumbnail_end[..], &[0xff, 0xda, 0, 3, 9, 7, 0xff, 0, 0xff, 0xd3, 5, 0xff, 0xff, 0xd9]].concat();
        assert!(jpeg_is_complete(&whole));
        for cut in 0..whole.len() {
            assert!(!jpeg_is_complete(&whole[..cut]), "cut at {cut}");
        }
    }
}
