//! A GIF's first frame on its canvas, as Pillow decodes it.

use std::borrow::Cow;

use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::decoded::{Decoded, MAX_ALLOC, check_size};
use crate::data::Rgb8;

/// Decodes the first frame. Transparent pixels keep the colour of their index. Pixels outside the frame have the transparent index if
/// there is one, otherwise index 0. A frame that extends beyond the canvas enlarges it.
pub(super) fn decode(bytes: &[u8]) -> Decoded {
    let corrupt = |e: gif::DecodingError| {
        let cause = e.to_string();
        format!("is a truncated or corrupt Gif image ({}); copy or download it again", cause.trim_end_matches('.'))
    };
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(MAX_ALLOC.try_into().expect("not zero")));
    let bytes = with_palette(bytes);
    let mut decoder = options.read_info(&*bytes).map_err(corrupt)?;
    let mut palette = complete(decoder.global_palette().unwrap_or_default());
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    let Some(frame) = decoder.next_frame_info().map_err(corrupt)? else {
        return Err("is a GIF without a picture; copy or download it again".into());
    };
    if let Some(colors) = &frame.palette {
        palette = complete(colors);
    }
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let frame_width = usize::from(frame.width);
    let width = width.max(u32::from(frame.left) + u32::from(frame.width));
    let height = height.max(u32::from(frame.top) + u32::from(frame.height));
    check_size(width, height)?;
    let outside = frame.transparent.unwrap_or(0);
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(corrupt)?;

    let color = |index: u8| -> [u8; 3] { std::array::from_fn(|c| palette[3 * usize::from(index) + c]) };
    let mut image = Rgb8 { width, height, pixels: color(outside).repeat(width as usize * height as usize) };
    if frame_width > 0 {
        for (y, row) in indices.chunks_exact(frame_width).enumerate() {
            let start = 3 * ((top + y) * width as usize + left);
            let pixels = image.pixels[start..start + 3 * frame_width].as_chunks_mut().0;
            pixels.iter_mut().zip(row).for_each(|(pixel, &index)| *pixel = color(index));
        }
    }
    Ok(image)
}

/// The file with a palette of greys if it has none for all frames: what Pillow assumes and the decoder refuses.
fn with_palette(bytes: &[u8]) -> Cow<'_, [u8]> {
    const HEADER: usize = 13;
    match bytes.get(10) {
        Some(flags) if flags & 0x80 == 0 && bytes.len() >= HEADER => {
            let mut more = [&bytes[..HEADER], &greys(), &bytes[HEADER..]].concat();
            more[10] |= 0x87;
            Cow::Owned(more)
        }
        _ => Cow::Borrowed(bytes),
    }
}

/// A palette of 256 colours: indices for which a file has none are black, or grey if its palette is one of greys in order.
fn complete(colors: &[u8]) -> Vec<u8> {
    let mut palette = greys();
    if !palette.starts_with(colors) {
        palette.fill(0);
        palette[..colors.len()].copy_from_slice(colors);
    }
    palette
}

fn greys() -> Vec<u8> {
    (0..=255).flat_map(|v| [v; 3]).collect()
}
