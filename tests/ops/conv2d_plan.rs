//! How the convolutions of ResNet-50 are spread over the cores of made-up GPUs: what the policy chooses is recorded, and the workgroups of
//! the recordings are counted. Nothing runs.

use gpu_resnet::gpu::{AdapterReport, Recording};
use gpu_resnet::model::{Architecture, ConvBn, conv_op};
use gpu_resnet::ops::conv2d_policy::{Convolution, choose};
use gpu_resnet::ops::{
    Conv2d, Conv2dAlgorithm, Conv2dPass, ConvOperands, ConvPlan, Epilogue, MapShape, Precision, RecordMaps,
};

use crate::classes::adapter;

const AMD: u32 = 0x1002;
const NVIDIA: u32 = 0x10de;

/// The convolutions of ResNet-50 at 224 x 224, and the height and width of the input of each.
fn layers() -> Vec<(Conv2d, usize)> {
    let layers = Architecture::named("resnet50").expect("ResNet-50").layers();
    let mut all = Vec::new();
    let mut add = |conv: &ConvBn, side: usize| {
        all.push((conv_op(conv), side));
        conv.output_size(side).expect("a map")
    };
    add(&layers.stem.conv, 224);
    let mut side = 56;
    for block in layers.blocks() {
        if let Some(conv) = block.projection() {
            add(conv, side);
        }
        for conv in &block.convs {
            side = add(conv, side);
        }
    }
    all
}

/// One dispatch that multiplies: its workgroups, and the multiply-adds of each, those of tiles that pass the map's end among them.
struct Product {
    workgroups: u64,
    work: u64,
}

/// What `adapter` makes of one layer for `images`.
fn product(adapter: &AdapterReport, conv: Conv2d, side: usize, images: usize) -> (Conv2dAlgorithm, Product) {
    let convolution = Convolution { conv, map: [images, side, side], precision: Precision::F32 };
    let algorithm = choose(adapter, Conv2dPass::Forward, &convolution);
    let mut r = Recording::new();
    let weight = r.temporary("weight", 16);
    let input = r.map("input", MapShape::new([images, conv.in_channels, side, side]).expect("a shape"));
    let plan = ConvPlan::new(&conv, Conv2dPass::Forward, algorithm, input.shape).expect("a convolution of ResNet-50");
    let operands = ConvOperands::Forward { input, weight, epilogue: Epilogue::default() };
    plan.record(&mut r, "conv", operands).expect("a recording");
    let mut products = r.dispatches().iter().filter(|d| d.kernel.shader_name().starts_with("conv2d_gemm"));
    let dispatch = products.next().expect("a tiled kernel");
    assert!(products.next().is_none(), "two products");
    let (pixels, channels) = algorithm.variant().tile();
    let (steps, parts) = match algorithm {
        Conv2dAlgorithm::Winograd(..) => (conv.in_channels, 1),
        Conv2dAlgorithm::Split(_, parts) => (conv.in_channels * conv.kernel[0] * conv.kernel[1], parts),
        _ => (conv.in_channels.next_multiple_of(4) * conv.kernel[0] * conv.kernel[1], 1),
    };
    // Tiles take 16 steps at a time, and so do parts.
    let steps = steps.div_ceil(16).div_ceil(parts) * 16;
    let workgroups = dispatch.workgroups.iter().map(|&n| u64::from(n)).product();
    (algorithm, Product { workgroups, work: (pixels * channels * steps) as u64 })
}

/// How many times longer all convolutions take than with their work spread evenly over the cores:
///
///   slowdown = sum over layers of ceil(workgroups / cores) * work
///              / (sum over layers of workgroups * work / cores)
///
/// A core is taken to do one workgroup after another, each at the core's full rate; a layer ends before the next begins; `work` is the number of
/// multiply-adds of a workgroup. What a tile computes past the map's end counts as work, and so does not count as waste: the
/// model is of cores that idle. Winograd's transforms and the sums of parts are left out.
fn slowdown(adapter: &AdapterReport, images: usize) -> f64 {
    let cores = u64::from(adapter.cores.count);
    let (mut time, mut work) = (0, 0);
    for (conv, side) in layers() {
        let (_, product) = product(adapter, conv, side, images);
        time += product.workgroups.div_ceil(cores) * product.work;
        work += product.workgroups * product.work;
    }
    (time * cores) as f64 / work as f64
}

#[test]
fn few_cores_idle() {
    for vendor in [AMD, NVIDIA] {
        for cores in [20, 60, 132] {
            for (images, most) in [(1, 1.3), (8, 1.1)] {
                let slowdown = slowdown(&adapter(vendor, cores), images);
                println!("{vendor:#x}: {cores} cores, {images} images: {slowdown:.3}");
                assert!((1.0..=most).contains(&slowdown), "{cores} cores, {images} images: {slowdown:.3}");
            }
        }
    }
}

