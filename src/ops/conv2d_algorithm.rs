//! How a convolution is computed: by one of the kernels directly, or around one of them by Winograd's way or over blocks of
//! pixels.

use std::ops::RangeInclusive;

use super::Precision;
use super::conv2d::Conv2d;
use super::conv2d_epilogue::{Epilogue, GradEpilogue};
use super::conv2d_policy::{self, Convolution};
use super::conv2d_split::{Conv2dKernel, MOST_PARTS};
use super::conv2d_variant::{Conv2dVariant, asked};
use super::feature_map::FeatureMap;
use super::space_to_depth::SpaceToDepth;
use super::winograd::{Winograd, WinogradTile};
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Gpu, Recording, TensorId};

/// The way to compute a convolution and its gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conv2dAlgorithm {
    /// Every multiplication of the formula.
    Direct(Conv2dVariant),
    /// The same with the reduction cut into so many parts; only forward and by the input.
    Split(Conv2dVariant, usize),
    /// Tiles at their points; only for 3x3 kernels of stride 1.
    Winograd(WinogradTile, Conv2dVariant),
    /// Blocks of pixels as channels; only forward, with a stride and few channels.
    SpaceToDepth(Conv2dVariant),
}

/// An algorithm with the convolution that it is for.
enum Way {
    Direct(Conv2dKernel),
    Winograd(Winograd),
    SpaceToDepth(SpaceToDepth),
}

/// The passes over a convolution; each has an algorithm of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conv2dPass {
    Forward,
    /// The gradient by the input.
    ByInput,
    /// The gradient by the weight.
    ByWeight,
}

impl Conv2dPass {
    pub const ALL: [Self; 3] = [Self::Forward, Self::ByInput, Self::ByWeight];

    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::ByInput => "by input",
            Self::ByWeight => "by weight",
        }
    }

    /// What a choice of algorithm goes by: the pass, the precision, the convolution and the size of its input, but not the batch.
    pub fn key(self, conv: &Conv2d, [height, width]: [usize; 2], precision: Precision) -> String {
        let [k, c, r, s] = conv.weight_shape();
        let a = &conv.attributes;
        let pair = |[a, b]: [usize; 2]| format!("{a}x{b}");
        format!(
            "{} {} {k}x{c}x{r}x{s} stride {} padding {} dilation {} groups {} on {height}x{width}",
            self.name(),
            precision.name(),
            pair(a.stride),
            pair(a.padding),
            pair(a.dilation),
            a.groups
        )
    }
}

impl From<Conv2dVariant> for Conv2dAlgorithm {
    fn from(variant: Conv2dVariant) -> Self {
        Self::Direct(variant)
    }
}

impl Conv2dAlgorithm {
    /// Every algorithm: a kernel directly, or a tile of Winograd's or blocks of pixels around it.
    fn all() -> impl Iterator<Item = Self> {
        let tiles = |variant| WinogradTile::ALL.into_iter().map(move |tile| Self::Winograd(tile, variant));
        let direct = Conv2dVariant::FORWARD.into_iter().map(Self::Direct);
        let blocks = Conv2dVariant::FORWARD.into_iter().map(Self::SpaceToDepth);
        direct.chain(Conv2dVariant::ALL.into_iter().flat_map(tiles)).chain(blocks)
    }

    /// The algorithm of that [`Self::name`].
    pub fn named(name: &str) -> Option<Self> {
        if let Some((kernel, parts)) = name.split_once(SPLIT) {
            let variant = Conv2dVariant::named(kernel).filter(|variant| variant.splits())?;
            return parts.parse().ok().filter(|parts| PARTS.contains(parts)).map(|parts| Self::Split(variant, parts));
        }
        Self::all().find(|algorithm| algorithm.name() == name)
    }

