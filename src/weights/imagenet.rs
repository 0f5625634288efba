//! The names of ImageNet-1k's classes, for networks that carry none.

use super::{ARCHITECTURE_KEY, Weights};
use crate::error::Result;
use crate::model::{Architecture, StemKind};

/// One name a line, in the order of the classifier's outputs: torchvision's `_IMAGENET_CATEGORIES` (BSD-3-Clause;
/// `weights/README.md` has source and licence).
const NAMES: &str = include_str!("../../weights/imagenet1k.txt");

/// ImageNet-1k's 1,000 class names as torchvision spells them, in the order of the classifier's outputs.
pub fn imagenet_labels() -> Vec<String> {
    NAMES.lines().map(str::to_owned).collect()
}

/// The class names that a file carries, or ImageNet-1k's for a network that is known to be theirs: 1,000 classes behind a
/// stem for photographs, from torchvision, timm or `transformers` (what this program writes says itself what it is).
pub fn known_labels(weights: &Weights, architecture: &Architecture) -> Result<Option<Vec<String>>> {
    let carried = weights.labels()?;
    let theirs = architecture.classes == 1000
        && architecture.stem.kind == StemKind::Imagenet
        && weights.metadata(ARCHITECTURE_KEY).is_none();
    Ok(carried.or_else(|| theirs.then(imagenet_labels)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_names_in_torchvisions_order() {
        let labels = imagenet_labels();
        assert_eq!(labels.len(), 1000);
        assert!(labels.iter().all(|label| !label.trim().is_empty()));
        assert_eq!((&*labels[0], &*labels[281], &*labels[999]), ("tench", "tabby", "toilet tissue"));
    }
}
