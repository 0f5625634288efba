//! GPUs.

use super::parts::parts;
use super::{Convolution, Vendor};
use crate::gpu::AdapterReport;
use crate::ops::{Conv2d, Conv2dAlgorithm, Conv2dPass, Conv2dVariant, Precision, Winograd, WinogradTile};

/// The least pixels of a map, and channels of input and output together, for which Winograd pays. MLX uses F(6x6) from 4,096 pixels
/// of the batch and 256 channels, both multiples of 32 (below that it was up to 7 times slower, PR 1534). ncnn uses F(4x4) for any
/// 3x3 convolution of 16 channels whose padded map is wider than 18. The choice must not depend on the batch, so these
/// limits satisfy both rules for a batch of six.
const WINOGRAD_PIXELS: usize = 28 * 28;
const WINOGRAD_CHANNELS: usize = 256;
const WINOGRAD_MULTIPLE: usize = 32;

/// The least channels of a group for cooperative matrices. Fewer leave most of a tile empty.
const MATRIX_CHANNELS: usize = 16;

/// The work of one layer for one dispatch of a tiled kernel.
#[derive(Debug, Clone, Copy)]
struct Work {
    /// Pixels of one phase, and the number of phases. Each phase is tiled separately.
    pixels: usize,
    phases: usize,
    channels: usize,
    /// Groups (for Winograd, points) times parts.
    groups: usize,
}

/// The tiles of the adapter's vendor that the adapter can run, with their rates.
pub fn tiles(adapter: &AdapterReport) -> impl Iterator<Item = (Conv2dVariant, f64)> {
    let tiles = Vendor::of(adapter).preferences().tiles.iter().copied();
    tiles.filter(|(variant, _)| variant.supported(adapter).is_ok())
}

/// These tiles, and cooperative matrices if they compute f16.
pub fn variants(adapter: &AdapterReport) -> Vec<Conv2dVariant> {
    let matrices = has_matrices(adapter).then_some(Conv2dVariant::COOPERATIVE_64X64);
    tiles(adapter).map(|(variant, _)| variant).chain(matrices).collect()
}

/// Whether cooperative matrices are expected to be the fastest for f16.
fn has_matrices(adapter: &AdapterReport) -> bool {
    Vendor::of(adapter).preferences().matrices
        && Conv2dVariant::COOPERATIVE_64X64.supported_in(adapter, Precision::F16).is_ok()
}

/// The algorithm that is expected to be fastest.
pub fn choose(adapter: &AdapterReport, pass: Conv2dPass, convolution: &Convolution) -> Conv2dAlgorithm {
    if pass == Conv2dPass::ByWeight {
        return Conv2dVariant::GEMM.into();
    }
    if pass == Conv2dPass::Forward && takes_matrices(adapter, convolution) {
        return Conv2dVariant::COOPERATIVE_64X64.into();
    }
    if takes_winograd(adapter, convolution) {
        return winograd(adapter, pass, convolution);
    }
    direct(adapter, pass, convolution).remove(0)
}

/// The two or three algorithms that may be fastest, the most likely first.
pub fn candidates(adapter: &AdapterReport, pass: Conv2dPass, convolution: &Convolution) -> Vec<Conv2dAlgorithm> {
    const MOST: usize = 3;
    let mut all = vec![choose(adapter, pass, convolution)];
    let mut more = Vec::new();
    if pass != Conv2dPass::ByWeight {
        let direct = direct(adapter, pass, convolution);
        let fits = Winograd::new(convolution.conv, WinogradTile::Four, Conv2dVariant::GEMM).is_ok();
        let worth = Vendor::of(adapter).preferences().winograd;
        let by_points = fits && worth && convolution.precision == Precision::F32;
        more.extend(direct.first().copied());
        more.extend(by_points.then(|| winograd(adapter, pass, convolution)));
        more.extend(Vendor::of(adapter).preferences().also.map(Conv2dAlgorithm::from));
        more.extend(direct.into_iter().skip(1));
    }
    for algorithm in more {
        if !all.contains(&algorithm) && all.len() < MOST {
            all.push(algorithm);
        }
    }
    all
}

/// Whether cooperative matrices compute it. They do so in f16 only; the sums are f32 as in every kernel.
fn takes_matrices(adapter: &AdapterReport, convolution: &Convolution) -> bool {
    let Convolution { conv, precision, .. } = convolution;
    let [_, group_in, ..] = conv.weight_shape();
    let group_out = conv.out_channels / conv.attributes.groups.max(1);
    *precision == Precision::F16 && group_in.min(group_out) >= MATRIX_CHANNELS && has_matrices(adapter)
}

