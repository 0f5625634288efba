//! The names of ImageNet-1k's classes, for networks that carry none.

/// One name a line, in the order of the classifier's outputs: torchvision's `_IMAGENET_CATEGORIES` (BSD-3-Clause;
/// `weights/README.md` has source and licence).
const NAMES: &str = include_str!("../../weights/imagenet1k.txt");

/// ImageNet-1k's 1,000 class names as torchvision spells them, in the order of the classifier's outputs.
pub fn imagenet_labels() -> Vec<String> {
    NAMES.lines().map(str::to_owned).collect()
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
