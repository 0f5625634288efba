//! Which algorithm a plan takes: what was asked for, else what was tuned, else what the policy expects to be fastest.

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
    /// What was tuned for `conv` on maps of `map` (images, height, width) on this adapter, or else [`Self::usual`]. What the
    /// device's options ask for goes before both.
    ///
    /// Of the batch only the size of a tile depends, so that an image's result is the same to the bit in whatever batch it comes.
    pub fn choose(gpu: &Gpu, pass: Conv2dPass, conv: &Conv2d, map: [usize; 3], precision: Precision) -> Self {
        let target = ConvTarget::from(gpu);
        let [_, height, width] = map;
        let key = || pass.key(conv, [height, width], precision);
        let tuned = if target.switch.is_none() { gpu.choice(&key()).and_then(Self::named) } else { None };
        let able = |algorithm: &Self| algorithm.supported(gpu.report(), conv, precision).is_ok();
        let usual = || Some(Self::usual(target, pass, conv, map, precision)).filter(able);
        tuned.filter(able).or_else(usual).unwrap_or(Self::Direct(Conv2dVariant::GEMM))
    }

    /// What is expected to be fastest ([`conv2d_policy::choose`]), or what was asked for: a kernel, or a way wherever it fits.
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

    /// What `switch` means for `conv`.
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
    /// The kernel that suits the adapter best, or the one that was asked for, if the adapter can run it.
    pub fn choose<'a>(target: impl Into<ConvTarget<'a>>) -> Self {
        let ConvTarget { adapter, switch } = target.into();
        match switch {
            Some(Conv2dSwitch::Kernel(variant)) if variant.supported(adapter).is_ok() => variant,
            _ => conv2d_policy::variants(adapter)[0],
        }
    }

    /// Those that plans take where nothing was tuned: [`Self::choose`], what follows the size of a batch, and what stands in
    /// for them.
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
