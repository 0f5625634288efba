//! Training-time augmentation: torchvision's `RandomCrop`, `RandomResizedCrop`, `RandomHorizontalFlip` and
//! `ColorJitter` on u8 pixels, as its Pillow backend computes them, before the upload.
//!
//! What is random is drawn first, as a [`Drawn`] value; what is drawn is then applied without any chance, so that each
//! half can be tested alone.

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
    /// Draws by `rng` what happens to `image`, and does it: `crop` x `crop` pixels. [`Augment::default`] gives
    /// [`Preprocess::apply`]'s.
    ///
    /// # Errors
    /// Those of [`Augment::validate`] and [`Preprocess::apply`].
    pub fn apply(&self, image: &Rgb8, preprocess: &Preprocess, rng: &mut ChaCha8Rng) -> Result<Rgb8> {
        image.check("augment")?;
        self.draw(image.width, image.height, preprocess, rng)?.apply(image, preprocess)
    }
}
