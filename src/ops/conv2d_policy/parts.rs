//! Into how many parts reductions are cut on hardware.

use super::Convolution;
use crate::gpu::AdapterReport;
use crate::ops::{Conv2dPass, MOST_PARTS, Precision};

/// Workgroups of the smallest tile that one image should make: as many as large GPUs have cores.
const ENOUGH: usize = 128;
/// Pixels and channels of the smallest tile that all vendors are given.
const SMALLEST: usize = 32;
/// Products that a part has at least: storing and adding its sum takes the time of about 100 where a core makes 25
/// for a byte of memory.
const SHORTEST: usize = 256;
/// GPUs with fewer cores are kept busy by whole reductions.
const FEW_CORES: u32 = 16;

/// Parts of the reduction of one output, in `pass`. By the layer and its map alone, so that an image's bits don't depend on the
/// batch that it comes in; that the adapter has many cores is its own affair.
pub fn parts(adapter: &AdapterReport, pass: Conv2dPass, convolution: &Convolution) -> usize {
    let Convolution { conv, map: [_, height, width], .. } = *convolution;
    let groups = conv.attributes.groups.max(1);
    let input = [1, conv.in_channels, height, width];
    let Ok([_, _, p, q]) = conv.output_shape(input) else { return 1 };
    let [k, c, r, s] = conv.weight_shape();
    let (pixels, channels, terms) = match pass {
        Conv2dPass::Forward => (p * q, k / groups, c * r * s),
        Conv2dPass::ByInput if cuts_by_input(convolution) => (height * width, c, k / groups * r * s),
        Conv2dPass::ByInput | Conv2dPass::ByWeight => return 1,
    };
    if adapter.cores.count <= FEW_CORES {
        return 1;
    }
    let tiles = groups * pixels.div_ceil(SMALLEST) * channels.div_ceil(SMALLEST);
    ENOUGH.div_ceil(tiles.max(1)).min(terms / SHORTEST).clamp(1, MOST_PARTS)
}

/// Whether a gradient by the input can be cut: with a stride its phases make workgroups enough, and blocks of pixels and maps of f16 have
/// no kernels for it.
fn cuts_by_input(Convolution { conv, precision, .. }: &Convolution) -> bool {
    conv.attributes.stride == [1, 1] && conv.blocks().is_none() && *precision == Precision::F32
}
