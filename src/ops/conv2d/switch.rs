//! A request for one kernel or algorithm wherever it applies, for example to bisect a driver bug.

use super::algorithm::BLOCKS;
use super::winograd::WinogradTile;
use crate::gpu::{AdapterReport, Gpu};
use crate::ops::conv2d_variant::Conv2dVariant;

/// A kernel, or an algorithm around the kernel that suits the adapter best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conv2dSwitch {
    Kernel(Conv2dVariant),
    Winograd(WinogradTile),
    SpaceToDepth,
}

impl Conv2dSwitch {
    /// All of them, kernels first.
    pub fn all() -> impl Iterator<Item = Self> {
        let ways = WinogradTile::ALL.into_iter().map(Self::Winograd).chain([Self::SpaceToDepth]);
        Conv2dVariant::FORWARD.into_iter().map(Self::Kernel).chain(ways)
    }

    /// `gemm`, `register`, …, `winograd2`, `winograd4`, `space-to-depth`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel(variant) => variant.name(),
            Self::Winograd(tile) => tile.name(),
            Self::SpaceToDepth => BLOCKS,
        }
    }

    /// The switch with this [`Self::name`]; case is ignored.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|switch| switch.name() == name.to_lowercase())
    }

    /// Whether the adapter can run it; the reason if not.
    pub fn supported(self, adapter: &AdapterReport) -> Result<(), String> {
        match self {
            Self::Kernel(variant) => variant.supported(adapter),
            Self::Winograd(_) | Self::SpaceToDepth => Ok(()),
        }
    }
}

/// What an algorithm is chosen for: an adapter and its options.
#[derive(Debug, Clone, Copy)]
pub struct ConvTarget<'a> {
    pub adapter: &'a AdapterReport,
    pub switch: Option<Conv2dSwitch>,
}

impl<'a> From<&'a AdapterReport> for ConvTarget<'a> {
    /// The adapter with default options.
    fn from(adapter: &'a AdapterReport) -> Self {
        Self { adapter, switch: None }
    }
}

impl<'a> From<&'a Gpu> for ConvTarget<'a> {
    /// The opened adapter with its options.
    fn from(gpu: &'a Gpu) -> Self {
        Self { adapter: gpu.report(), switch: gpu.options().conv2d.and_then(Conv2dSwitch::named) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_has_a_name_of_its_own() {
        let all: Vec<Conv2dSwitch> = Conv2dSwitch::all().collect();
        assert_eq!(all.len(), Conv2dVariant::FORWARD.len() + 3);
        for switch in all {
            assert_eq!(Conv2dSwitch::named(switch.name()), Some(switch));
            assert_eq!(Conv2dSwitch::named(&switch.name().to_uppercase()), Some(switch));
        }
        for unknown in ["", "foo", " register", "winograd2-subgroup", "gemm-32x32-split4"] {
            assert_eq!(Conv2dSwitch::named(unknown), None, "{unknown}");
        }
    }
}
