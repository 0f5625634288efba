//! Which algorithm a plan takes: what was asked for, else what was tuned, else what the policy expects to be fastest.

use super::algorithm::{BLOCKS, Conv2dAlgorithm};
use super::depth::SpaceToDepth;
use super::pass::Conv2dPass;
use super::spec::Conv2d;
use super::winograd::{Winograd, WinogradTile};
use crate::gpu::{AdapterReport, Gpu};
use crate::ops::Precision;
use crate::ops::conv2d_policy::{self, Convolution};
use crate::ops::conv2d_variant::{Conv2dVariant, asked};

impl Conv2dAlgorithm {
    /// The values that the environment variable `GPU_RESNET_CONV2D` may have: a kernel, or a way around the usual one.
    pub fn switches() -> Vec<&'static str> {
        let ways = WinogradTile::ALL.into_iter().map(WinogradTile::name).chain([BLOCKS]);
        Conv2dVariant::FORWARD.into_iter().map(Conv2dVariant::name).chain(ways).collect()
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
}

impl Conv2dVariant {
    /// The variant for this class of device, or the one that the environment variable `GPU_RESNET_CONV2D` names
    /// (`gemm`, `register`, …), to bisect a driver bug.
    pub fn choose(adapter: &AdapterReport) -> Self {
        let asked = asked();
        let named = Self::FORWARD.into_iter().find(|v| v.name() == asked && v.supported(adapter).is_ok());
        named.unwrap_or_else(|| conv2d_policy::variants(adapter)[0])
    }

    /// Those that plans take on `adapter` where nothing was tuned: [`Self::choose`], what follows the size of a batch, and what stands in
    /// for them.
    pub fn usual(adapter: &AdapterReport) -> Vec<Self> {
        let chosen = Self::choose(adapter);
        let mut all = conv2d_policy::variants(adapter);
        if all[0] != chosen {
            all = vec![chosen];
        }
        if !all.contains(&chosen.by_weight()) {
            all.push(chosen.by_weight());
        }
        all
    }
}