    /// The values that the environment variable `GPU_RESNET_CONV2D` may have: a kernel, or a way around the usual one.
    pub fn switches() -> Vec<&'static str> {
        let ways = WinogradTile::ALL.into_iter().map(WinogradTile::name).chain([BLOCKS]);
        Conv2dVariant::FORWARD.into_iter().map(Conv2dVariant::name).chain(ways).collect()
    }

    /// Every algorithm that is one of its own in this pass, and why the adapter can't run `conv` so, where it can't.
    pub fn candidates(
        adapter: &AdapterReport,
        conv: &Conv2d,
        pass: Conv2dPass,
        precision: Precision,
    ) -> Vec<(Self, Result<(), String>)> {
        let distinct = Self::all().filter(|algorithm| algorithm.in_pass(pass, conv) == *algorithm);
        distinct.map(|algorithm| (algorithm, algorithm.supported(adapter, conv, precision))).collect()
    }

    /// The algorithm whose kernels this one runs for `conv` in `pass`: some share one, and cooperative matrices have none for the
    /// gradient by the input in blocks of pixels.
    fn in_pass(self, pass: Conv2dPass, conv: &Conv2d) -> Self {
        let inner = match self.way(conv) {
            Ok(Way::SpaceToDepth(blocks)) if pass == Conv2dPass::Forward => blocks.inner(),
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

    /// What was tuned for `conv` on maps of `map` (images, height, width) on this adapter, or else [`Self::usual`].
    /// `GPU_RESNET_CONV2D` goes before both.
    ///
    /// Of the batch only the size of a tile depends, so that an image's result is the same to the bit in whatever batch it comes.
    pub fn choose(gpu: &Gpu, pass: Conv2dPass, conv: &Conv2d, map: [usize; 3], precision: Precision) -> Self {
        let [_, height, width] = map;
        let key = || pass.key(conv, [height, width], precision);
        let tuned = if asked().is_empty() { gpu.choice(&key()).and_then(Self::named) } else { None };
        let able = |algorithm: &Self| algorithm.supported(gpu.report(), conv, precision).is_ok();
        let usual = || Some(Self::usual(gpu.report(), pass, conv, map, precision)).filter(able);
        tuned.filter(able).or_else(usual).unwrap_or(Self::Direct(Conv2dVariant::GEMM))
    }

    /// What is expected to be fastest ([`conv2d_policy::choose`]), or what the environment variable `GPU_RESNET_CONV2D` names: a
    /// kernel, or `winograd2`, `winograd4` or `space-to-depth` wherever they fit.
    pub fn usual(
        adapter: &AdapterReport,
        pass: Conv2dPass,
        conv: &Conv2d,
        map: [usize; 3],
        precision: Precision,
    ) -> Self {
        let chosen = match asked().as_str() {
            "" => conv2d_policy::choose(adapter, pass, &Convolution { conv: *conv, map, precision }),
            asked => Self::by_switch(adapter, conv, asked),
        };
        chosen.in_pass(pass, conv)
    }

    /// What `asked`, a value of `GPU_RESNET_CONV2D`, means for `conv`.
    fn by_switch(adapter: &AdapterReport, conv: &Conv2d, asked: &str) -> Self {
        let variant = Conv2dVariant::choose(adapter);
        let fits = |tile: &WinogradTile| !variant.is_cooperative() && Winograd::new(*conv, *tile, variant).is_ok();
        if let Some(tile) = WinogradTile::ALL.into_iter().find(|tile| fits(tile) && tile.name() == asked) {
            return Self::Winograd(tile, variant);
        }
        if asked == BLOCKS && SpaceToDepth::new(*conv, variant).is_ok() {
            return Self::SpaceToDepth(variant);
        }
        variant.into()
    }

    /// The algorithm whose packed weights are the same, one for all sizes of tiles that it can be.
    pub fn packs_like(self, conv: &Conv2d) -> Self {
        match self {
            Self::Direct(variant) | Self::Split(variant, _) => Self::Direct(variant.packs_like(conv)),
            Self::Winograd(tile, variant) => Self::Winograd(tile, variant.packs_like(conv)),
            Self::SpaceToDepth(variant) => Self::SpaceToDepth(variant.packs_like(conv)),
        }
    }

    /// The type of the packed weight for maps of `maps`: Winograd's points are f32.
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

    /// Whether the adapter can run `conv` so; the reason if not.
    pub fn supported(self, adapter: &AdapterReport, conv: &Conv2d, precision: Precision) -> Result<(), String> {
        self.way(conv)?;
        self.variant().supported_in(adapter, self.weight_precision(precision))
    }

    fn way(self, conv: &Conv2d) -> Result<Way, String> {
        Ok(match self {
            Self::Direct(variant) => Way::Direct(variant.into()),
            Self::Split(variant, parts) if variant.splits() && PARTS.contains(&parts) => {
                Way::Direct(Conv2dKernel { variant, parts })
            }
            Self::Split(variant, parts) => {
                return Err(format!("{} does not cut its reduction into {parts} parts", variant.name()));
            }
            Self::Winograd(tile, variant) => Way::Winograd(Winograd::new(*conv, tile, variant)?),
            Self::SpaceToDepth(variant) => Way::SpaceToDepth(SpaceToDepth::new(*conv, variant)?),
        })
    }

    fn forward(self, conv: &Conv2d) -> Result<Way> {
        self.way(conv).map_err(|why| Error::shape("conv2d", why))
    }

    /// Blocks of pixels are for the forward pass alone: gradients are computed directly.
    fn backward(self, conv: &Conv2d) -> Result<Way> {
        Ok(match self.forward(conv)? {
            Way::SpaceToDepth(_) => Way::Direct(self.variant().into()),
            way => way,
        })
    }

    /// An OIHW weight in the order that [`Self::record`] reads.
    pub fn pack_weight(self, conv: &Conv2d, weight: &[f32]) -> Result<Vec<f32>> {
        Ok(match self.forward(conv)? {
            Way::Winograd(winograd) => winograd.pack_weight(weight),
            Way::SpaceToDepth(blocks) => blocks.pack_weight(weight),
            Way::Direct(kernel) => conv.pack_weight(kernel.variant, weight),
        })
    }

    /// The same for [`Self::record_backward_input`].
    pub fn pack_weight_transposed(self, conv: &Conv2d, weight: &[f32]) -> Result<Vec<f32>> {
        Ok(match self.backward(conv)? {
            Way::Winograd(winograd) => winograd.pack_weight_transposed(weight),
            Way::Direct(_) | Way::SpaceToDepth(_) => conv.pack_weight_transposed(self.variant(), weight),
        })
    }

    /// Extents whose product is the length of [`Self::pack_weight`].
    pub fn packed_weight_shape(self, conv: &Conv2d) -> Result<[usize; 5]> {
        Ok(match self.forward(conv)? {
            Way::Winograd(winograd) => winograd.packed_weight_shape(),
            Way::SpaceToDepth(blocks) => blocks.packed_weight_shape(),
            Way::Direct(kernel) => conv.packed_weight_shape(kernel.variant),
        })
    }

    /// The same for [`Self::pack_weight_transposed`].
    pub fn packed_weight_transposed_shape(self, conv: &Conv2d) -> Result<[usize; 5]> {
        Ok(match self.backward(conv)? {
            Way::Winograd(winograd) => winograd.packed_weight_transposed_shape(),
            Way::Direct(_) | Way::SpaceToDepth(_) => conv.packed_weight_transposed_shape(self.variant()),
        })
    }

    /// Appends the packing of a KRSC weight of f32 for [`Self::record`] over maps of `maps`.
    pub fn record_pack(
        self,
        conv: &Conv2d,
        r: &mut Recording,
        label: &str,
        weight: TensorId,
        maps: Precision,
    ) -> Result<TensorId> {
        match self.forward(conv)? {
            Way::Winograd(winograd) => winograd.record_pack(r, label, weight),
            Way::SpaceToDepth(blocks) => blocks.record_pack(r, label, weight, maps),
            Way::Direct(kernel) => conv.record_pack(r, label, kernel.variant, weight, maps),
        }
    }

    /// The same for [`Self::record_backward_input`].
    pub fn record_pack_transposed(
        self,
        conv: &Conv2d,
        r: &mut Recording,
        label: &str,
        weight: TensorId,
        maps: Precision,
    ) -> Result<TensorId> {
        match self.backward(conv)? {
            Way::Winograd(winograd) => winograd.record_pack_transposed(r, label, weight),
            Way::Direct(_) | Way::SpaceToDepth(_) => {
                conv.record_pack_transposed(r, label, self.variant(), weight, maps)
            }
        }
    }

    /// Appends `relu(conv(input) + bias + residual)`; see [`Conv2d::record`].
    pub fn record(
        self,
        conv: &Conv2d,
        r: &mut Recording,
        label: &str,
        input: FeatureMap,
        weight: TensorId,
        epilogue: Epilogue,
    ) -> Result<FeatureMap> {
        match self.forward(conv)? {
            Way::Winograd(winograd) => winograd.record(r, label, input, weight, epilogue),
            Way::SpaceToDepth(blocks) => blocks.record(r, label, input, weight, epilogue),
            Way::Direct(kernel) => conv.record(r, label, kernel, input, weight, epilogue),
        }
    }

    /// Appends the gradient by the input; see [`Conv2d::record_backward_input`].
    #[allow(clippy::too_many_arguments)] // each is one of the operation's own inputs
    pub fn record_backward_input(
        self,
        conv: &Conv2d,
        r: &mut Recording,
        label: &str,
        grad_output: FeatureMap,
        input: [usize; 4],
        weight: TensorId,
        epilogue: GradEpilogue,
    ) -> Result<FeatureMap> {
        match self.backward(conv)? {
            Way::Winograd(winograd) => winograd.record_backward_input(r, label, grad_output, input, weight, epilogue),
            Way::Direct(kernel) => conv.record_backward_input(r, label, kernel, grad_output, input, weight, epilogue),
            Way::SpaceToDepth(_) => {
                conv.record_backward_input(r, label, self.variant(), grad_output, input, weight, epilogue)
            }
        }
    }

    /// Appends the gradient by the weight, in KRSC; see [`Conv2d::record_backward_weight`].
    pub fn record_backward_weight(
        self,
        conv: &Conv2d,
        r: &mut Recording,
        label: &str,
        input: FeatureMap,
        grad_output: FeatureMap,
    ) -> Result<TensorId> {
        match self.backward(conv)? {
            Way::Winograd(winograd) => winograd.record_backward_weight(r, label, input, grad_output),
            Way::Direct(_) | Way::SpaceToDepth(_) => {
                conv.record_backward_weight(r, label, self.variant(), input, grad_output)
            }
        }
    }
}

/// What blocks of pixels are called in names of algorithms.
const BLOCKS: &str = "space-to-depth";
/// What stands between a kernel's name and the number of parts.
const SPLIT: &str = "-split";
/// The numbers of parts that a reduction is cut into.
const PARTS: RangeInclusive<usize> = 2..=MOST_PARTS;
