//! The names of ImageNet-1k's classes, for networks that carry none.

/// One name per line, in the order of the classifier's outputs: torchvision's `_IMAGENET_CATEGORIES` (BSD-3-Clause;
/// `weights/README.md` has source and licence).
const NAMES: &str = include_str!("../../weights/imagenet1k.txt");

/// ImageNet-1k's 1,000 class names as torchvision spells them, in the order of the classifier's outputs.
pub fn imagenet_labels() -> Vec<String> {
    NAMES.lines().map(str::to_owned).collect()
}

/// One synset per line in the same order, after a header that names its source and licence.
const SYNSETS: &str = include_str!("../../weights/imagenet1k_synsets.txt");

/// The WordNet ids of ImageNet-1k's 1,000 classes (`n01440764`, …), in the order of the classifier's outputs. Folders of
/// ImageNet are named by them.
pub fn imagenet_synsets() -> Vec<&'static str> {
    SYNSETS.lines().filter(|line| !line.starts_with('#')).collect()
}

/// True if `labels` are ImageNet-1k's in the order of torchvision, if not in its spelling: `tench, Tinca tinca` is `tench`.
pub fn is_imagenet(labels: &[String]) -> bool {
    let letters = |name: &str| {
        let first = name.split(',').next().unwrap_or_default();
        first.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>()
    };
    let alike = labels.iter().zip(NAMES.lines()).filter(|(label, name)| letters(label) == letters(name)).count();
    labels.len() == 1000 && alike >= 900
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
    #[test]
    fn synsets_are_in_the_order_of_the_names() {
        let synsets = imagenet_synsets();
        assert!(synsets.len() == 1000 && synsets.is_sorted());
        let digits = |synset: &str| synset.strip_prefix('n').is_some_and(|d| d.len() == 8 && d.parse::<u32>().is_ok());
        assert!(synsets.iter().all(|synset| digits(synset)));
        // WordNet's ids of the names above.
        assert_eq!([synsets[0], synsets[281], synsets[999]], ["n01440764", "n02123045", "n15075141"]);
        let labels = imagenet_labels();
        for (synset, name) in [("n02012849", "crane bird"), ("n03126707", "crane"), ("n03710721", "maillot tank suit")]
        {
            let place = synsets.iter().position(|known| *known == synset).unwrap();
            assert_eq!(labels[place], name);
        }
    }

    #[test]
    fn imagenets_labels_are_known_in_other_spellings() {
        let mut labels = imagenet_labels();
        assert!(is_imagenet(&labels));
        labels.iter_mut().for_each(|label| *label = format!("{}, and more", label.to_uppercase().replace(' ', "_")));
        assert!(is_imagenet(&labels));
        labels.rotate_left(1);
        assert!(!is_imagenet(&labels) && !is_imagenet(&imagenet_labels()[..999]));
    }
}
