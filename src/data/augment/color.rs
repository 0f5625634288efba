//! Pillow's `ImageEnhance` and its round trip through HSV, in the same precision, so that every bit is the same.

use crate::data::Rgb8;

/// One of `ColorJitter`'s changes with its factor, as `torchvision.transforms.functional.adjust_…` on a Pillow image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Adjust {
    /// Blends with black: 0 gives black, 1 the image.
    Brightness(f64),
    /// Blends with the mean grey: 0 gives that grey, 1 the image.
    Contrast(f64),
    /// Blends with the grey image: 0 gives grey, 1 the image.
    Saturation(f64),
    /// Rotates the hue by this share of the colour circle, -0.5 to 0.5.
    Hue(f64),
}

impl Adjust {
    /// Changes `image` in place.
    pub fn apply(self, image: &mut Rgb8) {
        let pixels = image.pixels.chunks_exact_mut(3);
        match self {
            Adjust::Brightness(factor) => pixels.for_each(|p| blend(p, 0, factor as f32)),
            Adjust::Contrast(factor) => {
                let mean = mean_grey(&image.pixels);
                image.pixels.chunks_exact_mut(3).for_each(|p| blend(p, mean, factor as f32));
            }
            Adjust::Saturation(factor) => pixels.for_each(|p| blend(p, grey(p), factor as f32)),
            Adjust::Hue(turn) => {
                // torchvision adds int(turn * 255), a whole number of levels, to the hue's byte, which wraps.
                let levels = (turn * 255.0) as i32 as u8;
                pixels.for_each(|p| {
                    let (h, s, v) = to_hsv([p[0], p[1], p[2]]);
                    p.copy_from_slice(&to_rgb(h.wrapping_add(levels), s, v));
                });
            }
        }
    }
}

/// Pillow's conversion to `L` (ITU-R 601, 16-bit fixed point).
fn grey(p: &[u8]) -> u8 {
    let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

/// `int(ImageStat.Stat(image.convert("L")).mean[0] + 0.5)`.
fn mean_grey(pixels: &[u8]) -> u8 {
    let sum: u64 = pixels.chunks_exact(3).map(|p| u64::from(grey(p))).sum();
    (sum as f64 / (pixels.len() / 3).max(1) as f64 + 0.5) as u8
}

/// `Image.blend(from, pixel, factor)`: in f32, clipped, and truncated rather than rounded. A cast from float does all that.
fn blend(pixel: &mut [u8], from: u8, factor: f32) {
    for value in pixel {
        let difference = f32::from(i16::from(*value) - i16::from(from));
        *value = (f32::from(from) + factor * difference) as u8;
    }
}

/// Pillow's hue, saturation and value, one byte each. The choice of single precision for some steps shows in the last bit.
fn to_hsv([r, g, b]: [u8; 3]) -> (u8, u8, u8) {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    if most == least {
        return (0, 0, most);
    }
    let range = f32::from(most - least);
    let from_top = |c: u8| f32::from(most - c) / range;
    let [rc, gc, bc] = [r, g, b].map(from_top);
    let sixths = if r == most {
        bc - gc
    } else if g == most {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    let hue = ((f64::from(sixths) / 6.0 + 1.0) % 1.0) as f32;
    let saturation = range / f32::from(most);
    ((f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most)
}

/// The conversion back to RGB.
fn to_rgb(h: u8, s: u8, v: u8) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sixths = f64::from(h) * 6.0 / 255.0;
    let sector = sixths.floor();
    let f = f64::from((sixths - sector) as f32);
    let s = f64::from(f32::from(s) / 255.0);
    let scaled = |by: f64| (f64::from(v) * by).round() as u8;
    let (p, q, t) = (scaled(1.0 - s), scaled(1.0 - s * f), scaled(1.0 - s * (1.0 - f)));
    match sector as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}
