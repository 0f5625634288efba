//! Everything that is needed to run a network, and the source of each value: the file, the configuration beside it, the user, or
//! an assumption.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::config::Stated;
use super::labels::{distinct, labels_of};
use super::overrides::KEYS;
use super::text::quoted;
use super::{ARCHITECTURE_KEY, ASSUMED_KEY, Head, Overrides, Weights, imagenet_labels, infer};
use crate::data::{Interpolation, Preprocess};
use crate::error::{Error, Result};
use crate::model::{Architecture, BlockKind, Shortcut, StemKind};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The weights file: its metadata, or the shapes of its tensors.
    File,
    /// `config.json` or `preprocessor_config.json` beside it.
    Config,
    /// The manifest of the networks that are known by name.
    Manifest,
    /// An option.
    Option,
    /// An assumption.
    Assumed,
}

/// A network's description.
#[derive(Clone, Debug)]
pub struct Description {
    /// What it is made of.
    pub architecture: Architecture,
    /// How its images are prepared.
    pub preprocess: Preprocess,
    /// One name per class, if there are names.
    pub labels: Option<Vec<String>>,
    /// Where each value comes from, by its key: those of the architecture's description (`stem.pool`), of the preprocessing
    /// (`mean`), and `labels`.
    pub origins: BTreeMap<&'static str, Origin>,
}

const PREPROCESS: [&str; 5] = ["resize", "crop", "interpolation", "mean", "std"];

/// The architecture of a weights file: the metadata key `gpu_resnet.architecture` where there is one, else what the names and
/// shapes of the tensors and a configuration beside the file tell. What they can't tell is torchvision's: the stride of a
/// bottleneck in its 3x3 convolution, a pool that rounds down, an epsilon of 1e-5. A plain network looks like one with
/// zero-padded shortcuts and is taken for it. [`describe`] says which values were assumed, and takes others.
///
/// In either case a shortcut has a projection wherever the file holds `downsample` tensors for it. Errors: invalid JSON, or tensors
/// that no supported architecture has. [`check`](super::check) tests whether the tensors are complete.
pub fn infer_architecture(weights: &Weights) -> Result<Architecture> {
    describe(weights, &Overrides::default()).map(|description| description.architecture)
}

/// Describes the network in `weights`. Each value comes from the first of these that has it: the user, the metadata, the configuration
/// beside the file, the shapes of the tensors; otherwise it is torchvision's. [`check`](super::check) tests whether the tensors are
/// those of the architecture.
///
/// # Errors
/// Options, metadata or a configuration that can't be understood, or that contradict each other or the tensors.
pub fn describe(weights: &Weights, overrides: &Overrides) -> Result<Description> {
    let stated = match (&overrides.architecture, weights.metadata(ARCHITECTURE_KEY)) {
        (None, None) => weights.sidecars().stated()?,
        _ => None,
    };
    let (architecture, mut origins) = architecture(weights, overrides, stated.as_ref())?;
    let preprocess = preprocess(weights, overrides, &architecture, &mut origins)?;
    let names = match (&overrides.architecture, weights.metadata(ARCHITECTURE_KEY)) {
        (Some(_), None) => Some(weights.sidecars().names()?),
        _ => stated,
    };
    let assumed = assumed_in(weights)?;
    let labels = labels(weights, &architecture, (names.as_ref(), &assumed), &mut origins)?;
    // Assumed labels are not in the file; labels that are there were added to it.
    let stays = |key: &str| key != "labels" && assumed.iter().any(|other| other == key);
    let only_assumed = origins.iter_mut().filter(|(key, origin)| **origin == Origin::File && stays(key));
    only_assumed.for_each(|(_, origin)| *origin = Origin::Assumed);
    Ok(Description { architecture, preprocess, labels, origins })
}

/// The keys that [`convert`](super::convert) only assumed when it wrote the file.
fn assumed_in(weights: &Weights) -> Result<Vec<String>> {
    let Some(json) = weights.metadata(ASSUMED_KEY) else { return Ok(vec![]) };
    serde_json::from_str(json)
        .map_err(|error| Error::file(weights.label(), format!("the metadata key `{ASSUMED_KEY}`: {}", quoted(error))))
}

type Origins = BTreeMap<&'static str, Origin>;

