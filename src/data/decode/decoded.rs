//! What every decoder gives, and the sizes that all of them refuse.

use crate::data::Rgb8;

/// Images of more pixels are refused before anything is allocated: Pillow's decompression-bomb limit.
pub const MAX_PIXELS: u64 = 178_956_970;

/// The memory that the decoder may allocate for one image.
pub(super) const MAX_ALLOC: u64 = 1 << 30;

/// A picture as it is stored, or the end of an error sentence that begins with the file's name.
pub(super) type Decoded = std::result::Result<Rgb8, String>;

/// Refuses an image without pixels, or of more than [`MAX_PIXELS`].
pub(super) fn check_size(width: u32, height: u32) -> std::result::Result<(), String> {
    match u64::from(width) * u64::from(height) {
        0 => Err(format!("is an empty image of {width} x {height} pixels; replace the file")),
        1..=MAX_PIXELS => Ok(()),
        _ => Err(format!(
            "claims {width} x {height} pixels, more than the {} million that are decoded; reduce the image first",
            MAX_PIXELS / 1_000_000
        )),
    }
}

pub(super) fn too_large() -> String {
    format!("would need more than {} MiB of memory to decode; reduce the image first", MAX_ALLOC >> 20)
}

/// CMYK to RGB, as in Pillow.
pub(super) fn cmyk_to_rgb(&[c, m, y, k]: &[u8; 4]) -> [u8; 3] {
    let light = 255 - u32::from(k);
    [c, m, y].map(|ink| {
        let product = u32::from(ink) * light + 128;
        light.saturating_sub(((product >> 8) + product) >> 8) as u8
    })
}
