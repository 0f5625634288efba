//! JPEG, with the pixels that libjpeg decodes for Pillow.
//!
//! Grey and coloured files are decoded here, to the same bits as by libjpeg and on every processor. Crates that do so were not found:
//! `zune-jpeg` mixes chroma from outside the picture into its last row and column, and rounds chroma twice; `jpeg-decoder` has vector
//! code that rounds more coarsely than its portable code, and that is twice as slow as this. The latter, built without its vector code,
//! decodes CMYK, and files that are not quite valid, of which it says what is wrong.

use jpeg_decoder::{ColorTransform, Decoder};

use super::decoded::{Decoded, MAX_ALLOC, check_size, cmyk_to_rgb, too_large};
use super::jpeg_header::{Colors, Component, Frame, Header};
use super::jpeg_huffman::Stop;
use super::{jpeg_progressive, jpeg_scans, jpeg_sequential};
use crate::data::Rgb8;

/// Decodes a JPEG whose header was read from the same bytes.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Decoded {
    let frame = header.frame()?;
    check_size(frame.width.into(), frame.height.into())?;
    let pixels = rgb(bytes, header, header.colors()?)?;
    Ok(Rgb8 { width: frame.width.into(), height: frame.height.into(), pixels })
}

/// The RGB pixels of a JPEG whose components are `colors`.
///
/// # Errors
/// The end of a sentence that begins with the file's name.
pub(super) fn rgb(bytes: &[u8], header: &Header, colors: Colors) -> Result<Vec<u8>, String> {
    let frame = header.frame()?;
    if memory(frame) > MAX_ALLOC {
        return Err(too_large());
    }
    let pixels = match (colors, frame.progressive) {
        (Colors::Cmyk | Colors::Ycck, _) => Err(Stop::Odd),
        (_, false) => jpeg_sequential::decode(bytes, header, colors),
        (_, true) => jpeg_progressive::decode(bytes, header, colors),
    };
    pixels.or_else(|stop| match stop {
        Stop::Odd => careful(bytes, header, colors),
        stop => Err(stopped(stop)),
    })
}

fn stopped(stop: Stop) -> String {
    let what = match stop {
        Stop::Unfinished => "truncated progressive JPEG (scans that refine the picture are missing)",
        Stop::Cut => "truncated JPEG (its data end before the picture does)",
        Stop::Odd => "corrupt JPEG (the data of its scans do not fit its header and its tables)",
    };
    format!("is a {what}; copy or download it again")
}

/// Decodes what is CMYK or not quite valid.
fn careful(bytes: &[u8], header: &Header, colors: Colors) -> Result<Vec<u8>, String> {
    jpeg_scans::check(bytes, header).map_err(stopped)?;
    if header.frame()?.has_narrow_chroma() {
        return Err("is a JPEG of at most 4 pixels' width with subsampled chroma that is CMYK or not quite valid, which is not read; \
                    save it as PNG, or without subsampling"
            .into());
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
    Ok(match colors {
        Colors::Grey => samples.iter().flat_map(|&v| [v; 3]).collect(),
        Colors::YCbCr | Colors::Rgb => samples,
        Colors::Cmyk | Colors::Ycck => samples.as_chunks().0.iter().flat_map(cmyk_to_rgb).collect(),
    })
}

/// The most bytes that a decoder takes: planes, the interleaved picture, and, for a progressive file, coefficients of two
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
        let component = |id, factor| Component { id, horizontal: factor, vertical: factor, quantiser: 0 };
        let components = vec![component(1, 2), component(2, 1), component(3, 1)];
        let frame = |progressive| Frame { width: 1000, height: 1000, progressive, components: components.clone() };
        assert_eq!(memory(&frame(false)), 4_500_000);
        assert_eq!(memory(&frame(true)), 7_500_000);
        assert!(memory(&frame(false)) * (super::super::decoded::MAX_PIXELS / 1_000_000) < MAX_ALLOC);
    }
}
