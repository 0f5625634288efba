//! Encoded images to [`Rgb8`], as Pillow's `ImageOps.exif_transpose(Image.open(f)).convert("RGB")` gives them.
//!
//! Four deliberate differences: 16-bit samples keep their high byte in every mode (Pillow clips 16-bit grey at 255), PGMs
//! of more than 8 bits are scaled (Pillow clips these too), 5 and 6 bits of a BMP are rounded to 8 (Pillow truncates), and a
//! JPEG must be complete.

use std::path::Path;

use image::ImageFormat;

use super::{Rgb8, bytes};
use crate::error::{Error, Result};
use crate::panics::caught;
use decoded::Decoded;
pub use decoded::MAX_PIXELS;
use format::Format;

mod codec;
mod decoded;
mod dib;
pub(crate) mod format;
mod gif;
mod jpeg;
mod jpeg_header;
mod jpeg_huffman;
mod jpeg_idct;
mod jpeg_planes;
mod jpeg_progressive;
mod jpeg_scans;
mod jpeg_sequential;
mod jpeg_standard;
mod orientation;
mod png;
mod pnm;
mod tiff;
mod tiff_directory;
mod tiff_jpeg;
mod tiff_page;
mod webp;

/// Raised whenever the pixels of some files change, so that nothing that was computed from other pixels is taken for current.
pub const PIXELS_VERSION: u32 = 3;

/// Encoded images of more bytes are refused.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

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
    caught(|| decode(bytes))
        .unwrap_or_else(|| Err("is so corrupt that its decoder gave up; remove or replace the file".into()))
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
        Format::Bmp => bmp(bytes),
        Format::Dib => codec::decode(&dib::to_bmp(bytes, None)?, ImageFormat::Bmp),
        Format::Gif => gif::decode(bytes),
        Format::Pnm => pnm::decode(bytes),
    }
}

fn bmp(bytes: &[u8]) -> Decoded {
    let Some((header, dib)) = bytes.split_at_checked(dib::FILE_HEADER as usize) else {
        return codec::decode(bytes, ImageFormat::Bmp);
    };
    let pixels = header.last_chunk().map_or(0, |at| u32::from_le_bytes(*at));
    match pixels {
        // Some programs leave out where the pixels begin.
        0 if !dib::is_dib(dib) => Err("is a BMP that does not say where its pixels begin; save it again".into()),
        0 => codec::decode(&dib::to_bmp(dib, None)?, ImageFormat::Bmp),
        dib::FILE_HEADER.. if dib::is_os2(dib) => {
            codec::decode(&dib::to_bmp(dib, Some(pixels - dib::FILE_HEADER))?, ImageFormat::Bmp)
        }
        _ => codec::decode(bytes, ImageFormat::Bmp),
    }
}
