//! The declarative description of a network: one column of Table 1 in "Deep Residual Learning for Image Recognition"
//! (He et al., 2015), with what later networks vary. It travels as JSON in a weights file's metadata.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::de::IntoDeserializer;
use serde::de::value::{Error as TextError, StrDeserializer};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The most residual blocks that a network may have; ResNet-1001 has 333.
pub const MAX_BLOCKS: usize = 1000;
/// The most channels of any feature map.
pub const MAX_CHANNELS: usize = 65_536;
/// The most classes.
pub const MAX_CLASSES: usize = 1_000_000;
/// The most trained parameters, a bound on memory when a description comes from outside (8 GiB in f32).
pub const MAX_PARAMETERS: u64 = 1 << 31;
const MAX_STAGES: usize = 8;

/// A network of the ResNet family. [`Architecture::layers`] expands it to convolutions with names and sizes.
///
/// Read from JSON, everything but `block` and `depths` may be left out. What is missing is ResNet-50's, except for
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
    /// How a shortcut gets over a change of shape. [`Shortcut::None`] exactly when `block` is plain.
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

/// How the shortcut gets over a change of shape (paper, section 3.3 and Table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortcut {
    /// Option A: every stride-th pixel, zeros appended after the last channel. No parameters.
    ZeroPad,
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
    /// The max pool after it: always there after an `imagenet` stem, never after a `cifar` one.
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

/// `Architecture` as JSON has it, before defaults.
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
        // Before any vector is made to match it.
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
            StemKind::Cifar => Stem {
                kind,
                width: stem.width.or(widths.first().copied()).unwrap_or(16),
                pool: stem.pool, // Validation refuses it by name.
            },
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

