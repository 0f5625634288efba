//! From probabilities to one image's crop, flip and colours, and from those to pixels.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use super::color::Adjust;
use super::settings::{Augment, Crop};
use crate::data::{Preprocess, Rgb8, resize};
use crate::error::{Error, Result};

/// What was drawn for one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The part that is seen.
    pub view: View,
    /// Whether the image is flipped horizontally.
    pub flip: bool,
    /// Changes of colour, in order.
    pub colors: Vec<Adjust>,
}

/// The part of an image that is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// [`Preprocess::apply`]'s.
    Center,
    /// `crop` x `crop` pixels of the resized image from this corner on; black where it has none.
    Window {
        /// Column of the resized image.
        left: i64,
        /// Row of the resized image.
        top: i64,
    },
    /// A box of the image as it was read, resized to `crop` x `crop`. The filter sees nothing outside the box.
    Box {
        /// First column.
        left: u32,
        /// First row.
        top: u32,
        /// Columns, at least 1.
        width: u32,
        /// Rows, at least 1.
        height: u32,
    },
}

impl Augment {
    /// Draws a transform for an image of `width` x `height`, both at least 1. Only requested changes take numbers from `rng`.
    ///
    /// # Errors
    /// Those of [`Augment::validate`] and [`Preprocess::validate`].
    pub fn draw(&self, width: u32, height: u32, preprocess: &Preprocess, rng: &mut ChaCha8Rng) -> Result<Drawn> {
        self.validate()?;
        preprocess.validate()?;
        if width == 0 || height == 0 {
            return Err(Error::shape("augment", format!("an image of {width} x {height} has no pixels")));
        }
        let view = match self.crop {
            Crop::Center => View::Center,
            Crop::Random { padding } => {
                let (across, down) = preprocess.resized(width, height);
                let mut corner = |length: u64| {
                    let (crop, padding) = (i64::from(preprocess.crop), i64::from(padding));
                    // `pad_if_needed` adds the missing pixels on both sides.
                    let padding = padding + (crop - length as i64 - 2 * padding).max(0);
                    below(rng, (length as i64 + 2 * padding - crop) as u64 + 1) as i64 - padding
                };
                // torchvision draws the row first.
                let top = corner(down);
                View::Window { left: corner(across), top }
            }
            Crop::Resized { scale, ratio } => resized_box(width, height, scale, ratio, rng),
        };
        let flip = self.flip.is_some_and(|p| unit(rng) < p);
        let mut colors = Vec::new();
        if let Some(jitter) = self.jitter {
            let mut add = |strength: f64, least: f64, make: fn(f64) -> Adjust, centre: f64| {
                if strength > 0.0 {
                    colors.push(make(uniform(rng, [(centre - strength).max(least), centre + strength])));
                }
            };
            add(jitter.brightness, 0.0, Adjust::Brightness, 1.0);
            add(jitter.contrast, 0.0, Adjust::Contrast, 1.0);
            add(jitter.saturation, 0.0, Adjust::Saturation, 1.0);
            add(jitter.hue, -0.5, Adjust::Hue, 0.0);
            for last in (1..colors.len()).rev() {
                colors.swap(last, below(rng, last as u64 + 1) as usize);
            }
        }
        Ok(Drawn { view, flip, colors })
    }
}

impl Drawn {
    /// Applies the drawn transform to `image`; the result is `crop` x `crop`.
    ///
    /// # Errors
    /// Those of [`Preprocess::apply`], and a box that is not within the image.
    pub fn apply(&self, image: &Rgb8, preprocess: &Preprocess) -> Result<Rgb8> {
        let mut seen = match self.view {
            View::Center => preprocess.apply(image)?,
            View::Window { left, top } => preprocess.window(image, left, top)?,
            View::Box { left, top, width, height } => {
                preprocess.validate()?;
                resize(
                    &cut(image, left, top, width, height)?,
                    preprocess.crop,
                    preprocess.crop,
                    preprocess.interpolation,
                )?
            }
        };
        if self.flip {
            mirror(&mut seen);
        }
        self.colors.iter().for_each(|change| change.apply(&mut seen));
        Ok(seen)
    }
}

/// torchvision's `RandomResizedCrop.get_params`: ten tries, then the largest central part of a permitted ratio.
fn resized_box(width: u32, height: u32, scale: [f64; 2], ratio: [f64; 2], rng: &mut ChaCha8Rng) -> View {
    let (w, h) = (f64::from(width), f64::from(height));
    for _ in 0..10 {
        let area = w * h * uniform(rng, scale);
        let ratio = uniform(rng, ratio.map(f64::ln)).exp();
        // Python's round, which gives a half to the even neighbour.
        let (across, down) = ((area * ratio).sqrt().round_ties_even(), (area / ratio).sqrt().round_ties_even());
        if (1.0..=w).contains(&across) && (1.0..=h).contains(&down) {
            let (across, down) = (across as u32, down as u32);
            let top = below(rng, u64::from(height - down) + 1) as u32;
            let left = below(rng, u64::from(width - across) + 1) as u32;
            return View::Box { left, top, width: across, height: down };
        }
    }
    let (across, down) = if w / h < ratio[0] {
        (width, ((w / ratio[0]).round_ties_even() as u32).clamp(1, height))
    } else if w / h > ratio[1] {
        (((h * ratio[1]).round_ties_even() as u32).clamp(1, width), height)
    } else {
        (width, height)
    };
    View::Box { left: (width - across) / 2, top: (height - down) / 2, width: across, height: down }
}

/// A part of an image, copied.
fn cut(image: &Rgb8, left: u32, top: u32, width: u32, height: u32) -> Result<Rgb8> {
    image.check("crop")?;
    let fits = |from: u32, length: u32, all: u32| length > 0 && u64::from(from) + u64::from(length) <= u64::from(all);
    if !fits(left, width, image.width) || !fits(top, height, image.height) {
        let part = format!("{width} x {height} pixels from ({left}, {top}) on");
        let problem = format!("{part} are not within an image of {} x {}", image.width, image.height);
        return Err(Error::shape("crop", problem));
    }
    let rows = image.pixels.chunks_exact(image.width as usize * 3).skip(top as usize).take(height as usize);
    let part = left as usize * 3..(left as usize + width as usize) * 3;
    Ok(Rgb8 { width, height, pixels: rows.flat_map(|row| &row[part.clone()]).copied().collect() })
}

/// Flips an image horizontally.
fn mirror(image: &mut Rgb8) {
    let width = image.width as usize;
    for row in image.pixels.chunks_exact_mut(width * 3) {
        for x in 0..width / 2 {
            for c in 0..3 {
                row.swap(x * 3 + c, (width - 1 - x) * 3 + c);
            }
        }
    }
}

/// A whole number below `n`, computed like those of the shuffles, so that no version of a crate changes it.
fn below(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(n)) >> 64) as u64
}

/// A number in 0..1 of 53 bits.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn uniform(rng: &mut ChaCha8Rng, [least, greatest]: [f64; 2]) -> f64 {
    least + (greatest - least) * unit(rng)
}
