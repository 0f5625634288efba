//! The declarative description of a network: one column of Table 1 in "Deep Residual Learning for Image Recognition"
//! (He et al., 2015), extended by what later networks vary. It is stored as JSON in a weights file's metadata.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::de::IntoDeserializer;
use serde::de::value::{Error as TextError, StrDeserializer};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The most stages.
pub const MAX_STAGES: usize = 8;

/// A network of the ResNet family. [`Architecture::layers`] expands it to convolutions with names and sizes.
///
/// In JSON, all keys but `block` and `depths` are optional. Their defaults are ResNet-50's, except for
/// `expansion` (1 for the two-convolution blocks), `widths` (doubling from stage to stage, from 64, or from 16 after a
/// `cifar` stem) and the `cifar` stem itself (as wide as the first stage, no pool). An unknown key is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Description")]
pub struct Architecture {
    /// What one residual block computes.
    pub block: BlockKind,
    /// Blocks in each stage.
    pub depths: Vec<usize>,
    /// Channels of each stage's 3x3 convolutions when `groups` is 1 and `width_per_group` 64 (torchvision's `planes`).
    pub widths: Vec<usize>,
    /// A block's output channels over its stage's width: 4 for bottlenecks, 1 otherwise.
    pub expansion: usize,
    /// What comes before the first stage.
    pub stem: Stem,
    /// Which convolution of a bottleneck has the stride.
    pub stride_in: StrideIn,
    /// How a shortcut changes shape. [`Shortcut::None`] exactly if `block` is plain.
    #[serde(skip_serializing_if = "Shortcut::is_none")]
    pub shortcut: Shortcut,
    /// Groups of a bottleneck's 3x3 convolution (ResNeXt's cardinality).
    pub groups: usize,
    /// torchvision's: the 3x3 convolution has `floor(width * width_per_group / 64) * groups` channels.
    pub width_per_group: usize,
    /// Added to the variance in every batch normalisation.
    pub bn_eps: f64,
    /// Outputs of the classifier.
    pub classes: usize,
    /// Blocks (`layer1.0`) that have a projection although `shortcut` gives them none; written only when there are any.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub extra_projections: BTreeSet<String>,
}

/// What one block computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// Two 3x3 convolutions, `relu(F(x) + x)`.
    Basic,
    /// 1x1, 3x3, 1x1 convolutions, `relu(F(x) + x)`.
    Bottleneck,
    /// A basic block's convolutions without a shortcut, `relu(F(x))`.
    Plain,
    /// Normalisation and ReLU before each of two 3x3 convolutions, `F(x) + x` ("Identity Mappings", He et al., 2016).
    PreactBasic,
    /// The same with a bottleneck's convolutions.
    PreactBottleneck,
}

/// How the shortcut changes shape (paper, section 3.3 and Table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortcut {
    /// Option A: every stride-th pixel, zeros appended after the last channel. No parameters.
    ZeroPad,
    /// Option A with half of the zeros before the first channel and half after the last, as in some CIFAR networks.
    ZeroPadBoth,
    /// Option B: a 1x1 convolution where the shape changes, the identity elsewhere.
    Projection,
    /// Option C: a 1x1 convolution in every block.
    ProjectionAll,
    /// There is none: a plain network.
    None,
}

/// Which convolution of a bottleneck block has the stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StrideIn {
    /// The first 1x1: the paper's and Caffe's networks (v1).
    #[serde(rename = "1x1")]
    First1x1,
    /// The 3x3: torchvision's networks (v1.5).
    #[serde(rename = "3x3")]
    Middle3x3,
}

/// What comes before the first stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stem {
    pub kind: StemKind,
    /// Output channels of the stem's convolution.
    pub width: usize,
    /// The max pool after it: always there after an `imagenet` stem, seldom after a `cifar` one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
}

/// The two stems of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StemKind {
    /// A 7x7 convolution of stride 2, padding 3, and a max pool.
    Imagenet,
    /// A 3x3 convolution of stride 1, padding 1.
    Cifar,
}

/// A max pool over square windows; the fields are `torch.nn.MaxPool2d`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pool {
    pub kernel_size: usize,
    pub stride: usize,
    pub padding: usize,
    /// Round the output size up, as Caffe does, instead of down.
    pub ceil_mode: bool,
}

impl Default for Pool {
    /// ResNet's: 3x3, stride 2, padding 1.
    fn default() -> Self {
        Pool { kernel_size: 3, stride: 2, padding: 1, ceil_mode: false }
    }
}