/// Whether Winograd computes it. This depends on the vendor, the channels and the size of the map.
fn takes_winograd(adapter: &AdapterReport, convolution: &Convolution) -> bool {
    let Convolution { conv, map: [_, height, width], precision } = convolution;
    let channels = [conv.in_channels, conv.out_channels];
    Vendor::of(adapter).preferences().winograd
        && *precision == Precision::F32
        && Winograd::new(*conv, WinogradTile::Four, Conv2dVariant::GEMM).is_ok()
        && height * width >= WINOGRAD_PIXELS
        && channels.iter().sum::<usize>() >= WINOGRAD_CHANNELS
        && channels.iter().all(|count| count.is_multiple_of(WINOGRAD_MULTIPLE))
}

/// F(4x4, 3x3) around the tile that suits the product at its points.
fn winograd(adapter: &AdapterReport, pass: Conv2dPass, convolution: &Convolution) -> Conv2dAlgorithm {
    let tile = WinogradTile::Four;
    let Convolution { conv, map: [images, height, width], .. } = convolution;
    let output = conv.output_shape([*images, conv.in_channels, *height, *width]);
    let [_, _, p, q] = output.unwrap_or([*images, 1, *height, *width]);
    let (made, channels) = match pass {
        Conv2dPass::ByInput => ([*height, *width], conv.in_channels),
        _ => ([p, q], conv.out_channels),
    };
    let [rows, columns] = made.map(|extent| extent.div_ceil(tile.outputs()));
    let work = Work { pixels: images * rows * columns, phases: 1, channels, groups: tile.points() };
    Conv2dAlgorithm::Winograd(tile, by_time(adapter, work).remove(0))
}

/// Direct convolution with each tile, the fastest first. All give the same bits.
fn direct(adapter: &AdapterReport, pass: Conv2dPass, convolution: &Convolution) -> Vec<Conv2dAlgorithm> {
    let parts = parts(adapter, pass, convolution);
    let of = |variant: Conv2dVariant| match parts {
        1 => variant.into(),
        parts if variant.splits() => Conv2dAlgorithm::Split(variant, parts),
        _ => variant.into(),
    };
    by_time(adapter, work(pass, convolution, parts)).into_iter().map(of).collect()
}

fn work(pass: Conv2dPass, convolution: &Convolution, parts: usize) -> Work {
    let Convolution { conv, map: [images, height, width], .. } = *convolution;
    let Conv2d { attributes, in_channels, out_channels, .. } = conv;
    let groups = attributes.groups.max(1);
    let output = conv.output_shape([images, in_channels, height, width]);
    let [_, _, p, q] = output.unwrap_or([images, out_channels, 1, 1]);
    let [rows, columns] = attributes.stride.map(|stride| stride.max(1));
    let (pixels, phases, channels) = match pass {
        Conv2dPass::ByInput => {
            (images * height.div_ceil(rows) * width.div_ceil(columns), rows * columns, in_channels / groups)
        }
        _ => (images * p * q, 1, out_channels / groups),
    };
    Work { pixels, phases, channels, groups: groups * parts }
}

/// The adapter's tiles by estimated time: the number of rounds (workgroups per core, rounded up) times the products of a tile divided by its
/// rate. The length of the reduction is the same for all tiles. Among equals the vendor's order decides. Tiles that leave cores without
/// a workgroup come last, because idle cores also leave memory bandwidth unused.
fn by_time(adapter: &AdapterReport, work: Work) -> Vec<Conv2dVariant> {
    let cores = adapter.cores.count.max(1) as usize;
    let time = |(variant, rate): (Conv2dVariant, f64)| {
        let (pixels, channels) = variant.tile();
        let tiles = work.phases * work.pixels.div_ceil(pixels) * work.channels.div_ceil(channels) * work.groups;
        let time = tiles.div_ceil(cores) as f64 * (pixels * channels) as f64 / rate;
        ((tiles < cores, time), variant)
    };
    let mut all: Vec<_> = tiles(adapter).map(time).collect();
    all.sort_by(|((idle, a), _), ((other, b), _)| idle.cmp(other).then(a.total_cmp(b)));
    let mut all: Vec<_> = all.into_iter().map(|(_, variant)| variant).collect();
    if all.is_empty() {
        all.push(Conv2dVariant::Register);
    }
    all
}
