//! Encoded images to [`Rgb8`], as Pillow's `ImageOps.exif_transpose(Image.open(f)).convert("RGB")` gives them.
//!
//! Four deliberate differences: 16-bit samples keep their high byte in every mode (Pillow clips 16-bit grey at 255), PGMs
//! of more than 8 bits are scaled (Pillow clips these too), 5 and 6 bits of a BMP are rounded to 8 (Pillow truncates), and a
//! JPEG must be complete.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::ImageFormat;

use super::{Rgb8, bytes};
use crate::error::{Error, Result};
use format::Format;

mod codec;
mod dib;
pub(crate) mod format;
mod gif;
mod jpeg;
mod jpeg_header;
mod jpeg_huffman;
mod jpeg_scans;
mod orientation;
mod png;
mod pnm;
mod tiff;
mod tiff_directory;
mod tiff_jpeg;
mod tiff_page;
mod webp;

/// Images of more pixels are refused before anything is allocated: Pillow's decompression-bomb limit.
pub const MAX_PIXELS: u64 = 178_956_970;

/// Encoded images of more bytes are refused.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The memory that the decoder may allocate for one image.
const MAX_ALLOC: u64 = 1 << 30;

/// A picture as it is stored, or the end of an error sentence that begins with the file's name.
type Decoded = std::result::Result<Rgb8, String>;

/// Reads and decodes one image file: JPEG, PNG, WebP, TIFF, BMP, PNM, or a GIF's first frame, recognised by its content.
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
    catch_unwind(AssertUnwindSafe(|| decode(bytes)))
        .unwrap_or_else(|_| Err("is so corrupt that its decoder gave up; remove or replace the file".into()))
        .map_err(|reason| Error::file(name, reason))
}

fn decode(bytes: &[u8]) -> Decoded {
    match format::recognise(bytes)? {
        Format::Jpeg => {
            let header = jpeg_header::Header::read(bytes)?;
            let image = jpeg::decode(bytes, &header)?;
            Ok(orientation::upright(image, header.metadata().orientation()))
        }
        Format::Png => {
            let image = codec::decode(bytes, ImageFormat::Png)?;
            Ok(orientation::upright(image, png::metadata(bytes).orientation()))
        }
        Format::WebP => {
            let image = webp::decode(bytes)?;
            Ok(orientation::upright(image, webp::metadata(bytes).orientation()))
        }
        Format::Tiff => {
            let (image, orientation) = tiff::decode(bytes)?;
            Ok(orientation::upright(image, orientation))
        }
        Format::Bmp => codec::decode(bytes, ImageFormat::Bmp),
        Format::Dib => codec::decode(&dib::to_bmp(bytes), ImageFormat::Bmp),
        Format::Gif => gif::decode(bytes),
        Format::Pnm => pnm::decode(bytes),
    }
}

/// Refuses an image without pixels, or of more than [`MAX_PIXELS`].
fn check_size(width: u32, height: u32) -> std::result::Result<(), String> {
    match u64::from(width) * u64::from(height) {
        0 => Err(format!("is an empty image of {width} x {height} pixels; replace the file")),
        1..=MAX_PIXELS => Ok(()),
        _ => Err(format!(
            "claims {width} x {height} pixels, more than the {} million that are decoded; reduce the image first",
            MAX_PIXELS / 1_000_000
        )),
    }
}

fn too_large() -> String {
    format!("would need more than {} MiB of memory to decode; reduce the image first", MAX_ALLOC >> 20)
}

/// CMYK to RGB, as in Pillow.
fn cmyk_to_rgb(&[c, m, y, k]: &[u8; 4]) -> [u8; 3] {
    let light = 255 - u32::from(k);
    [c, m, y].map(|ink| {
        let product = u32::from(ink) * light + 128;
        light.saturating_sub(((product >> 8) + product) >> 8) as u8
    })
}
