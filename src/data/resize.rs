//! Pillow's antialiased `Image.resize`, bit for bit, restricted to the part of the result that is needed.
//!
//! Along an axis with `scale = source / target`, `s = max(scale, 1)` and a filter `f` of radius `r`, output pixel `o` is
//! centred at `c = (o + 0.5) scale` and sums the source pixels `i` in `[c - r s, c + r s]` with the weights
//! `f((i + 0.5 - c) / s)`, normalised to 1 and kept in 22-bit fixed point (Pillow's `libImaging/Resample.c`). Each pass
//! rounds and clips to 8 bits, so with bicubic's negative lobes the order of the passes shows: rows first, unless the
//! image loses more than twice as many pixels in height as in width (Pillow 13; until Pillow 12 it was always rows first,
//! which differs on such tall images, by one level with bilinear).
//!
//! No resizing crate is used: `fast_image_resize` does the columns first for 8 bits, and rounds its weights to 16 bits.

use serde::{Deserialize, Serialize};

use super::{MAX_PIXELS, Rgb8};
use crate::error::{Error, Result};

/// How a resized pixel is interpolated; antialiased when shrinking, as Pillow does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Triangle filter, torchvision's default.
    #[default]
    Bilinear,
    /// Cubic with a = -0.5 (Pillow's).
    Bicubic,
}

/// Bits after the point in the weights: 32 less 8 for the pixel and 2 for the sum of the weights' magnitudes.
const PRECISION: u32 = 32 - 8 - 2;

/// The most weights that are kept for an axis (256 MiB); only images of an absurd aspect ratio need more.
const MAX_WEIGHTS: usize = 1 << 26;

/// A rectangle of the resized image, in its pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub left: u64,
    pub top: u64,
    pub width: u32,
    pub height: u32,
}

/// `image` resized to `width` x `height` as Pillow's `Image.resize` does it (antialiased when shrinking).
///
/// # Errors
/// An image whose pixels do not match its size, or a target that is empty or over [`MAX_PIXELS`].
pub fn resize(image: &Rgb8, width: u32, height: u32, interpolation: Interpolation) -> Result<Rgb8> {
    let whole = Region { left: 0, top: 0, width, height };
    resize_region(image, (u64::from(width), u64::from(height)), whole, interpolation)
}

/// `region` of what [`resize`] to `size` (width, height) would give. Only what the region needs is computed, so that a
/// long narrow image costs no more than a square one.
pub(crate) fn resize_region(image: &Rgb8, size: (u64, u64), region: Region, filter: Interpolation) -> Result<Rgb8> {
    image.check("resize")?;
    let pixels = u64::from(region.width) * u64::from(region.height);
    let inside = region.left + u64::from(region.width) <= size.0 && region.top + u64::from(region.height) <= size.1;
    if pixels == 0 || pixels > MAX_PIXELS || !inside {
        return Err(Error::shape("resize", format!("the target {} x {} is not possible", region.width, region.height)));
    }
    let across = Weights::new(filter, image.width, size.0, region.left, region.width)?;
    let down = Weights::new(filter, image.height, size.1, region.top, region.height)?;
    let stride = image.width as usize * 3;
    let ((left, right), (top, bottom)) = (across.reach(), down.reach());
    // Pillow compares the whole images, so the order is the same for any part of the result.
    let lost = |source: u32, target: u64| i128::from(source) - i128::from(target);
    let lost_rows = lost(image.height, size.1);
    let pixels = if lost_rows > 0 && lost_rows > 2 * lost(image.width, size.0) {
        let narrow = columns(&image.pixels, stride, (left, right), 0, &down)?;
        rows(&narrow, (right - left) * 3, left, &across)?
    } else {
        let short = rows(&image.pixels[top * stride..bottom * stride], stride, 0, &across)?;
        columns(&short, region.width as usize * 3, (0, region.width as usize), top, &down)?
    };
    Ok(Rgb8 { width: region.width, height: region.height, pixels })
}

/// The fixed-point weights of each output pixel along one axis.
struct Weights {
    /// For each output pixel: its first source pixel, and where its weights start in `values`.
    outputs: Vec<(usize, usize)>,
    values: Vec<i32>,
}

