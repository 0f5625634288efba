//! Split reductions and tile sizes: which of them may change the bits of a result.

use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::attributes::Conv2dAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::ops::linear::LinearKernel;
use gpu_resnet::ops::{Conv2dAlgorithm, Conv2dVariant, MOST_PARTS, Precision};
use gpu_resnet::reference::compare;
use pollster::FutureExt as _;

use crate::support::{adapters, array, refused, tensor};

/// The kernels that software drivers compile fastest.
const TILES: [Conv2dVariant; 2] = [Conv2dVariant::GEMM_32X32, Conv2dVariant::GEMM_64X64];
/// Images, channels, and outputs, on maps of 5x7: pixels of several images lie in one tile.
const N: usize = 8;
const C: usize = 24;
const K: usize = 40;

fn attributes() -> Conv2dAttributes {
    Conv2dAttributes { padding: [1, 1], ..Default::default() }
}

fn algorithm(variant: Conv2dVariant, parts: usize) -> Conv2dAlgorithm {
    if parts == 1 { variant.into() } else { Conv2dAlgorithm::Split(variant, parts) }
}

/// The first image of a batch.
fn first(array: &Array) -> Array {
    let mut shape = array.shape.clone();
    shape[0] = 1;
    let data = array.data[..shape.iter().product()].to_vec();
    Array { shape, data }
}

/// The convolution with bias, residual and ReLU.
fn forward(gpu: &Arc<Gpu>, precision: Precision, algorithm: Conv2dAlgorithm, one: bool) -> Result<Array> {
    let [input, residual] = [("split.input", C), ("split.residual", K)].map(|(name, c)| array(name, &[N, c, 5, 7]));
    let (weight, bias) = (array("split.weight", &[K, C, 3, 3]), array("split.bias", &[K]));
    let of = |batch: &Array| if one { first(batch) } else { batch.clone() };
    let inputs = [&of(&input), &weight];
    host::conv2d_fused(
        (gpu, precision),
        Some(algorithm),
        inputs,
        Some(&bias),
        Some(&of(&residual)),
        true,
        &attributes(),
    )
    .block_on()
}

/// The input gradient, with a residual gradient added, through a ReLU.
fn by_input(gpu: &Arc<Gpu>, algorithm: Conv2dAlgorithm, one: bool) -> Result<Array> {
    let names = [("split.input", C), ("split.grad", K), ("split.residual", C)];
    let [input, grad, residual] = names.map(|(name, c)| array(name, &[N, c, 5, 7]));
    let weight = array("split.weight", &[K, C, 3, 3]);
    let of = |batch: &Array| if one { first(batch) } else { batch.clone() };
    let (inputs, end) = ([&of(&input), &weight], (Some(&of(&residual)), true));
    let gradients =
        host::conv2d_backward_fused(gpu, Some(algorithm), inputs, &of(&grad), end, &attributes()).block_on()?;
    Ok(gradients.grad_input)
}

/// Every tile size gives the same bits, and so does an image by itself. A split reduction differs from the whole one by rounding only.
fn check(gpu: &Gpu, what: &str, closer_than: f64, run: impl Fn(Conv2dAlgorithm, bool) -> Result<Array>) {
    let name = &gpu.report().name;
    let run = |variant, parts, one| {
        let found = run(algorithm(variant, parts), one);
        found.unwrap_or_else(|error| panic!("{what} by {} on {name}: {error}", algorithm(variant, parts).name()))
    };
    let whole = run(TILES[0], 1, false);
    let mut seen = vec![whole.clone()];
    for parts in [1, 3] {
        let expected = run(TILES[0], parts, false);
        for variant in TILES {
            let named = algorithm(variant, parts).name();
            assert_eq!(run(variant, parts, false), expected, "{what} by {named} on {name}");
            assert_eq!(run(variant, parts, true), first(&expected), "{what} of one image by {named} on {name}");
        }
        let apart = compare(&expected.data, &tensor(&whole).data);
        assert!(apart.nmse <= closer_than, "{what} in {parts} parts on {name}: {apart:?}");
        seen.push(expected);
    }
    assert_ne!(seen[0], seen[2], "{what} on {name}: the reduction was not split");
}

#[test]
fn neither_tiles_nor_batches_change_bits() {
    for gpu in adapters().iter() {
        check(gpu, "f32", 1e-12, |algorithm, one| forward(gpu, Precision::F32, algorithm, one));
        check(gpu, "input gradient", 1e-12, |algorithm, one| by_input(gpu, algorithm, one));
        if gpu.features().f16 {
            // Sums that differ in their last bits may be rounded to either neighbour.
            check(gpu, "f16", 1e-7, |algorithm, one| forward(gpu, Precision::F16, algorithm, one));
        }
    }
}

#[test]
fn parts_that_a_kernel_has_not_are_refused() {
    for gpu in adapters().iter() {
        for (variant, parts) in [
            (Conv2dVariant::Register, 2),
            (Conv2dVariant::GEMM, MOST_PARTS + 1),
            (Conv2dVariant::GEMM_32X32, 0),
            (Conv2dVariant::GEMM_32X32, MOST_PARTS + 1),
        ] {
            let algorithm = Conv2dAlgorithm::Split(variant, parts);
            refused(gpu, &algorithm.name(), forward(gpu, Precision::F32, algorithm, true));
            assert_eq!(Conv2dAlgorithm::named(&algorithm.name()), None);
        }
    }
    let split = Conv2dAlgorithm::Split(Conv2dVariant::GEMM_64X64, 4);
    assert_eq!(split.name(), "gemm-64x64-split4");
    assert_eq!(Conv2dAlgorithm::named(&split.name()), Some(split));
    for none in ["gemm-64x64-split", "gemm-64x64-splitx", "-split4", "winograd4-gemm-64x64-split4"] {
        assert_eq!(Conv2dAlgorithm::named(none), None, "{none}");
    }
}

/// A row of the classifier has the same bits whatever the other rows are.
#[test]
fn rows_do_not_change_each_other() {
    let (input, weight) = (array("split.rows", &[9, 700]), array("split.classes", &[1000, 700]));
    let bias = array("split.class_bias", &[1000]);
    for gpu in adapters().iter() {
        for kernel in [LinearKernel::Sliced, LinearKernel::Strided] {
            let run =
                |input: &Array| host::linear_by(gpu, kernel, input, &weight, Some(&bias)).block_on().expect("a result");
            assert_eq!(run(&first(&input)), first(&run(&input)), "{kernel:?} on {}", gpu.report().name);
        }
    }
}
