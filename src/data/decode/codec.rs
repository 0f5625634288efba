//! The formats that the `image` crate decodes as Pillow does.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::decoded::{Decoded, MAX_ALLOC, check_size, too_large};
use crate::data::Rgb8;

/// Decodes `bytes` of the format `format`, without rotating the picture.
pub(super) fn decode(bytes: &[u8], format: ImageFormat) -> Decoded {
    let corrupt = |e: image::ImageError| explain(&e, format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(corrupt)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    limits.reserve(decoder.total_bytes()).map_err(corrupt)?;
    decoder.set_limits(limits).map_err(corrupt)?;
    Ok(to_rgb8(DynamicImage::from_decoder(decoder).map_err(corrupt)?))
}

/// The decoder's error as the end of a sentence.
fn explain(error: &image::ImageError, format: ImageFormat) -> String {
    match error {
        image::ImageError::Limits(_) => too_large(),
        image::ImageError::Unsupported(e) => format!("uses a {format:?} feature that is not read ({e}); convert it"),
        e => {
            let cause = std::error::Error::source(e).map_or_else(|| e.to_string(), |s| s.to_string());
            let cause = cause.trim().trim_end_matches('.').replace('\n', " ");
            format!("is a truncated or corrupt {format:?} image ({cause}); copy or download it again")
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
