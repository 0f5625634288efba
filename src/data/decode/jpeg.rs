//! JPEG, as libjpeg decodes it for Pillow: ordinary files with the fast decoder, all others with the careful one.
//!
//! `zune-jpeg`, which `image` uses, is more than twice as fast, but decodes components that come in scans of their own,
//! and sampling factors that are not powers of two, to garbage without an error, and mixes chroma from outside the picture
//! into its last row and column. `jpeg-decoder` handles all of these correctly.
//!
//! The pixels are the same on every processor. `zune-jpeg`'s code for AVX2 and NEON computes what its portable code computes, and
//! `jpeg-decoder` is built without its own vector code, which rounds more coarsely.

use image::ImageFormat;
use jpeg_decoder::{ColorTransform, Decoder};

use super::decoded::{Decoded, MAX_ALLOC, check_size, cmyk_to_rgb, too_large};
use super::jpeg_header::{Colors, Component, Frame, Header};
use super::{codec, jpeg_scans};
use crate::data::Rgb8;

/// Decodes a JPEG whose header was read from the same bytes.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Decoded {
    let frame = header.frame()?;
    check_size(frame.width.into(), frame.height.into())?;
    let colors = header.colors()?;
    if frame.has_narrow_chroma() {
        return Err("is a JPEG of at most 4 pixels' width whose chroma is subsampled, which is not read; \
                    save it as PNG, or without subsampling"
            .into());
    }
    jpeg_scans::check(bytes, header)?;
    // The fast decoder gives Adobe's marker, and the components' names, precedence over JFIF's.
    let same_colors = match colors {
        Colors::Grey => true,
        Colors::YCbCr => !header.names_or_adobe_say_rgb(),
        Colors::Rgb | Colors::Cmyk | Colors::Ycck => false,
    };
    if same_colors && header.is_plain() {
        codec::decode(bytes, ImageFormat::Jpeg)
    } else {
        careful(bytes, header, colors)
    }
}

fn careful(bytes: &[u8], header: &Header, colors: Colors) -> Decoded {
    let frame = header.frame()?;
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    if memory(frame) > MAX_ALLOC {
        return Err(too_large());
    }
    let mut decoder = Decoder::new(bytes);
    decoder.set_color_transform(match colors {
        Colors::Grey => ColorTransform::Grayscale,
        Colors::YCbCr => ColorTransform::YCbCr,
        Colors::Rgb => ColorTransform::RGB,
        Colors::Cmyk => ColorTransform::CMYK,
        Colors::Ycck => ColorTransform::YCCK,
    });
    let samples = decoder.decode().map_err(explain)?;
    let pixels = match colors {
        Colors::Grey => samples.iter().flat_map(|&v| [v; 3]).collect(),
        Colors::YCbCr | Colors::Rgb => samples,
        Colors::Cmyk | Colors::Ycck => samples.as_chunks().0.iter().flat_map(cmyk_to_rgb).collect(),
    };
    Ok(Rgb8 { width, height, pixels })
}

/// The most bytes that the careful decoder takes: planes, the interleaved picture, and, for a progressive file, coefficients of two
/// bytes.
fn memory(frame: &Frame) -> u64 {
    let most = |of: fn(&Component) -> u8| u64::from(frame.components.iter().map(of).max().unwrap_or(1));
    let area = most(|c| c.horizontal) * most(|c| c.vertical);
    let pixels = u64::from(frame.width) * u64::from(frame.height);
    let part = |c: &Component| pixels * u64::from(c.horizontal) * u64::from(c.vertical) / area;
    let planes: u64 = frame.components.iter().map(part).sum();
    planes * if frame.progressive { 3 } else { 1 } + pixels * frame.components.len() as u64
}

fn explain(error: jpeg_decoder::Error) -> String {
    match error {
        jpeg_decoder::Error::Unsupported(feature) => {
            format!("uses a JPEG feature that is not read ({feature:?}); save it as a baseline or progressive JPEG")
        }
        e => format!("is a truncated or corrupt JPEG image ({e}); copy or download it again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_photographs_fit_into_memory() {
        let component = |id, factor| Component { id, horizontal: factor, vertical: factor };
        let components = vec![component(1, 2), component(2, 1), component(3, 1)];
        let frame = |progressive| Frame { width: 1000, height: 1000, progressive, components: components.clone() };
        assert_eq!(memory(&frame(false)), 4_500_000);
        assert_eq!(memory(&frame(true)), 7_500_000);
        assert!(memory(&frame(false)) * (super::super::decoded::MAX_PIXELS / 1_000_000) < MAX_ALLOC);
    }
}