fn architecture(weights: &Weights, overrides: &Overrides, stated: Option<&Stated>) -> Result<(Architecture, Origins)> {
    let classes = weights.shape("fc.weight").and_then(|shape| shape.first().copied());
    let all = |origin| KEYS.into_iter().map(|key| (key, origin)).collect::<Origins>();
    let (base, mut origins) = match (overrides.described(classes)?, weights.metadata(ARCHITECTURE_KEY)) {
        (Some(described), _) => (described, all(Origin::Option)),
        (None, Some(json)) => (infer::from_metadata(weights, json)?, all(Origin::File)),
        (None, None) => {
            let base = infer::from_shapes(weights)?;
            infer::validate(weights, &base)?;
            from_tensors(weights, base, stated)?
        }
    };
    let architecture = if overrides.set.is_empty() { base } else { overrides.change(&base)? };
    for (key, _) in overrides.settings()? {
        let key = KEYS.into_iter().find(|known| key == *known || key.starts_with(&format!("{known}.")));
        origins.extend(key.map(|key| (key, Origin::Option)));
    }
    let wanted = architecture.shortcut;
    let architecture = infer::complete(weights, architecture)?;
    let other = |a: Shortcut| !matches!(a, Shortcut::Projection | Shortcut::ProjectionAll);
    if origins["shortcut"] == Origin::Option && architecture.shortcut != wanted && other(wanted) {
        let problem = format!("has projections in every shortcut that changes the shape, so it can't be {wanted}");
        return Err(Error::file(weights.label(), problem + "; leave the option out"));
    }
    Ok((architecture, origins))
}

/// The description from shapes and a configuration.
fn from_tensors(weights: &Weights, base: Architecture, stated: Option<&Stated>) -> Result<(Architecture, Origins)> {
    let mut origins: Origins = KEYS.into_iter().map(|key| (key, Origin::File)).collect();
    let untold = if weights.is_known() { Origin::Manifest } else { Origin::Assumed };
    origins.extend([("stem.pool", untold), ("bn_eps", untold)]);
    if base.block.is_bottleneck() {
        origins.insert("stride_in", untold);
    }
    let projected = infer::complete(weights, base.clone())?;
    if zero_padded(&projected) {
        origins.insert("shortcut", untold);
    }
    let Some(stated) = stated else { return Ok((base, origins)) };
    let refuse = |problem| Error::file(weights.sidecars().path(), problem);
    let has_head = matches!(weights.head(), Head::Linear { .. });
    let changed = stated.apply(&base, has_head, weights.label()).map_err(refuse)?;
    origins.extend(stated.untold.iter().map(|(key, _)| (*key, Origin::Config)));
    Ok((changed, origins))
}

/// Whether a shortcut bridges a change of shape without a projection.
fn zero_padded(architecture: &Architecture) -> bool {
    let layers = architecture.layers();
    architecture.block != BlockKind::Plain
        && layers.blocks().any(|block| block.changes_shape() && block.projection().is_none())
}

fn preprocess(
    weights: &Weights,
    overrides: &Overrides,
    architecture: &Architecture,
    origins: &mut Origins,
) -> Result<Preprocess> {
    // Built-in weights have it in their metadata.
    let of_manifest = weights.is_known() && weights.metadata(ARCHITECTURE_KEY).is_none();
    let mut origin = if of_manifest { Origin::Manifest } else { Origin::File };
    let (base, stated): (Preprocess, Map<String, Value>) = match weights.preprocess() {
        Some(json) => {
            let read = Preprocess::from_json(json).map_err(|error| Error::file(weights.label(), quoted(error)))?;
            origins.extend(PREPROCESS.map(|key| (key, origin)));
            (read, Map::new())
        }
        None => {
            origin = Origin::Config;
            origins.extend(PREPROCESS.map(|key| (key, Origin::Assumed)));
            (default_preprocess(architecture), weights.sidecars().preprocess(overrides.gives_sizes())?)
        }
    };
    let mut value = serde_json::to_value(&base).map_err(|error| Error::file(weights.label(), error))?;
    for (values, origin) in [(stated, origin), (overrides.preprocess(), Origin::Option)] {
        for (key, new) in values {
            origins.extend(PREPROCESS.into_iter().find(|known| *known == key).map(|key| (key, origin)));
            value[key] = new;
        }
    }
    let read =
        Preprocess::from_json(&value.to_string()).map_err(|error| Error::file(weights.label(), quoted(error)))?;
    if overrides.crop.is_some() && overrides.resize.is_none() && read.crop > read.resize {
        let problem = format!("--crop {} is more than the {} pixels that images are scaled to", read.crop, read.resize);
        return Err(Error::Usage(problem + "; give --resize too"));
    }
    Ok(read)
}

