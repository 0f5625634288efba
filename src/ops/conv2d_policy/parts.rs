//! The number of parts of a split reduction on hardware.

use super::Convolution;
use crate::gpu::AdapterReport;
use crate::ops::{Conv2dPass, MOST_PARTS, Precision};

/// Workgroups of the smallest tile that one image should give: as many as large GPUs have cores.
const ENOUGH: usize = 128;
/// Pixels and channels of the smallest tile that every vendor uses.
const SMALLEST: usize = 32;
/// The least products of a part. Storing and adding its sum takes the time of about 100 products if a core computes 25 per byte
/// of memory.
const SHORTEST: usize = 256;
/// Whole reductions keep GPUs with fewer cores busy.
const FEW_CORES: u32 = 16;

/// Parts of the reduction of one output in `pass`. The number depends on the layer and its map alone, so that an image's bits do not
/// depend on its batch. Whether the adapter has enough cores is decided elsewhere.
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

/// Whether an input gradient can be split. With a stride, its phases already give enough workgroups; blocks of pixels and f16 maps have no
/// kernels for it.
fn cuts_by_input(Convolution { conv, precision, .. }: &Convolution) -> bool {
    conv.attributes.stride == [1, 1] && conv.blocks().is_none() && *precision == Precision::F32
}
