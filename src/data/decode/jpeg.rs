//! JPEG, as libjpeg decodes it for Pillow: by the fast decoder where a file is as most are, by the careful one elsewhere.
//!
//! `zune-jpeg`, which `image` uses, is more than twice as fast, but decodes components that come in scans of their own,
//! and sampling factors that are no powers of two, to garbage without a word, and takes chroma from outside of the picture
//! into its last row and column. `jpeg-decoder` has all of these right.

use image::ImageFormat;
use jpeg_decoder::{ColorTransform, Decoder};

use super::jpeg_header::{Colors, Header};
use super::{Decoded, MAX_ALLOC, check_size, cmyk_to_rgb, codec, too_large};
use crate::data::Rgb8;

/// Decodes a JPEG whose header was read from the same bytes.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Decoded {
    let frame = header.frame()?;
    check_size(frame.width.into(), frame.height.into())?;
    let colors = header.colors()?;
    // The fast decoder believes Adobe's marker before JFIF's.
    let same_colors = match colors {
        Colors::Grey => true,
        Colors::YCbCr => !header.adobe_says_rgb(),
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
    // Coefficients of two bytes, planes, and the interleaved picture.
    let samples = u64::from(width) * u64::from(height) * frame.components.len() as u64;
    if 4 * samples > MAX_ALLOC {
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

fn explain(error: jpeg_decoder::Error) -> String {
    match error {
        jpeg_decoder::Error::Unsupported(feature) => {
            format!("uses a JPEG feature that is not read ({feature:?}); save it as a baseline or progressive JPEG")
        }
        e => format!("is a truncated or corrupt JPEG image ({e}); copy or download it again"),
    }
}
