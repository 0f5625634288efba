//! Training-time augmentation: torchvision's `RandomCrop`, `RandomResizedCrop`, `RandomHorizontalFlip` and
//! `ColorJitter` on u8 pixels, as its Pillow backend computes them, before the upload.
//!
//! Random numbers are drawn first, into a [`Drawn`] value, which is then applied deterministically, so that each half can be tested
//! alone.

mod color;
mod draw;
mod settings;
mod words;

use rand_chacha::ChaCha8Rng;

use super::{Preprocess, Rgb8};
use crate::error::Result;
pub use color::Adjust;
pub use draw::{Drawn, View};
pub use settings::{Augment, Crop, Jitter};

impl Augment {
    /// Draws a transform of `image` from `rng` and applies it. The result is `crop` x `crop` pixels; for [`Augment::default`] it is
    /// that of [`Preprocess::apply`].
    ///
    /// # Errors
    /// Those of [`Augment::validate`] and [`Preprocess::apply`].
    pub fn apply(&self, image: &Rgb8, preprocess: &Preprocess, rng: &mut ChaCha8Rng) -> Result<Rgb8> {
        image.check("augment")?;
        self.draw(image.width, image.height, preprocess, rng)?.apply(image, preprocess)
    }
}