impl Weights {
    /// Weights of outputs `from..from + count` of an axis that goes from `source` to `target` pixels.
    fn new(filter: Interpolation, source: u32, target: u64, from: u64, count: u32) -> Result<Self> {
        let (radius, f): (f64, fn(f64) -> f64) = match filter {
            Interpolation::Bilinear => (1.0, triangle),
            Interpolation::Bicubic => (2.0, cubic),
        };
        let scale = f64::from(source) / target as f64;
        let stretch = scale.max(1.0);
        let support = radius * stretch;
        if f64::from(count) * (2.0 * support + 2.0).min(f64::from(source)) > MAX_WEIGHTS as f64 {
            let problem = format!("an image side of {source} pixels is too long to be resized; crop the image first");
            return Err(Error::shape("resize", problem));
        }
        let (mut outputs, mut values, mut exact) = (Vec::with_capacity(count as usize), Vec::new(), Vec::new());
        for output in from..from + u64::from(count) {
            let centre = (output as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let last = ((centre + support + 0.5) as usize).min(source as usize);
            exact.clear();
            exact.extend((first..last).map(|i| f((i as f64 - centre + 0.5) * (1.0 / stretch))));
            let sum: f64 = exact.iter().sum();
            outputs.push((first, values.len()));
            values.extend(exact.iter().map(|w| {
                let w = if sum == 0.0 { *w } else { w / sum };
                (w * f64::from(1u32 << PRECISION) + 0.5f64.copysign(w)) as i32
            }));
        }
        Ok(Weights { outputs, values })
    }

    /// The first source pixel, and the weights from there on, of output `o`.
    fn of(&self, o: usize) -> (usize, &[i32]) {
        let (first, at) = self.outputs[o];
        let end = self.outputs.get(o + 1).map_or(self.values.len(), |next| next.1);
        (first, &self.values[at..end])
    }

    /// The range of source pixels that any output needs.
    fn reach(&self) -> (usize, usize) {
        let (last, weights) = self.of(self.outputs.len() - 1);
        (self.outputs[0].0, last + weights.len())
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Keys's cubic with a = -0.5, in Pillow's order of operations.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Rounds a fixed-point sum to a byte.
fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// One half; every sum starts from it so that the shift rounds.
const HALF: i32 = 1 << (PRECISION - 1);

/// A buffer for a pass's result, unless that is larger than any image may be.
fn buffer(width: usize, height: usize) -> Result<Vec<u8>> {
    let pixels = width as u64 * height as u64;
    if pixels > MAX_PIXELS {
        let problem = format!("an intermediate image would have {width} x {height} pixels; crop the image first");
        return Err(Error::shape("resize", problem));
    }
    Ok(Vec::with_capacity(3 * pixels as usize))
}

/// Convolves each row of `pixels`: rows of `stride` bytes whose first pixel is the source's column `left`.
fn rows(pixels: &[u8], stride: usize, left: usize, across: &Weights) -> Result<Vec<u8>> {
    let width = across.outputs.len();
    let mut out = buffer(width, pixels.len() / stride)?;
    for row in pixels.chunks_exact(stride) {
        for o in 0..width {
            let (first, weights) = across.of(o);
            let mut sum = [HALF; 3];
            for (pixel, &w) in row[(first - left) * 3..].chunks_exact(3).zip(weights) {
                for c in 0..3 {
                    sum[c] = sum[c].wrapping_add(i32::from(pixel[c]).wrapping_mul(w));
                }
            }
            out.extend(sum.map(byte));
        }
    }
    Ok(out)
}

/// Convolves columns `left..right` of `pixels`: rows of `stride` bytes, of which the first is the source's row `top`.
fn columns(pixels: &[u8], stride: usize, (left, right): (usize, usize), top: usize, down: &Weights) -> Result<Vec<u8>> {
    let mut out = buffer(right - left, down.outputs.len())?;
    let mut sums = vec![0i32; (right - left) * 3];
    for o in 0..down.outputs.len() {
        let (first, weights) = down.of(o);
        sums.fill(HALF);
        for (row, &w) in pixels[(first - top) * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &v) in sums.iter_mut().zip(&row[left * 3..right * 3]) {
                *sum = sum.wrapping_add(i32::from(v).wrapping_mul(w));
            }
        }
        out.extend(sums.iter().map(|&s| byte(s)));
    }
    Ok(out)
}
