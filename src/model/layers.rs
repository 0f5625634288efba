//! An [`Architecture`] written out: every convolution with its name in the weights file, its size and its place.
//!
//! Names are torchvision's: `conv1`, `bn1`, `layer1.0.conv1`, `layer1.0.bn1`, `layer1.0.downsample.0` (the projection)
//! and `.1` (its normalisation), `fc`. Pre-activation networks, which torchvision lacks, use the same names with
//! `layer1.0.bn1` normalising the input of `layer1.0.conv1`, a projection without normalisation, a stem of `conv1`
//! without normalisation or ReLU, and `bn` for the normalisation after the last stage.

use super::architecture::{Architecture, Pool, Shortcut, StemKind, StrideIn};
use crate::ops::shortcut_pad::ZeroPad;

/// A whole network, top to bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    pub stem: StemLayers,
    pub stages: Vec<Stage>,
    /// The normalisation (then ReLU) before the global average pool: only in pre-activation networks.
    pub final_bn: Option<BatchNorm>,
    pub head: Linear,
}

/// The first convolution (then ReLU where it has a normalisation) and the max pool.
#[derive(Clone, Debug, PartialEq)]
pub struct StemLayers {
    pub conv: ConvBn,
    pub pool: Option<Pool>,
}

/// Blocks on feature maps of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// `layer1`, …
    pub name: String,
    pub blocks: Vec<Block>,
}

/// One residual block. Post-activation (`preact` false): each convolution, its normalisation, ReLU; the last ReLU comes
/// after the addition. Pre-activation: normalisation, ReLU, convolution; nothing after the addition; a projection reads
/// the first ReLU's output, an identity or zero-padded shortcut the block's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// `layer1.0`, …
    pub name: String,
    /// The residual branch, in order: two convolutions or three.
    pub convs: Vec<ConvBn>,
    pub shortcut: BlockShortcut,
    pub preact: bool,
}

/// What is added to the residual branch.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockShortcut {
    /// Nothing: a plain block.
    None,
    /// The block's input.
    Identity,
    /// Every `stride`-th pixel of the block's input in both directions, from the first; zeros after its last channel, or
    /// `before` of them before its first.
    ZeroPad(ZeroPad),
    /// A 1x1 convolution.
    Projection(ConvBn),
}

/// A square convolution without bias and the batch normalisation beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvBn {
    /// The name before `.weight`: `layer1.0.conv1`.
    pub conv: String,
    /// The name before `.weight`, `.bias`, `.running_mean`, `.running_var`: `layer1.0.bn1`. None where there is no
    /// normalisation: stem and projections of pre-activation networks.
    pub bn: Option<String>,
    /// The normalisation comes before the convolution, over its input channels (pre-activation).
    pub bn_first: bool,
    pub in_channels: usize,
    pub out_channels: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub groups: usize,
}

/// A batch normalisation on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    pub name: String,
    pub channels: usize,
}

/// The classifier: `fc.weight` `[out_features, in_features]`, `fc.bias` `[out_features]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    pub name: String,
    pub in_features: usize,
    pub out_features: usize,
}

impl Pool {
    /// Output height or width for an input of `size`, as PyTorch computes it; None if the window does not fit.
    pub fn output_size(&self, size: usize) -> Option<usize> {
        let span = (size + 2 * self.padding).checked_sub(self.kernel_size)?;
        if !self.ceil_mode {
            return Some(span / self.stride + 1);
        }
        let out = span.div_ceil(self.stride) + 1;
        // The last window must start inside the input or its left padding.
        Some(if (out - 1) * self.stride >= size + self.padding { out - 1 } else { out })
    }
}

impl ConvBn {
    /// PyTorch's weight shape, [out_channels, in_channels / groups, kernel, kernel].
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels / self.groups, self.kernel, self.kernel]
    }

    /// Channels that the normalisation sees.
    pub fn bn_channels(&self) -> usize {
        if self.bn_first { self.in_channels } else { self.out_channels }
    }

    /// Output height or width for an input of `size`; None if the kernel does not fit.
    pub fn output_size(&self, size: usize) -> Option<usize> {
        Some((size + 2 * self.padding).checked_sub(self.kernel)? / self.stride + 1)
    }
}

impl Block {
    /// Channels of the block's input.
    pub fn in_channels(&self) -> usize {
        self.convs.first().map_or(0, |conv| conv.in_channels)
    }

