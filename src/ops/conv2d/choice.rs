//! Which algorithm a plan uses: the requested one, else the tuned one, else the one that the policy expects to be fastest.

use super::algorithm::Conv2dAlgorithm;
use super::depth::SpaceToDepth;
use super::pass::Conv2dPass;
use super::spec::Conv2d;
use super::switch::{Conv2dSwitch, ConvTarget};
use super::winograd::Winograd;
use crate::gpu::Gpu;
use crate::ops::Precision;
use crate::ops::conv2d_policy::{self, Convolution};
use crate::ops::conv2d_variant::Conv2dVariant;

impl Conv2dAlgorithm {
    /// The tuned algorithm for `conv` on maps of `map` (images, height, width) on this adapter, or else [`Self::usual`]. The device's
    /// options override both.
    ///
    /// Only the size of a tile depends on the batch, so that an image's bits are the same in any batch.
    pub fn choose(gpu: &Gpu, pass: Conv2dPass, conv: &Conv2d, map: [usize; 3], precision: Precision) -> Self {
        let target = ConvTarget::from(gpu);
        let [_, height, width] = map;
        let key = || pass.key(conv, [height, width], precision);
        let tuned = if target.switch.is_none() { gpu.choice(&key()).and_then(Self::named) } else { None };
        let able = |algorithm: &Self| algorithm.supported(gpu.report(), conv, precision).is_ok();
        let usual = || Some(Self::usual(target, pass, conv, map, precision)).filter(able);
        tuned.filter(able).or_else(usual).unwrap_or(Self::Direct(Conv2dVariant::GEMM))
    }

    /// The algorithm that is expected to be fastest ([`conv2d_policy::choose`]), or the requested one wherever it applies.
    pub fn usual<'a>(
        target: impl Into<ConvTarget<'a>>,
        pass: Conv2dPass,
        conv: &Conv2d,
        map: [usize; 3],
        precision: Precision,
    ) -> Self {
        let target = target.into();
        let chosen = match target.switch {
            None => conv2d_policy::choose(target.adapter, pass, &Convolution { conv: *conv, map, precision }),
            Some(switch) => Self::by_switch(target, conv, switch),
        };
        chosen.in_pass(pass, conv)
    }

    /// The algorithm that `switch` requests for `conv`.
    fn by_switch(target: ConvTarget, conv: &Conv2d, switch: Conv2dSwitch) -> Self {
        let variant = Conv2dVariant::choose(target);
        match switch {
            Conv2dSwitch::Winograd(tile)
                if !variant.is_cooperative() && Winograd::new(*conv, tile, variant).is_ok() =>
            {
                Self::Winograd(tile, variant)
            }
            Conv2dSwitch::SpaceToDepth if SpaceToDepth::new(*conv, variant).is_ok() => Self::SpaceToDepth(variant),
            _ => variant.into(),
        }
    }
}

impl Conv2dVariant {
    /// The requested kernel if the adapter can run it, else the one that suits the adapter best.
    pub fn choose<'a>(target: impl Into<ConvTarget<'a>>) -> Self {
        let ConvTarget { adapter, switch } = target.into();
        match switch {
            Some(Conv2dSwitch::Kernel(variant)) if variant.supported(adapter).is_ok() => variant,
            _ => conv2d_policy::variants(adapter)[0],
        }
    }

    /// The algorithms that plans use without tuning: those of [`Self::choose`] for every batch size, and their substitutes.
    pub fn usual<'a>(target: impl Into<ConvTarget<'a>>) -> Vec<Self> {
        let target = target.into();
        let chosen = Self::choose(target);
        let mut all = conv2d_policy::variants(target.adapter);
        if all[0] != chosen {
            all = vec![chosen];
        }
        if !all.contains(&chosen.by_weight()) {
            all.push(chosen.by_weight());
        }
        all
    }
}