impl Stem {
    /// The stem for photographs: 7x7 convolution of stride 2 to `width` channels, then ResNet's max pool.
    pub fn imagenet(width: usize) -> Self {
        Stem { kind: StemKind::Imagenet, width, pool: Some(Pool::default()) }
    }

    /// The stem for 32x32 images: 3x3 convolution to `width` channels.
    pub fn cifar(width: usize) -> Self {
        Stem { kind: StemKind::Cifar, width, pool: None }
    }
}

impl Shortcut {
    /// Whether there are no shortcuts at all.
    pub fn is_none(&self) -> bool {
        *self == Shortcut::None
    }
}

impl BlockKind {
    /// Whether the block is 1x1, 3x3, 1x1 instead of two 3x3 convolutions.
    pub fn is_bottleneck(self) -> bool {
        matches!(self, BlockKind::Bottleneck | BlockKind::PreactBottleneck)
    }

    /// Whether normalisation and ReLU come before each convolution.
    pub fn is_preact(self) -> bool {
        matches!(self, BlockKind::PreactBasic | BlockKind::PreactBottleneck)
    }
}

/// `Architecture` as it is in JSON, before defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    block: BlockKind,
    depths: Vec<usize>,
    widths: Option<Vec<usize>>,
    expansion: Option<usize>,
    stem: Option<StemDescription>,
    stride_in: Option<StrideIn>,
    shortcut: Option<Shortcut>,
    groups: Option<usize>,
    width_per_group: Option<usize>,
    bn_eps: Option<f64>,
    classes: Option<usize>,
    extra_projections: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StemDescription {
    kind: Option<StemKind>,
    width: Option<usize>,
    pool: Option<Pool>,
}

impl TryFrom<Description> for Architecture {
    type Error = Error;

    fn try_from(given: Description) -> Result<Self> {
        // This must precede any allocation of that size.
        if given.depths.is_empty() || given.depths.len() > MAX_STAGES {
            return Err(invalid(format!("`depths` has {} stages; it takes 1 to {MAX_STAGES}", given.depths.len())));
        }
        let stem = given.stem.unwrap_or(StemDescription { kind: None, width: None, pool: None });
        let kind = stem.kind.unwrap_or(StemKind::Imagenet);
        let widths = given.widths.unwrap_or_else(|| doubling(kind, given.depths.len()));
        let stem = match kind {
            StemKind::Imagenet => {
                Stem { kind, width: stem.width.unwrap_or(64), pool: Some(stem.pool.unwrap_or_default()) }
            }
            StemKind::Cifar => {
                Stem { kind, width: stem.width.or(widths.first().copied()).unwrap_or(16), pool: stem.pool }
            }
        };
        let architecture = Architecture {
            expansion: given.expansion.unwrap_or(if given.block.is_bottleneck() { 4 } else { 1 }),
            // A plain network has no shortcut, whatever a filled-in template says.
            shortcut: match given.block {
                BlockKind::Plain => Shortcut::None,
                _ => given.shortcut.unwrap_or(Shortcut::Projection),
            },
            block: given.block,
            depths: given.depths,
            widths,
            stem,
            stride_in: given.stride_in.unwrap_or(StrideIn::Middle3x3),
            groups: given.groups.unwrap_or(1),
            width_per_group: given.width_per_group.unwrap_or(64),
            bn_eps: given.bn_eps.unwrap_or(1e-5),
            classes: given.classes.unwrap_or(1000),
            extra_projections: given.extra_projections.unwrap_or_default(),
        };
        architecture.validate()?;
        Ok(architecture)
    }
}

/// The default widths of `stages` stages.
fn doubling(kind: StemKind, stages: usize) -> Vec<usize> {
    let first = if kind == StemKind::Imagenet { 64 } else { 16 };
    (0..stages).map(|stage| first << stage).collect()
}

pub(super) fn invalid(problem: impl fmt::Display) -> Error {
    Error::shape("architecture", problem)
}

impl Architecture {
    /// The network with stages of `depths` blocks and every other value at its default (see the type's notes), with
    /// 1,000 classes after an `imagenet` stem and 10 after a `cifar` one. Errors as [`validate`](Self::validate).
    pub fn new(block: BlockKind, depths: &[usize], stem: StemKind) -> Result<Self> {
        Architecture::try_from(Description {
            block,
            depths: depths.to_vec(),
            widths: None,
            expansion: None,
            stem: Some(StemDescription { kind: Some(stem), width: None, pool: None }),
            stride_in: None,
            shortcut: None,
            groups: None,
            width_per_group: None,
            bn_eps: None,
            classes: (stem == StemKind::Cifar).then_some(10),
            extra_projections: None,
        })
    }