    /// Channels of the block's output.
    pub fn out_channels(&self) -> usize {
        self.convs.last().map_or(0, |conv| conv.out_channels)
    }

    /// How many input pixels one output pixel advances.
    pub fn stride(&self) -> usize {
        self.convs.iter().map(|conv| conv.stride).product()
    }

    /// Whether the output's shape differs from the input's, so that the identity can't be added.
    pub fn changes_shape(&self) -> bool {
        self.stride() != 1 || self.in_channels() != self.out_channels()
    }

    /// The projection, if there is one.
    pub fn projection(&self) -> Option<&ConvBn> {
        match &self.shortcut {
            BlockShortcut::Projection(conv) => Some(conv),
            _ => None,
        }
    }
}

impl Layers {
    /// Every block, in order.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.stages.iter().flat_map(|stage| &stage.blocks)
    }

    /// Every convolution, in the state dict's order: a block's projection after its residual branch.
    pub fn convs(&self) -> impl Iterator<Item = &ConvBn> {
        let blocks = self.blocks().flat_map(|block| block.convs.iter().chain(block.projection()));
        std::iter::once(&self.stem.conv).chain(blocks)
    }
}

impl Architecture {
    /// The network written out. Of a description that [`validate`](Self::validate) accepts.
    pub fn layers(&self) -> Layers {
        let preact = self.block.is_preact();
        let mut channels = self.stem.width;
        let mut stages = Vec::new();
        for (index, (&depth, &width)) in self.depths.iter().zip(&self.widths).enumerate() {
            let name = format!("layer{}", index + 1);
            let blocks = (0..depth).map(|position| {
                let stride = if index > 0 && position == 0 { 2 } else { 1 };
                let block = self.residual_block(format!("{name}.{position}"), channels, width, stride);
                channels = width * self.expansion;
                block
            });
            let blocks = blocks.collect();
            stages.push(Stage { name, blocks });
        }
        Layers {
            stem: self.stem_layers(),
            stages,
            final_bn: preact.then(|| BatchNorm { name: "bn".into(), channels }),
            head: Linear { name: "fc".into(), in_features: channels, out_features: self.classes },
        }
    }

    fn stem_layers(&self) -> StemLayers {
        let (kernel, stride, padding) = match self.stem.kind {
            StemKind::Imagenet => (7, 2, 3),
            StemKind::Cifar => (3, 1, 1),
        };
        let conv = ConvBn {
            conv: "conv1".into(),
            bn: (!self.block.is_preact()).then(|| "bn1".into()),
            bn_first: false,
            in_channels: 3,
            out_channels: self.stem.width,
            kernel,
            stride,
            padding,
            groups: 1,
        };
        StemLayers { conv, pool: self.stem.pool }
    }

    fn residual_block(&self, name: String, from: usize, width: usize, stride: usize) -> Block {
        let preact = self.block.is_preact();
        let conv = |number: usize, from, to, kernel: usize, stride, groups| ConvBn {
            conv: format!("{name}.conv{number}"),
            bn: Some(format!("{name}.bn{number}")),
            bn_first: preact,
            in_channels: from,
            out_channels: to,
            kernel,
            stride,
            padding: kernel / 2,
            groups,
        };
        let to = width * self.expansion;
        let convs = if self.block.is_bottleneck() {
            let inner = self.inner_width(width);
            let (first, middle) = match self.stride_in {
                StrideIn::First1x1 => (stride, 1),
                StrideIn::Middle3x3 => (1, stride),
            };
            vec![
                conv(1, from, inner, 1, first, 1),
                conv(2, inner, inner, 3, middle, self.groups),
                conv(3, inner, to, 1, 1, 1),
            ]
        } else {
            vec![conv(1, from, to, 3, stride, 1), conv(2, to, to, 3, 1, 1)]
        };
        let mut block = Block { name, convs, shortcut: BlockShortcut::Identity, preact };
        block.shortcut = self.block_shortcut(&block);
        block
    }

