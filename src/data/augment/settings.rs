//! What may happen to a training image, and its random numbers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::data::MAX_CROP;
use crate::error::{Error, Result};

/// The transform of a training image, in this order: a crop, a flip, a change of colours. The default is the evaluation transform.
/// As text (`--augment`) it is a comma-separated list; see its `FromStr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// The part of the image that is seen.
    pub crop: Crop,
    /// Probability, 0 to 1, of a horizontal flip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip: Option<f64>,
    /// How far colours may change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
}

/// Which part of the image is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Crop {
    /// The centre crop after a resize, as in the evaluation transform.
    #[default]
    Center,
    /// torchvision's `RandomCrop(crop, padding)` after the evaluation transform's resize; with `pad_if_needed`, so that
    /// an image smaller than the crop is shown whole, in a random place on black.
    Random {
        /// Black pixels on each side, up to [`MAX_CROP`].
        padding: u32,
    },
    /// torchvision's `RandomResizedCrop(crop, scale, ratio)` of the image as it was read, by the transform's own filter.
    Resized {
        /// The smallest and largest share of the image's area, above 0 and up to 1.
        scale: [f64; 2],
        /// The smallest and largest width / height, above 0.
        ratio: [f64; 2],
    },
}

impl Crop {
    /// torchvision's and the ImageNet recipes' ratios of width to height.
    pub const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
}

/// torchvision's `ColorJitter`: factors are uniform in `max(0, 1 - x)..=1 + x`, the hue's shift in `-hue..=hue`, and the
/// four changes come in random order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// Blends with black; 0 and more.
    pub brightness: f64,
    /// Blends with the image's mean grey; 0 and more.
    pub contrast: f64,
    /// Blends with the image in grey; 0 and more.
    pub saturation: f64,
    /// Largest rotation of the hue, as a share of the colour circle; 0 to 0.5.
    pub hue: f64,
}

impl Jitter {
    /// `strength` for brightness, contrast and saturation and a quarter of it for the hue, which are the proportions of
    /// SimCLR (Chen et al., 2020, appendix A). 0 to 2 is valid.
    pub fn of_strength(strength: f64) -> Self {
        Jitter { brightness: strength, contrast: strength, saturation: strength, hue: strength / 4.0 }
    }
}

impl Augment {
    /// True if images are seen as in evaluation, so that the features of a frozen backbone can be cached.
    pub fn is_none(&self) -> bool {
        *self == Augment::default()
    }

    /// Checks the ranges that the fields document.
    pub fn validate(&self) -> Result<()> {
        let fail = |problem: String| Err(Error::Usage(problem));
        match self.crop {
            Crop::Random { padding } if padding > MAX_CROP => {
                return fail(format!("crop={padding} must pad by 0 to {MAX_CROP} pixels"));
            }
            Crop::Resized { scale: [least, greatest], .. }
                if !(0.0 < least && least <= greatest && greatest <= 1.0) =>
            {
                return fail(format!("resized-crop needs 0 < {least} <= {greatest} <= 1 as shares of the area"));
            }
            Crop::Resized { ratio: [least, greatest], .. }
                if !(0.0 < least && least <= greatest && greatest.is_finite()) =>
            {
                return fail(format!("resized-crop needs 0 < {least} <= {greatest} as ratios of width to height"));
            }
            _ => {}
        }
        if let Some(flip) = self.flip
            && !(0.0..=1.0).contains(&flip)
        {
            return fail(format!("flip={flip} must be a probability of 0 to 1"));
        }
        if let Some(Jitter { brightness, contrast, saturation, hue }) = self.jitter {
            if [brightness, contrast, saturation].iter().any(|x| !x.is_finite() || *x < 0.0) {
                return fail(format!(
                    "brightness, contrast and saturation of jitter must be 0 or more, but are {brightness}, {contrast}, \
                     {saturation}"
                ));
            }
            if !(0.0..=0.5).contains(&hue) {
                return fail(format!("the hue of jitter must be 0 to 0.5 (a strength of at most 2), but is {hue}"));
            }
        }
        Ok(())
    }

    /// The random numbers of one image in one epoch: a function of only these three, so that a resumed run, or one on more cores,
    /// sees the same pixels.
    ///
    /// The ChaCha8 key is the seed, the epoch and a name, not that of `seed_from_u64(seed)`, so that no stream of the orders, splits
    /// and initial weights is reused.
    pub fn rng(seed: u64, epoch: u64, index: usize) -> ChaCha8Rng {
        let mut key = *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0gpu-resnet image";
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&epoch.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(index as u64);
        rng
    }
}
