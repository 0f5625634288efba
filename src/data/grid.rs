//! A contact sheet of images, like torchvision's `make_grid`, and PNG files.

use std::path::Path;

use image::ImageEncoder;

use super::{Interpolation, MAX_PIXELS, Rgb8, resize};
use crate::error::{Error, Result};

/// Lays images out in rows of `columns`, each in a black cell of `cell` x `cell` pixels with `padding` around it. An
/// image keeps its aspect ratio; a large one is reduced smoothly, a small one is enlarged by nearest neighbour so that
/// its pixels show.
///
/// `columns` and `cell` are at least 1, and `cell` shrinks until the sheet has no more than [`MAX_PIXELS`].
pub fn grid(images: &[Rgb8], columns: usize, cell: u32, padding: u32) -> Rgb8 {
    let columns = columns.clamp(1, images.len().max(1)) as u64;
    let rows = (images.len() as u64).div_ceil(columns).max(1);
    let padding = u64::from(padding.min(64));
    let side = |n: u64, cell: u64| n * (cell + padding) + padding;
    let mut cell = u64::from(cell).clamp(1, 1 << 13);
    while cell > 1 && side(columns, cell).saturating_mul(side(rows, cell)) > MAX_PIXELS {
        cell -= cell.div_ceil(8);
    }
    let mut sheet = Rgb8::black(side(columns, cell) as u32, side(rows, cell) as u32);
    for (i, image) in (0u64..).zip(images) {
        let Ok(small) = fit(image, cell as u32) else { continue };
        let left = side(i % columns, cell) + (cell - u64::from(small.width)) / 2;
        let top = side(i / columns, cell) + (cell - u64::from(small.height)) / 2;
        for (y, row) in (0u64..).zip(small.pixels.chunks_exact(small.width as usize * 3)) {
            let at = ((top + y) * u64::from(sheet.width) + left) as usize * 3;
            sheet.pixels[at..at + row.len()].copy_from_slice(row);
        }
    }
    sheet
}

/// The image as large as a square of `cell` allows.
fn fit(image: &Rgb8, cell: u32) -> Result<Rgb8> {
    image.check("grid")?;
    let long = u64::from(image.width.max(image.height));
    let scaled = |side: u32| ((u64::from(side) * u64::from(cell)) / long).max(1) as u32;
    let (width, height) = (scaled(image.width), scaled(image.height));
    if long > u64::from(cell) {
        return resize(image, width, height, Interpolation::Bilinear);
    }
    let mut large = Rgb8::black(width, height);
    for (p, pixel) in large.pixels.chunks_exact_mut(3).enumerate() {
        let (x, y) = (p as u64 % u64::from(width), p as u64 / u64::from(width));
        let from_x = x * u64::from(image.width) / u64::from(width);
        let from_y = y * u64::from(image.height) / u64::from(height);
        let at = (from_y * u64::from(image.width) + from_x) as usize * 3;
        pixel.copy_from_slice(&image.pixels[at..at + 3]);
    }
    Ok(large)
}

/// The bytes of a PNG file.
pub fn encode_png(image: &Rgb8) -> Result<Vec<u8>> {
    image.check("encode_png")?;
    let mut encoded = Vec::new();
    image::codecs::png::PngEncoder::new(&mut encoded)
        .write_image(&image.pixels, image.width, image.height, image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::shape("encode_png", e.to_string()))?;
    Ok(encoded)
}

/// Writes a PNG under a temporary name in the same folder, then renames it.
pub fn write_png(image: &Rgb8, path: &Path) -> Result<()> {
    crate::files::write(path, &encode_png(image)?)
}