fn invalid(problem: impl fmt::Display) -> Error {
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

    /// Refuses a description that can't be built or that asks for unreasonable memory, naming the key. Descriptions
    /// read from JSON have passed it already.
    pub fn validate(&self) -> Result<()> {
        let within = |key: &str, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(invalid(format!("`{key}` is {value}; it takes 1 to {most}"))),
        };
        within("depths' number of stages", self.depths.len(), MAX_STAGES)?;
        for &depth in &self.depths {
            within("depths", depth, MAX_BLOCKS)?;
        }
        within("depths' sum", self.depths.iter().sum(), MAX_BLOCKS)?;
        if self.widths.len() != self.depths.len() {
            let (widths, depths) = (self.widths.len(), self.depths.len());
            return Err(invalid(format!("`widths` has {widths} stages but `depths` has {depths}; give one of each")));
        }
        within("expansion", self.expansion, 64)?;
        within("groups", self.groups, MAX_CHANNELS)?;
        within("width_per_group", self.width_per_group, MAX_CHANNELS)?;
        for &width in &self.widths {
            within("widths", width, MAX_CHANNELS)?;
            within("widths x expansion", width * self.expansion, MAX_CHANNELS)?;
            // Two factors at a time: three of up to 65,536 don't fit 32 bits.
            let group = width as u64 * self.width_per_group as u64 / 64;
            let inner = usize::try_from(group.saturating_mul(self.groups as u64)).unwrap_or(usize::MAX);
            within("widths x width_per_group / 64 x groups", inner, MAX_CHANNELS)?;
        }
        within("classes", self.classes, MAX_CLASSES)?;
        if !(self.bn_eps > 0.0 && self.bn_eps <= 1.0) {
            return Err(invalid(format!("`bn_eps` is {}; it takes a number above 0, up to 1", self.bn_eps)));
        }
        if !self.block.is_bottleneck() {
            let fixed = [("expansion", self.expansion, 1), ("groups", self.groups, 1)];
            for (key, value, only) in fixed.into_iter().chain([("width_per_group", self.width_per_group, 64)]) {
                if value != only {
                    return Err(invalid(format!("`{key}` is {value}; the block `{}` takes only {only}", self.block)));
                }
            }
        }
        if self.shortcut.is_none() != (self.block == BlockKind::Plain) {
            let problem = format!("`shortcut` `{}` does not go with the block `{}`", self.shortcut, self.block);
            return Err(invalid(problem + "; only plain blocks are without a shortcut"));
        }
        self.validate_stem()?;
        self.validate_shortcuts()?;
        let parameters = self.parameter_count();
        if parameters > MAX_PARAMETERS {
            let problem = format!("it has {parameters} parameters; at most {MAX_PARAMETERS} are taken");
            return Err(invalid(problem + ", so make it narrower or shallower"));
        }
        Ok(())
    }

    fn validate_stem(&self) -> Result<()> {
        if !(1..=MAX_CHANNELS).contains(&self.stem.width) {
            return Err(invalid(format!("`stem.width` is {}; it takes 1 to {MAX_CHANNELS}", self.stem.width)));
        }
        match (self.stem.kind, self.stem.pool) {
            (StemKind::Cifar, None) => Ok(()),
            (StemKind::Cifar, Some(_)) => {
                Err(invalid("`stem.pool` is set but a `cifar` stem has no pool; leave it out"))
            }
            (StemKind::Imagenet, None) => Err(invalid("`stem.pool` is missing; an `imagenet` stem has one")),
            (StemKind::Imagenet, Some(pool)) => {
                let Pool { kernel_size, stride, padding, .. } = pool;
                if !(1..=16).contains(&kernel_size) || !(1..=16).contains(&stride) || padding > kernel_size / 2 {
                    let found =
                        format!("`stem.pool` has kernel_size {kernel_size}, stride {stride}, padding {padding}");
                    return Err(invalid(found + "; it takes 1 to 16, 1 to 16, and at most half of the kernel"));
                }
                Ok(())
            }
        }
    }

    fn validate_shortcuts(&self) -> Result<()> {
        let layers = self.layers();
        let names: BTreeSet<&str> = layers.blocks().map(|block| block.name.as_str()).collect();
        for name in &self.extra_projections {
            if !names.contains(name.as_str()) || self.block == BlockKind::Plain {
                let shown: String = name.chars().take(64).collect();
                return Err(invalid(format!("`extra_projections` names {shown:?}, which is no block with a shortcut")));
            }
        }
        for block in layers.blocks() {
            let (from, to) = (block.in_channels(), block.out_channels());
            if matches!(block.shortcut, super::BlockShortcut::ZeroPad { .. }) && from > to {
                let name = &block.name;
                let problem = format!("`shortcut` `zero-pad` can't go from {from} to {to} channels in {name}");
                return Err(invalid(problem + "; use `projection`"));
            }
        }
        Ok(())
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
    fn errors_name_the_key() {
        for (json, word) in [
            (r#"{"block":"basic","depths":[2],"depth":3}"#, "`depth`"),
            (r#"{"block":"basic","depths":[2],"stem":{"kernel":7}}"#, "`kernel`"),
            (r#"{"block":"basic","depths":[2],"stem":{"pool":{"dilation":2}}}"#, "`dilation`"),
            (r#"{"block":"dense","depths":[2]}"#, "`dense`"),
            (r#"{"depths":[2]}"#, "`block`"),
            (r#"{"block":"basic"}"#, "`depths`"),
            (r#"{"block":"basic","depths":[]}"#, "`depths`"),
            (r#"{"block":"basic","depths":[0]}"#, "`depths`"),
            (r#"{"block":"basic","depths":[600,600]}"#, "sum"),
            (r#"{"block":"basic","depths":[18446744073709551615,2]}"#, "`depths`"),
            (r#"{"block":"basic","depths":[1],"widths":[-4]}"#, "-4"),
            (r#"{"block":"basic","depths":[1],"widths":[64,128]}"#, "`widths`"),
            (r#"{"block":"basic","depths":[1],"widths":[18446744073709551615]}"#, "`widths`"),
            (r#"{"block":"basic","depths":[1],"expansion":4}"#, "`expansion`"),
            (r#"{"block":"basic","depths":[1],"groups":32}"#, "`groups`"),
            (r#"{"block":"bottleneck","depths":[1],"groups":60000,"width_per_group":60000}"#, "groups"),
            (r#"{"block":"bottleneck","depths":[1],"widths":[1],"width_per_group":4}"#, "width_per_group"),
            (r#"{"block":"basic","depths":[1],"bn_eps":0}"#, "`bn_eps`"),
            (r#"{"block":"basic","depths":[1],"classes":0}"#, "`classes`"),
            (r#"{"block":"basic","depths":[1],"shortcut":"none"}"#, "`shortcut`"),
            (r#"{"block":"basic","depths":[1],"stem":{"kind":"cifar","pool":{}}}"#, "`stem.pool`"),
            (r#"{"block":"basic","depths":[1],"stem":{"pool":{"padding":2}}}"#, "`stem.pool`"),
            (r#"{"block":"basic","depths":[1],"stem":{"width":0}}"#, "`stem.width`"),
            (r#"{"block":"basic","depths":[1],"widths":[8],"shortcut":"zero-pad"}"#, "`zero-pad`"),
            (r#"{"block":"basic","depths":[1],"extra_projections":["layer2.0"]}"#, "layer2.0"),
            (r#"{"block":"basic","depths":[200],"widths":[65536]}"#, "parameters"),
            (r#"{"block":"basic","depths":[1]"#, "EOF"),
        ] {
            let message = Architecture::from_json(json).expect_err(json).to_string();
            assert!(message.contains(word), "{json}: {message}");
        }
    }

    #[test]
    fn words_are_those_of_the_command_line() {
        assert_eq!("1x1".parse::<StrideIn>().unwrap(), StrideIn::First1x1);
        assert_eq!("zero-pad".parse::<Shortcut>().unwrap().to_string(), "zero-pad");
        let message = "zeropad".parse::<Shortcut>().unwrap_err().to_string();
        assert!(message.contains("zeropad") && message.contains("projection-all"), "{message}");
    }
}