    /// The same network with a classifier of `classes` outputs.
    pub fn with_classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    /// Reads the JSON of the metadata key `gpu_resnet.architecture`. Errors name the key that is unknown or out of
    /// bounds.
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(invalid)
    }

    /// The JSON of the metadata key `gpu_resnet.architecture`, on one line, with every key.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(invalid)
    }

    /// Channels after the last stage, which the global average pool turns into the features that the head sees.
    pub fn features(&self) -> usize {
        self.widths.last().copied().unwrap_or(0) * self.expansion
    }

    /// Channels of the 3x3 convolution in a bottleneck of width `width`.
    pub fn inner_width(&self, width: usize) -> usize {
        width * self.width_per_group / 64 * self.groups
    }
}

/// Parses a word with the names that JSON has; the error lists them.
fn from_word<'de, T: serde::Deserialize<'de>>(word: &'de str) -> Result<T> {
    let deserializer: StrDeserializer<'de, TextError> = word.into_deserializer();
    T::deserialize(deserializer).map_err(|error| Error::Usage(error.to_string()))
}

/// `Display` and `FromStr` with the words that JSON uses, so that options on the command line have the same names.
macro_rules! words {
    ($($kind:ty),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }

        impl FromStr for $kind {
            type Err = Error;

            fn from_str(word: &str) -> Result<Self> {
                from_word(word)
            }
        }
    )*};
}

words!(BlockKind, Shortcut, StrideIn, StemKind);

#[cfg(test)]
mod tests {
    use super::*;

    /// The design's example, key for key.
    const RESNET50: &str = r#"{"block":"bottleneck","depths":[3,4,6,3],"widths":[64,128,256,512],"expansion":4,"stem":{"kind":"imagenet","width":64,"pool":{"kernel_size":3,"stride":2,"padding":1,"ceil_mode":false}},"stride_in":"3x3","shortcut":"projection","groups":1,"width_per_group":64,"bn_eps":1e-5,"classes":1000}"#;

    #[test]
    fn json_has_the_documented_keys_in_order() {
        let architecture = Architecture::from_json(RESNET50).unwrap();
        assert_eq!(architecture.to_json().unwrap(), RESNET50.replace("1e-5", "0.00001"));
        assert_eq!(architecture, Architecture::from_json(r#"{"block":"bottleneck","depths":[3,4,6,3]}"#).unwrap());
    }

    #[test]
    fn defaults_follow_block_and_stem() {
        let json = r#"{"block":"basic","depths":[3,3,3],"stem":{"kind":"cifar"},"classes":10}"#;
        let architecture = Architecture::from_json(json).unwrap();
        assert_eq!((architecture.expansion, &architecture.widths[..]), (1, &[16, 32, 64][..]));
        assert_eq!(architecture.stem, Stem::cifar(16));
        let caffe = r#"{"block":"bottleneck","depths":[1,1],"stem":{"pool":{"padding":0,"ceil_mode":true}}}"#;
        let pool = Architecture::from_json(caffe).unwrap().stem.pool;
        assert_eq!(pool, Some(Pool { kernel_size: 3, stride: 2, padding: 0, ceil_mode: true }));
    }

    #[test]
    fn a_plain_network_has_no_shortcut_key() {
        let plain = Architecture::from_json(r#"{"block":"plain","depths":[2,2],"shortcut":"projection"}"#).unwrap();
        assert_eq!(plain.shortcut, Shortcut::None);
        assert!(!plain.to_json().unwrap().contains("shortcut"));
        assert_eq!(Architecture::from_json(&plain.to_json().unwrap()).unwrap(), plain);
    }

    #[test]
    fn words_are_those_of_the_command_line() {
        assert_eq!("1x1".parse::<StrideIn>().unwrap(), StrideIn::First1x1);
        assert_eq!("zero-pad".parse::<Shortcut>().unwrap().to_string(), "zero-pad");
        let message = "zeropad".parse::<Shortcut>().unwrap_err().to_string();
        assert!(message.contains("zeropad") && message.contains("projection-all"), "{message}");
    }
}