/// The negative control: the model calls one tile size without split reductions slow, as it was before there was a policy.
#[test]
fn one_size_of_tile_is_slow() {
    let cores = 60;
    let (mut time, mut work) = (0, 0);
    for (conv, side) in layers() {
        let (p, q) = conv.output_shape([1, conv.in_channels, side, side]).map(|[_, _, p, q]| (p, q)).expect("a map");
        let workgroups = ((p * q).div_ceil(64) * conv.out_channels.div_ceil(64)) as u64;
        let steps = (conv.kernel[0] * conv.kernel[1] * conv.in_channels.next_multiple_of(4)) as u64;
        time += workgroups.div_ceil(cores) * steps;
        work += workgroups * steps;
    }
    let slowdown = (time * cores) as f64 / work as f64;
    assert!((2.5..3.1).contains(&slowdown), "{slowdown:.3}");
}

#[test]
fn one_image_gives_every_core_of_a_large_gpu_something_to_do() {
    for cores in [96, 132] {
        for (conv, side) in layers() {
            let (algorithm, product) = product(&adapter(AMD, cores), conv, side, 1);
            let workgroups = product.workgroups;
            assert!(workgroups >= 96, "{conv:?} on {side}x{side} by {}: {workgroups} workgroups", algorithm.name());
        }
    }
}

/// An image's bits depend on the algorithm and on the number of parts. Both are the same for every batch.
#[test]
fn the_batch_changes_the_tile_alone() {
    let mut tiles = 0;
    // RDNA 2, GCN (whose subgroups are of 64 alone), NVIDIA, Intel, Apple, Adreno, Mali, and one that is in no table.
    let families = [(AMD, 32), (AMD, 64), (NVIDIA, 32), (0x8086, 8), (0x106b, 32), (0x5143, 64), (0x13b5, 16), (0, 32)];
    for (cores, (vendor, lanes)) in [8, 20, 60, 96, 132].into_iter().flat_map(|c| families.map(|family| (c, family))) {
        for (conv, side) in layers() {
            let adapter = AdapterReport { subgroup_size: [lanes, 64], ..adapter(vendor, cores) };
            let of = |images| product(&adapter, conv, side, images).0;
            let one = of(1);
            for images in [2, 3, 8, 32, 256] {
                let many = of(images);
                tiles += usize::from(one.variant() != many.variant());
                match (one, many) {
                    (Conv2dAlgorithm::Direct(_), Conv2dAlgorithm::Direct(_))
                    | (Conv2dAlgorithm::Winograd(..), Conv2dAlgorithm::Winograd(..)) => {}
                    (Conv2dAlgorithm::Split(_, a), Conv2dAlgorithm::Split(_, b)) if a == b => {}
                    _ => panic!("{conv:?}: {} for one image, {} for {images}", one.name(), many.name()),
                }
            }
        }
    }
    assert!(tiles > 100, "the tile follows the batch: {tiles}");
}

/// Weight gradients: workgroups for every core of a large GPU, and partial results that are bounded.
#[test]
fn weight_gradients_keep_large_gpus_busy_in_bounded_memory() {
    for images in [8, 32] {
        for (conv, side) in layers() {
            let convolution = Convolution { conv, map: [images, side, side], precision: Precision::F32 };
            let algorithm = choose(&adapter(NVIDIA, 132), Conv2dPass::ByWeight, &convolution);
            let mut r = Recording::new();
            let shape = [images, conv.in_channels, side, side];
            let output = conv.output_shape(shape).expect("a map");
            let mut map = |shape| r.map("map", MapShape::new(shape).expect("a shape"));
            let (x, g) = (map(shape), map(output));
            let plan = ConvPlan::new(&conv, Conv2dPass::ByWeight, algorithm, x.shape).expect("a gradient");
            plan.record(&mut r, "conv", ConvOperands::WeightGradient { input: x, grad_output: g })
                .expect("a recording");
            let first = &r.dispatches()[0];
            let workgroups: u32 = first.workgroups.iter().product();
            assert!((132..6_000).contains(&workgroups), "{conv:?} on {side}x{side}: {workgroups} workgroups");
            let partials = r.bytes(first.tensors[2]);
            let weight = conv.weight_len4() as u64 * 16;
            assert!(partials <= (64 << 20) + 16 * weight, "{conv:?} on {side}x{side}: {partials} bytes");
            // Few enough are added in one step, more in two, so that none adds too many.
            let sums = r.dispatches().iter().filter(|d| d.kernel.shader_name() == "sum_partials").count();
            assert_eq!(sums, [1, 64].iter().filter(|most| partials / weight > **most).count());
        }
    }
}
