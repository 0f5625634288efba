//! torchvision's evaluation transform: `Resize(resize)`, `CenterCrop(crop)`, and the numbers for `Normalize`.

use serde::{Deserialize, Serialize};

use super::Rgb8;
use super::resize::{Interpolation, Region, resize_region};
use crate::error::{Error, Result};

/// The largest `crop` (and half the largest `resize`) that is accepted.
pub const MAX_CROP: u32 = 4096;

/// The preparation of an image for the network, as weights files store it under `gpu_resnet.preprocess`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preprocess {
    /// The shorter side becomes this many pixels.
    pub resize: u32,
    /// Then the middle `crop` x `crop` pixels are taken, with black around an image that is smaller.
    pub crop: u32,
    /// The resizing filter.
    pub interpolation: Interpolation,
    /// Subtracted from each channel, as a fraction of 255.
    pub mean: [f32; 3],
    /// Each channel is divided by it after that, as a fraction of 255.
    pub std: [f32; 3],
}

impl Default for Preprocess {
    /// torchvision's ImageNet evaluation preset.
    fn default() -> Self {
        Preprocess {
            resize: 256,
            crop: 224,
            interpolation: Interpolation::Bilinear,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }
}

impl Preprocess {
    /// Reads the JSON of `gpu_resnet.preprocess`; keys that are left out take [`Preprocess::default`]'s values.
    pub fn from_json(json: &str) -> Result<Self> {
        let read: Preprocess = serde_json::from_str(json)
            .map_err(|e| Error::shape("preprocess", format!("the JSON is not valid: {e}")))?;
        read.validate()?;
        Ok(read)
    }

    /// Checks the ranges: `crop` in 1..=[`MAX_CROP`], `resize` in 1..=2 * [`MAX_CROP`], mean and std finite, std above 0.
    pub fn validate(&self) -> Result<()> {
        let fail = |problem: String| Err(Error::shape("preprocess", problem));
        if self.crop == 0 || self.crop > MAX_CROP {
            return fail(format!("crop must be 1 to {MAX_CROP} pixels, but is {}", self.crop));
        }
        if self.resize == 0 || self.resize > 2 * MAX_CROP {
            return fail(format!("resize must be 1 to {} pixels, but is {}", 2 * MAX_CROP, self.resize));
        }
        if self.mean.iter().any(|m| !m.is_finite()) {
            return fail(format!("mean must be three finite numbers, but is {:?}", self.mean));
        }
        if self.std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return fail(format!("std must be three finite numbers above 0, but is {:?}", self.std));
        }
        Ok(())
    }

    /// The same transform for images of `size` x `size`: `resize` and `crop` shrink or grow by the same ratio.
    pub fn with_image_size(&self, size: u32) -> Result<Self> {
        self.validate()?;
        let resize = (f64::from(self.resize) * f64::from(size) / f64::from(self.crop)).round();
        let scaled = Preprocess { resize: (resize as u32).max(1), crop: size, ..self.clone() };
        scaled.validate()?;
        Ok(scaled)
    }

    /// Bytes of one preprocessed image: `crop * crop * 3`.
    pub fn bytes(&self) -> usize {
        self.crop as usize * self.crop as usize * 3
    }

    /// Resizes and crops; the result is `crop` x `crop`. Mean and standard deviation are left to the GPU.
    pub fn apply(&self, image: &Rgb8) -> Result<Rgb8> {
        self.validate()?;
        image.check("preprocess")?;
        let (width, height) = self.resized(image.width, image.height);
        self.window(image, centre(width, self.crop), centre(height, self.crop))
    }

    /// The size that an image of `width` x `height`, neither zero, is resized to: torchvision's
    /// `_compute_resized_image_output_size`, int(size * long / short).
    pub(crate) fn resized(&self, width: u32, height: u32) -> (u64, u64) {
        let (short, long) = (width.min(height), width.max(height));
        let new_short = u64::from(self.resize);
        let new_long = new_short * u64::from(long) / u64::from(short);
        if width <= height { (new_short, new_long) } else { (new_long, new_short) }
    }

    /// `crop` x `crop` pixels of the resized image from column `left` and row `top` on, black outside. Only the visible part is resized.
    pub(crate) fn window(&self, image: &Rgb8, left: i64, top: i64) -> Result<Rgb8> {
        self.validate()?;
        image.check("preprocess")?;
        let size = self.resized(image.width, image.height);
        let ((left, pad_left, width), (top, pad_top, height)) =
            (overlap(left, size.0, self.crop), overlap(top, size.1, self.crop));
        if width == 0 || height == 0 {
            return Ok(Rgb8::black(self.crop, self.crop));
        }
        let part = resize_region(image, size, Region { left, top, width, height }, self.interpolation)?;
        if (width, height) == (self.crop, self.crop) {
            return Ok(part);
        }
        let mut seen = Rgb8::black(self.crop, self.crop);
        for (y, row) in part.pixels.chunks_exact(width as usize * 3).enumerate() {
            let at = ((pad_top as usize + y) * self.crop as usize + pad_left as usize) * 3;
            seen.pixels[at..at + row.len()].copy_from_slice(row);
        }
        Ok(seen)
    }
}

/// torchvision's `center_crop` along one axis: where the crop starts, below 0 by the black pixels before the image.
fn centre(length: u64, crop: u32) -> i64 {
    if length < u64::from(crop) {
        return -i64::from((crop - length as u32) / 2);
    }
    // Python's round(x / 2.0): a half goes to the even neighbour.
    let excess = length - u64::from(crop);
    let half = excess / 2;
    (half + (excess & half & 1)) as i64
}

/// The intersection of `crop` pixels from `start` on with 0..length: its start, the pixels before it, and its length.
fn overlap(start: i64, length: u64, crop: u32) -> (u64, u32, u32) {
    let (first, end) = (start.max(0), start.saturating_add(i64::from(crop)).min(length as i64));
    if first >= end {
        return (0, 0, 0);
    }
    (first as u64, (first - start) as u32, (end - first) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_like_python() {
        // round(0.5) = 0, round(1.5) = 2, round(2.5) = 2, round(3.5) = 4
        let starts: Vec<i64> = (0..8).map(|excess| centre(10 + excess, 10)).collect();
        assert_eq!(starts, [0, 0, 1, 2, 2, 2, 3, 4]);
        assert_eq!(overlap(centre(7, 10), 7, 10), (0, 1, 7));
    }

    #[test]
    fn a_window_may_hang_over_either_end() {
        assert_eq!(overlap(3, 20, 10), (3, 0, 10));
        assert_eq!(overlap(-4, 20, 10), (0, 4, 6));
        assert_eq!(overlap(15, 20, 10), (15, 0, 5));
        assert_eq!(overlap(-2, 5, 10), (0, 2, 5));
        for nothing in [-10, 20, i64::MIN, i64::MAX] {
            assert_eq!(overlap(nothing, 20, 10).2, 0);
        }
    }
}
