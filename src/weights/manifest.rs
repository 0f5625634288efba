//! `weights/manifest.toml`: the pretrained networks that are known by name.

use std::borrow::Cow;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fetch::mirrored;

/// Networks that can be fetched, and the facts of each.
const MANIFEST: &str = include_str!("../../weights/manifest.toml");

/// The Hugging Face hub, unless a mirror replaces it.
const HUB: &str = "https://huggingface.co";

/// One network of the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pretrained {
    /// The name for `--weights`.
    pub name: String,
    /// `hub:OWNER/REPOSITORY/FILE`, or a URL.
    pub source: String,
    /// The commit or branch on the hub; elsewhere the publisher's version.
    pub revision: String,
    /// Hexadecimal SHA-256 of the file, or its beginning; `None` if only the hub gives it.
    pub sha256: Option<String>,
    /// SPDX identifier.
    pub licence: String,
    /// A name of [`Architecture::named`](crate::model::Architecture::named).
    pub architecture: String,
    /// The preprocessing of its images, in the keys of `gpu_resnet.preprocess`.
    pub preprocess: toml::Table,
    /// As published.
    pub accuracy: Accuracy,
}

/// Percent of ImageNet-1k's validation images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// Top-1 accuracy.
    pub top1: f64,
    /// Top-5 accuracy.
    pub top5: f64,
}

impl Pretrained {
    /// The URL of the file. A `mirror` replaces the beginning of the URL:
    /// `MIRROR/OWNER/REPOSITORY/resolve/REVISION/FILE`, or `MIRROR/models/resnet50-0676ba61.pth`.
    pub fn url(&self, mirror: Option<&str>) -> String {
        match self.source.strip_prefix("hub:").and_then(|path| path.rsplit_once('/')) {
            Some((repository, file)) => {
                mirrored(&format!("{HUB}/{repository}/resolve/{}/{file}", self.revision), mirror)
            }
            None => mirrored(&self.source, mirror),
        }
    }

    /// The name of the file in the cache: `resnet50.tv_in1k.pth`.
    pub fn file_name(&self) -> String {
        let extension = self.source.rsplit('.').next().unwrap_or("safetensors");
        format!("{}.{extension}", self.name)
    }

    /// The JSON that a weights file has under `gpu_resnet.preprocess`.
    pub fn preprocess_json(&self) -> String {
        serde_json::to_string(&self.preprocess).unwrap_or_default()
    }
}

/// Every network of the manifest, in its order.
pub fn manifest() -> Result<&'static [Pretrained]> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Manifest {
        weights: Vec<Pretrained>,
    }
    static PARSED: OnceLock<Result<Manifest, String>> = OnceLock::new();
    match PARSED.get_or_init(|| toml::from_str(MANIFEST).map_err(|error| error.to_string())) {
        Ok(manifest) => Ok(&manifest.weights),
        Err(error) => Err(Error::file("weights/manifest.toml", error)),
    }
}

/// The network of this name, if there is one.
pub fn find(name: &str) -> Result<Option<&'static Pretrained>> {
    Ok(manifest()?.iter().find(|entry| entry.name == name))
}

/// The error for an unknown name: the nearest names, and where all are listed.
pub fn unknown(name: &str, others: &[&'static str]) -> Error {
    let names = manifest().unwrap_or_default().iter().map(|entry| entry.name.as_str());
    let rank = |other: &'static str| (!other.starts_with(name), distance(name, other), other);
    let mut near: Vec<_> = names.chain(others.iter().copied()).map(rank).collect();
    near.sort();
    let nearest = near.iter().take(3).map(|(.., other)| *other).collect::<Vec<_>>().join(", ");
    let shown: Cow<str> = if name.len() > 80 { "that".into() } else { format!("{name:?}").into() };
    Error::Usage(format!(
        "there are no weights of the name {shown}, and no such file or run's folder; the nearest names are {nearest}, \
         and `gpu-resnet weights list` shows all"
    ))
}

/// Levenshtein distance: insertions, deletions and replacements of one character.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(80).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Architecture;

    #[test]
    fn every_entry_is_whole() {
        for entry in manifest().unwrap() {
            let name = &entry.name;
            assert_eq!(Architecture::named(&entry.architecture).unwrap().classes, 1000, "{name}");
            let (whole, hex) = match &entry.sha256 {
                Some(sha) => (sha.len() == 64, sha.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))),
                None => (entry.source.starts_with("hub:"), true),
            };
            // torchvision's own file names hold the first eight digits.
            let named = entry.source.starts_with("https://")
                && entry.sha256.as_ref().is_some_and(|sha| entry.source.contains(&format!("-{}.pth", &sha[..8])));
            assert!(hex && (whole || named) && (named || entry.source.starts_with("hub:timm/")), "{name}");
            assert!(entry.accuracy.top1 < entry.accuracy.top5 && entry.accuracy.top5 < 100.0, "{name}");
            assert_eq!(manifest().unwrap().iter().filter(|other| other.name == *name).count(), 1);
        }
    }

    #[test]
    fn mirrors_stand_in_for_the_beginning() {
        let hub = find("resnet101.a1_in1k").unwrap().unwrap();
        assert_eq!(hub.url(None), "https://huggingface.co/timm/resnet101.a1_in1k/resolve/main/model.safetensors");
        assert_eq!(hub.url(Some("http://m/x/")), "http://m/x/timm/resnet101.a1_in1k/resolve/main/model.safetensors");
        assert_eq!(hub.file_name(), "resnet101.a1_in1k.safetensors");
        let torch = find("resnet50.tv_in1k").unwrap().unwrap();
        assert_eq!(torch.url(Some("http://m")), "http://m/models/resnet50-0676ba61.pth");
        assert_eq!(torch.file_name(), "resnet50.tv_in1k.pth");
    }

    #[test]
    fn near_names_are_offered() {
        let text = unknown("resnet50.a1_in1", &[]).to_string();
        assert!(text.contains("nearest names are resnet50.a1_in1k,") && text.contains("weights list"), "{text}");
        assert_eq!((distance("", "abc"), distance("kitten", "sitting"), distance("same", "same")), (3, 3, 0));
    }
}
