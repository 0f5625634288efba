//! Augmentation as the text of `--augment`.

use std::fmt;
use std::str::FromStr;

use super::settings::{Augment, Crop, Jitter};
use crate::error::{Error, Result};

const POSSIBLE: &str = "none, cifar (crop=4,flip), imagenet (resized-crop,flip), crop[=PADDING], flip[=PROBABILITY], \
                        resized-crop[=MIN_SCALE] and jitter[=STRENGTH]";

/// Padding of `crop`, what CIFAR's images are trained with (He et al., 2016, section 4.2).
const PADDING: u32 = 4;
/// Least area of `resized-crop` (Szegedy et al., 2015, section 6).
const MIN_SCALE: f64 = 0.08;
const STRENGTH: f64 = 0.4;

impl FromStr for Augment {
    type Err = Error;

    /// Reads a comma-separated list of `crop[=PADDING]` (4), `flip[=PROBABILITY]` (0.5), `resized-crop[=MIN_SCALE]` (0.08) and
    /// `jitter[=STRENGTH]` (0.4, see [`Jitter::of_strength`]), and the presets `cifar`, which is `crop=4,flip`, and
    /// `imagenet`, which is `resized-crop,flip`; or `none` alone. In full the last two items are
    /// `resized-crop=MIN_SCALE:MAX_SCALE:MIN_RATIO:MAX_RATIO` and `jitter=BRIGHTNESS:CONTRAST:SATURATION:HUE`.
    fn from_str(text: &str) -> Result<Self> {
        let mut augment = Augment::default();
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        if words == ["none"] {
            return Ok(augment);
        }
        for word in words {
            match word {
                "cifar" => ["crop", "flip"].iter().try_for_each(|item| augment.add(item))?,
                "imagenet" => ["resized-crop", "flip"].iter().try_for_each(|item| augment.add(item))?,
                "none" => return Err(Error::Usage("`none` can't be joined with anything; leave it out".into())),
                item => augment.add(item)?,
            }
        }
        augment.validate()?;
        Ok(augment)
    }
}

impl Augment {
    /// Adds one item.
    fn add(&mut self, item: &str) -> Result<()> {
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (item, None),
        };
        let twice = match name {
            "crop" | "resized-crop" => self.crop != Crop::Center,
            "flip" => self.flip.is_some(),
            "jitter" => self.jitter.is_some(),
            _ => return Err(Error::Usage(format!("`{item}` is not an augmentation; possible are {POSSIBLE}"))),
        };
        if twice {
            return Err(Error::Usage(match name {
                "flip" | "jitter" => format!("`{name}` is given twice; name it once"),
                _ => "only one of `crop` and `resized-crop` is possible, and once".into(),
            }));
        }
        match name {
            "crop" => {
                let parsed = value.map_or(Ok(PADDING), str::parse);
                let padding = parsed.map_err(|_| Error::Usage(format!("`{item}` needs a whole number of pixels")))?;
                self.crop = Crop::Random { padding };
            }
            "flip" => self.flip = Some(numbers::<1>(item, value)?.map_or(0.5, |[p]| p)),
            "resized-crop" => {
                let [least, greatest, ratios @ ..] = match numbers::<4>(item, value) {
                    Ok(Some(all)) => all,
                    _ => {
                        let least = numbers::<1>(item, value)?.map_or(MIN_SCALE, |[least]| least);
                        [least, 1.0, Crop::RATIO[0], Crop::RATIO[1]]
                    }
                };
                self.crop = Crop::Resized { scale: [least, greatest], ratio: ratios };
            }
            _ => {
                self.jitter = Some(match numbers::<4>(item, value) {
                    Ok(Some([brightness, contrast, saturation, hue])) => {
                        Jitter { brightness, contrast, saturation, hue }
                    }
                    _ => Jitter::of_strength(numbers::<1>(item, value)?.map_or(STRENGTH, |[strength]| strength)),
                });
            }
        }
        Ok(())
    }
}

/// The `N` numbers, joined by `:`, that `value` holds; none without a value.
fn numbers<const N: usize>(item: &str, value: Option<&str>) -> Result<Option<[f64; N]>> {
    let Some(value) = value else { return Ok(None) };
    let read: Option<Vec<f64>> = value.split(':').map(|v| v.parse().ok().filter(|v: &f64| v.is_finite())).collect();
    match read.map(<[f64; N]>::try_from) {
        Some(Ok(numbers)) => Ok(Some(numbers)),
        _ => Err(Error::Usage(format!("`{item}` needs a number after the `=`, as in {POSSIBLE}"))),
    }
}

impl fmt::Display for Augment {
    /// The shortest text that reads back to the same value, every number written out.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut items = Vec::new();
        match self.crop {
            Crop::Center => {}
            Crop::Random { padding } => items.push(format!("crop={padding}")),
            Crop::Resized { scale: [least, 1.0], ratio: Crop::RATIO } => items.push(format!("resized-crop={least}")),
            Crop::Resized { scale: [a, b], ratio: [c, d] } => items.push(format!("resized-crop={a}:{b}:{c}:{d}")),
        }
        items.extend(self.flip.map(|p| format!("flip={p}")));
        items.extend(self.jitter.map(|j| {
            if j == Jitter::of_strength(j.brightness) {
                return format!("jitter={}", j.brightness);
            }
            format!("jitter={}:{}:{}:{}", j.brightness, j.contrast, j.saturation, j.hue)
        }));
        if items.is_empty() {
            items.push("none".into());
        }
        f.write_str(&items.join(","))
    }
}
