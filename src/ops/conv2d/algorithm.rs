//! How a convolution is computed: directly by a kernel, by a split reduction, or by Winograd or space-to-depth around a kernel. An
//! algorithm is a value with a name; [`super::ConvPlan`] plans a pass with it.

use std::ops::RangeInclusive;

use super::depth::SpaceToDepth;
use super::pass::Conv2dPass;
use super::spec::Conv2d;
use super::split::MOST_PARTS;
use super::winograd::{Winograd, WinogradTile};
use crate::gpu::AdapterReport;
use crate::ops::Precision;
use crate::ops::conv2d_variant::Conv2dVariant;

/// The prefix of space-to-depth in names of algorithms.
pub(super) const BLOCKS: &str = "space-to-depth";
/// Separates a kernel's name from the number of parts.
const SPLIT: &str = "-split";
/// The possible numbers of parts of a split reduction.
const PARTS: RangeInclusive<usize> = 2..=MOST_PARTS;

/// An algorithm for a convolution and its gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conv2dAlgorithm {
    /// Direct convolution.
    Direct(Conv2dVariant),
    /// The same with the reduction split into this many parts. Forward and input gradient only.
    Split(Conv2dVariant, usize),
    /// Winograd. 3x3 kernels of stride 1 only.
    Winograd(WinogradTile, Conv2dVariant),
    /// Space-to-depth. Forward only, with a stride and few channels.
    SpaceToDepth(Conv2dVariant),
}

impl From<Conv2dVariant> for Conv2dAlgorithm {
    fn from(variant: Conv2dVariant) -> Self {
        Self::Direct(variant)
    }
}

impl Conv2dAlgorithm {
    /// Every algorithm: a kernel directly, or a Winograd tile or space-to-depth around it.
    fn all() -> impl Iterator<Item = Self> {
        let tiles = |variant| WinogradTile::ALL.into_iter().map(move |tile| Self::Winograd(tile, variant));
        let direct = Conv2dVariant::FORWARD.into_iter().map(Self::Direct);
        let blocks = Conv2dVariant::FORWARD.into_iter().map(Self::SpaceToDepth);
        direct.chain(Conv2dVariant::ALL.into_iter().flat_map(tiles)).chain(blocks)
    }

    /// The algorithm with this [`Self::name`].
    pub fn named(name: &str) -> Option<Self> {
        if let Some((kernel, parts)) = name.split_once(SPLIT) {
            let variant =
                Conv2dVariant::ALL.into_iter().find(|variant| variant.name() == kernel && variant.splits())?;
            return parts.parse().ok().filter(|parts| PARTS.contains(parts)).map(|parts| Self::Split(variant, parts));
        }
        Self::all().find(|algorithm| algorithm.name() == name)
    }

    /// Every distinct algorithm of this pass, and whether the adapter can run `conv` with it; the reason if not.
    pub fn candidates(
        adapter: &AdapterReport,
        conv: &Conv2d,
        pass: Conv2dPass,
        precision: Precision,
    ) -> Vec<(Self, Result<(), String>)> {
        let distinct = Self::all().filter(|algorithm| algorithm.in_pass(pass, conv) == *algorithm);
        distinct.map(|algorithm| (algorithm, algorithm.supported(adapter, conv, precision))).collect()
    }

    /// The algorithm whose kernels this one runs for `conv` in `pass`. Some share kernels, and cooperative matrices have none for the
    /// input gradient in blocks of pixels.
    pub(super) fn in_pass(self, pass: Conv2dPass, conv: &Conv2d) -> Self {
        let inner = match self {
            Self::SpaceToDepth(variant) if pass == Conv2dPass::Forward => {
                SpaceToDepth::new(*conv, variant).map_or(*conv, |blocks| blocks.inner())
            }
            _ => *conv,
        };
        let variant = match self.variant().for_channels_of(&inner) {
            variant if pass == Conv2dPass::ByInput && conv.blocks().is_some() => variant.for_blocks(),
            variant if pass == Conv2dPass::ByWeight => variant.by_weight(),
            variant => variant,
        };
        match self {
            Self::Direct(_) => Self::Direct(variant),
            Self::Split(..) if pass == Conv2dPass::ByWeight => Self::Direct(variant),
            Self::Split(_, parts) => Self::Split(variant, parts),
            Self::Winograd(tile, _) => Self::Winograd(tile, variant),
            Self::SpaceToDepth(_) if pass != Conv2dPass::Forward => Self::Direct(variant),
            Self::SpaceToDepth(_) => Self::SpaceToDepth(variant),
        }
    }

    /// The precision of the packed weight for maps in the precision `maps`. Winograd's points are f32.
    pub fn weight_precision(self, maps: Precision) -> Precision {
        match self {
            Self::Direct(_) | Self::Split(..) | Self::SpaceToDepth(_) => maps,
            Self::Winograd(..) => Precision::F32,
        }
    }

    /// The kernel that multiplies.
    pub fn variant(self) -> Conv2dVariant {
        match self {
            Self::Direct(variant)
            | Self::Split(variant, _)
            | Self::Winograd(_, variant)
            | Self::SpaceToDepth(variant) => variant,
        }
    }

    /// `subgroup`, `gemm-32x32-split4`, `winograd4-subgroup`, `space-to-depth-subgroup`, …
    pub fn name(self) -> String {
        match self {
            Self::Direct(variant) => variant.name().to_owned(),
            Self::Split(variant, parts) => format!("{}{SPLIT}{parts}", variant.name()),
            Self::Winograd(tile, variant) => format!("{}-{}", tile.name(), variant.name()),
            Self::SpaceToDepth(variant) => format!("{BLOCKS}-{}", variant.name()),
        }
    }

    /// Whether the adapter can run `conv` with it; the reason if not.
    pub fn supported(self, adapter: &AdapterReport, conv: &Conv2d, precision: Precision) -> Result<(), String> {
        self.fits(conv)?;
        self.variant().supported_in(adapter, self.weight_precision(precision))
    }

    /// Whether it applies to `conv`; the reason if not.
    pub(super) fn fits(self, conv: &Conv2d) -> Result<(), String> {
        match self {
            Self::Direct(_) => Ok(()),
            Self::Split(variant, parts) if variant.splits() && PARTS.contains(&parts) => Ok(()),
            Self::Split(variant, parts) => Err(format!("{} can't split its sum into {parts} parts", variant.name())),
            Self::Winograd(tile, variant) => Winograd::new(*conv, tile, variant).map(drop),
            Self::SpaceToDepth(variant) => SpaceToDepth::new(*conv, variant).map(drop),
        }
    }
}