/// torchvision's evaluation transform, or for a CIFAR stem its own size.
pub fn default_preprocess(architecture: &Architecture) -> Preprocess {
    let imagenet = Preprocess::default();
    match architecture.stem.kind {
        StemKind::Imagenet => imagenet,
        StemKind::Cifar => Preprocess { resize: 32, crop: 32, ..imagenet },
    }
}

/// The class names in a file or its configuration, or ImageNet-1k's for a network that is likely to have them: 1,000 classes, a stem for
/// photographs, and not written by this program (which would store the names).
fn labels(
    weights: &Weights,
    architecture: &Architecture,
    (stated, assumed): (Option<&Stated>, &[String]),
    origins: &mut Origins,
) -> Result<Option<Vec<String>>> {
    if !matches!(weights.head(), Head::Linear { .. }) {
        return Ok(None);
    }
    if let Some(labels) = weights.labels()? {
        origins.insert("labels", Origin::File);
        return Ok(Some(labels));
    }
    if let Some(labels) = stated.and_then(|stated| stated.labels.clone()) {
        origins.insert("labels", Origin::Config);
        let labels = distinct(labels).and_then(|labels| labels_of(labels, architecture.classes));
        return labels.map(Some).map_err(|problem| Error::file(weights.sidecars().path(), problem));
    }
    let may_be_theirs = architecture.classes == 1000
        && architecture.stem.kind == StemKind::Imagenet
        && (weights.metadata(ARCHITECTURE_KEY).is_none() || assumed.iter().any(|key| key == "labels"));
    if !may_be_theirs {
        return Ok(None);
    }
    let origin = match (weights.is_known(), stated.is_some_and(|stated| stated.imagenet)) {
        (true, _) => Origin::Manifest,
        (_, true) => Origin::Config,
        _ => Origin::Assumed,
    };
    origins.insert("labels", origin);
    Ok(Some(imagenet_labels()))
}

impl Description {
    /// The same network for images of `size` x `size`.
    pub fn with_image_size(mut self, size: u32) -> Result<Self> {
        self.preprocess = self.preprocess.with_image_size(size)?;
        self.origins.extend([("resize", Origin::Option), ("crop", Origin::Option)]);
        Ok(self)
    }

    /// Keys of the assumed values.
    pub(super) fn assumed_keys(&self) -> Vec<&'static str> {
        self.origins.iter().filter(|(_, origin)| **origin == Origin::Assumed).map(|(key, _)| *key).collect()
    }

    /// One line about all assumptions; `None` if there are none. `images` is whether images are prepared at all, `classes` whether
    /// classes are named.
    pub fn assumed(&self, images: bool, classes: bool) -> Option<String> {
        let Preprocess { resize, crop, interpolation, .. } = self.preprocess;
        let filter = match interpolation {
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
        };
        let pool = match self.architecture.stem.kind {
            StemKind::Imagenet => "a max pool that rounds down",
            StemKind::Cifar => "no pool after the 3x3 stem",
        };
        let values = [
            (true, "stride_in", "--set", "stride in the 3x3 (v1.5)".to_owned()),
            (true, "shortcut", "--set", "shortcuts padded with zeros after the last channel".to_owned()),
            (true, "stem.pool", "--set", pool.to_owned()),
            (true, "bn_eps", "--set", format!("batch norm epsilon {:e}", self.architecture.bn_eps)),
            (images, "mean", "--mean", "ImageNet's mean".to_owned()),
            (images, "std", "--std", "ImageNet's std".to_owned()),
            (images, "resize", "--resize", format!("resize {resize}")),
            (images, "crop", "--crop", format!("crop {crop}")),
            (images, "interpolation", "--interpolation", filter.to_owned()),
            (classes, "labels", "--labels", "ImageNet's class names".to_owned()),
        ];
        let assumed = |key: &str| self.origins.get(key) == Some(&Origin::Assumed);
        let found: Vec<_> = values.into_iter().filter(|(wanted, key, ..)| *wanted && assumed(key)).collect();
        let parts = found.iter().map(|(.., text)| text.as_str()).collect::<Vec<_>>().join(", ");
        let mut options: Vec<&str> = found.iter().map(|(_, _, option, _)| *option).collect();
        options.dedup();
        let change = match options[..] {
            [] => return None,
            [_] => "changes it",
            _ => "change it",
        };
        Some(format!("assumed, since nothing says it: {parts}; {} {change}", options.join(", ")))
    }
}
