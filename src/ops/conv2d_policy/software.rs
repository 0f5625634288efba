//! Software drivers, which run kernels on the processor.

use std::sync::LazyLock;

use super::Convolution;
use crate::gpu::AdapterReport;
use crate::ops::{Conv2d, Conv2dAlgorithm, Conv2dVariant, SpaceToDepth, Winograd, WinogradTile};

/// The first kernel in this processor's order that the driver can run.
pub fn preferred(adapter: &AdapterReport) -> Option<Conv2dVariant> {
    let order: &[Conv2dVariant] = if has_avx512() && *INSTRUCTION_CACHE >= OCT_CODE {
        &[Conv2dVariant::SUBGROUP_OCT, Conv2dVariant::SUBGROUP, Conv2dVariant::SUBGROUP4]
    } else if has_avx512() {
        &[Conv2dVariant::SUBGROUP_QUAD, Conv2dVariant::SUBGROUP, Conv2dVariant::SUBGROUP4]
    } else {
        &[Conv2dVariant::SUBGROUP_WIDE, Conv2dVariant::SUBGROUP, Conv2dVariant::SUBGROUP4]
    };
    order.iter().copied().find(|variant| variant.supported(adapter).is_ok())
}

/// This kernel, with Winograd or space-to-depth around it if an estimate says that it pays. The batch plays no part.
pub fn choose(adapter: &AdapterReport, convolution: &Convolution) -> Conv2dAlgorithm {
    let Convolution { conv, map: [_, height, width], .. } = convolution;
    let variant = preferred(adapter).unwrap_or(Conv2dVariant::Register);
    // Kernels that read channels one by one or in pairs waste nothing on three channels, so they gain nothing (lavapipe,
    // Mesa 25.0.7 and 22.3.6, 2026-11-25). Neither does `subgroup-quad` (25.0.7, 2026-11-27).
    let by_fours = matches!(variant, Conv2dVariant::Register | Conv2dVariant::SUBGROUP4);
    let blocks = SpaceToDepth::new(*conv, variant);
    if by_fours && blocks.is_ok_and(|blocks| stem_cost(&blocks.inner()) < stem_cost(conv)) {
        return Conv2dAlgorithm::SpaceToDepth(variant);
    }
    let direct = 2.0;
    let tiles = WinogradTile::ALL.into_iter().filter(|tile| Winograd::new(*conv, *tile, variant).is_ok());
    let costs = tiles.map(|tile| (tile, winograd_cost(conv, tile, variant, [*height, *width])));
    match costs.min_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|(_, cost)| *cost < direct) {
        Some((tile, _)) => Conv2dAlgorithm::Winograd(tile, variant),
        None => variant.into(),
    }
}

/// Estimated time of a convolution of few channels per output value, in multiply-adds; a tap costs two more. With this estimate 7x7 taps of
/// stride 2 use space-to-depth, and 3x3 taps do not.
fn stem_cost(conv: &Conv2d) -> usize {
    conv.kernel.iter().product::<usize>() * (conv.in_channels.next_multiple_of(4) + 2)
}

/// Winograd's time as a fraction of the direct kernel's, summed over a batch of one and a batch of eight. On lavapipe a multiplication at
/// the points takes a fifth longer than in a direct convolution, and the transforms take as long as 47 channels of it (Mesa 25.0.7,
/// 2026-11-24).
fn winograd_cost(conv: &Conv2d, tile: WinogradTile, variant: Conv2dVariant, [height, width]: [usize; 2]) -> f64 {
    let (side, _) = variant.tile();
    let channels = conv.in_channels.min(conv.out_channels) as f64;
    let [rows, columns] = [height, width].map(|extent| extent.div_ceil(tile.outputs()));
    let ratio = |images: usize| {
        let tiles = (images * rows * columns).next_multiple_of(side) * tile.points();
        let direct = (images * height * width).next_multiple_of(side) * conv.kernel.iter().product::<usize>();
        tiles as f64 * 1.2 * (1.0 + 47.0 / channels) / direct as f64
    };
    ratio(1) + ratio(8)
}

/// Whether the processor has 256-bit vectors in AVX-512's encoding. Without it, four channels at a time were slower than two on Zen 3.
pub fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Bytes of machine code of the loop of `subgroup-oct`, rounded up.
pub const OCT_CODE: u64 = 48 << 10;

/// Bytes of a core's instruction cache; 0 if unknown.
pub static INSTRUCTION_CACHE: LazyLock<u64> = LazyLock::new(|| {
    let of = |index: u32, what: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{what}");
        std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
    };
    let size = (0..4).find(|&i| of(i, "type") == "Instruction" && of(i, "level") == "1").map(|i| of(i, "size"));
    let kilobytes =
        size.as_deref().and_then(|size| size.strip_suffix('K')).and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::attributes::Conv2dAttributes;

    #[test]
    fn winograd_pays_where_maps_and_channels_are_large() {
        let cost = |tile, channels, side| {
            let attributes = Conv2dAttributes { padding: [1, 1], ..Default::default() };
            let conv = Conv2d { attributes, in_channels: channels, out_channels: channels, kernel: [3, 3] };
            winograd_cost(&conv, tile, Conv2dVariant::SUBGROUP, [side, side])
        };
        let (two, four) = (WinogradTile::Two, WinogradTile::Four);
        assert!(cost(four, 64, 56) < 1.5 && cost(four, 128, 28) < 1.2);
        assert!(cost(two, 512, 7) < 2.0 && cost(four, 512, 7) > 2.0);
        assert!(cost(four, 4, 56) > 2.0);
    }

    #[test]
    fn blocks_of_pixels_pay_for_large_kernels() {
        let pays = |kernel, stride| {
            let attributes = Conv2dAttributes { stride: [stride; 2], padding: [kernel / 2; 2], ..Default::default() };
            let conv = Conv2d { attributes, in_channels: 3, out_channels: 64, kernel: [kernel; 2] };
            SpaceToDepth::new(conv, Conv2dVariant::SUBGROUP).is_ok_and(|b| stem_cost(&b.inner()) < stem_cost(&conv))
        };
        assert!(pays(7, 2) && pays(4, 4) && !pays(3, 2) && !pays(3, 1));
    }
}