    fn block_shortcut(&self, block: &Block) -> BlockShortcut {
        let changes = block.changes_shape();
        let projected = match self.shortcut {
            Shortcut::None => return BlockShortcut::None,
            Shortcut::ZeroPad | Shortcut::ZeroPadBoth => false,
            Shortcut::Projection => changes,
            Shortcut::ProjectionAll => true,
        };
        if projected || self.extra_projections.contains(&block.name) {
            return BlockShortcut::Projection(ConvBn {
                conv: format!("{}.downsample.0", block.name),
                bn: (!block.preact).then(|| format!("{}.downsample.1", block.name)),
                bn_first: false,
                in_channels: block.in_channels(),
                out_channels: block.out_channels(),
                kernel: 1,
                stride: block.stride(),
                padding: 0,
                groups: 1,
            });
        }
        let more = block.out_channels().saturating_sub(block.in_channels());
        let before = if self.shortcut == Shortcut::ZeroPadBoth { more / 2 } else { 0 };
        match changes {
            true => BlockShortcut::ZeroPad(ZeroPad { stride: block.stride(), before }),
            false => BlockShortcut::Identity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BlockKind;

    fn named(name: &str) -> Architecture {
        Architecture::named(name).unwrap()
    }

    #[test]
    fn stride_sits_where_stride_in_says() {
        let mut architecture = named("resnet50");
        let strides = |architecture: &Architecture| {
            architecture.layers().stages[1].blocks[0].convs.iter().map(|conv| conv.stride).collect::<Vec<_>>()
        };
        assert_eq!(strides(&architecture), [1, 2, 1]);
        architecture.stride_in = StrideIn::First1x1;
        assert_eq!(strides(&architecture), [2, 1, 1]);
        assert_eq!(format!("{:.3}", architecture.macs(224, 224).unwrap() as f64 / 1e9), "3.858");
    }

    #[test]
    fn shortcuts_follow_the_option() {
        let count = |shortcut: Shortcut| {
            let architecture = Architecture { shortcut, ..named("resnet20") };
            let layers = architecture.layers();
            let projections = layers.blocks().filter(|block| block.projection().is_some()).count();
            let zero_pads = layers.blocks().filter(|block| block.shortcut == BlockShortcut::ZeroPad(2.into())).count();
            (projections, zero_pads)
        };
        assert_eq!(count(Shortcut::ZeroPad), (0, 2));
        let both = Architecture { shortcut: Shortcut::ZeroPadBoth, ..named("resnet20") };
        let pad = both.layers().stages[1].blocks[0].shortcut.clone();
        assert_eq!(pad, BlockShortcut::ZeroPad(ZeroPad { stride: 2, before: 8 }));
        assert_eq!(count(Shortcut::Projection), (2, 0));
        assert_eq!(count(Shortcut::ProjectionAll), (9, 0));
        let plain = named("plain20").layers();
        assert!(plain.blocks().all(|block| block.shortcut == BlockShortcut::None));
    }

    #[test]
    fn preactivation_normalises_first() {
        let architecture = named("preact-resnet164");
        let layers = architecture.layers();
        assert_eq!(layers.stem.conv.bn, None);
        assert_eq!(layers.final_bn, Some(BatchNorm { name: "bn".into(), channels: 256 }));
        let names: Vec<_> = architecture.parameters().into_iter().map(|spec| spec.name).collect();
        assert_eq!(names[..2], ["conv1.weight", "layer1.0.bn1.weight"]);
        let block = &layers.stages[1].blocks[0];
        assert_eq!((block.convs[0].bn_channels(), block.convs[1].bn_channels()), (64, 32));
        assert_eq!(block.projection().unwrap().bn, None);
        assert_eq!(layers.blocks().count(), 54);
    }

    #[test]
    fn pool_sizes_are_pytorchs() {
        let pool = |padding, ceil_mode| Pool { kernel_size: 3, stride: 2, padding, ceil_mode };
        assert_eq!(pool(1, false).output_size(112), Some(56));
        assert_eq!(pool(0, true).output_size(112), Some(56));
        assert_eq!(pool(0, false).output_size(112), Some(55));
        assert_eq!(pool(1, true).output_size(6), Some(4));
        // Here the rounded-up second window would start past the input and its padding, so PyTorch drops it.
        assert_eq!(Pool { kernel_size: 2, stride: 2, padding: 1, ceil_mode: true }.output_size(1), Some(1));
        assert_eq!(pool(0, false).output_size(2), None);
    }

    #[test]
    fn block_kinds_are_told_apart() {
        assert!(BlockKind::PreactBottleneck.is_preact() && BlockKind::PreactBottleneck.is_bottleneck());
        assert!(!BlockKind::Plain.is_preact() && !BlockKind::Plain.is_bottleneck());
    }
}
