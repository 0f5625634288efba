//! The tiled kernels add products in the same order for every tile size, so that the tile may follow the batch size.

use std::sync::Arc;

use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::Conv2dVariant;
use gpu_resnet::ops::attributes::Conv2dAttributes;
use gpu_resnet::ops::host;
use pollster::FutureExt as _;

use crate::support::{adapters, array};

/// Input, output channels, kernel, stride, padding and groups.
type Case = ([usize; 4], usize, [usize; 2], usize, usize, usize);

/// One case whose tiles of the reduction are whole and under one tap, and one whose are not. There are only two, since each case compiles
/// new pipelines for every tile size; `verify`'s list has all shapes.
const CASES: [Case; 2] = [([1, 32, 9, 8], 32, [3, 2], 2, 1, 2), ([1, 5, 8, 17], 7, [3, 3], 2, 1, 1)];

fn tiled() -> impl Iterator<Item = Conv2dVariant> {
    Conv2dVariant::ALL.into_iter().filter(|variant| variant.name().starts_with("gemm"))
}

/// The bits of the output and of the input gradient.
fn bits(gpu: &Arc<Gpu>, variant: Conv2dVariant, case: usize) -> [Vec<u32>; 2] {
    let (input, outputs, kernel, stride, padding, groups) = CASES[case];
    let attributes = Conv2dAttributes { stride: [stride; 2], padding: [padding; 2], groups, ..Default::default() };
    let shape = [outputs, input[1] / groups, kernel[0], kernel[1]];
    let output = attributes.output_shape(input, shape).expect("a case that fits");
    let (maps, weight) = (array("conv2d.input", &input), array("conv2d.weight", &shape));
    let (bias, residual) = (array("conv2d.bias", &[outputs]), array("conv2d.residual", &output));
    let inputs = [&maps, &weight];
    let (more, relu) = (Some(&residual), case.is_multiple_of(2));
    let forward = host::conv2d_fused(gpu, Some(variant.into()), inputs, Some(&bias), more, relu, &attributes);
    let ends = (Some(&maps), relu);
    let backward = host::conv2d_backward_fused(gpu, Some(variant.into()), inputs, &residual, ends, &attributes);
    let bits = |data: Vec<f32>| data.into_iter().map(f32::to_bits).collect();
    let forward = forward.block_on().unwrap_or_else(|error| panic!("{} {case}: {error}", variant.name()));
    let backward = backward.block_on().unwrap_or_else(|error| panic!("{} {case}: {error}", variant.name()));
    [bits(forward.data), bits(backward.grad_input.data)]
}

#[test]
fn every_tile_gives_the_same_bits() {
    assert!(tiled().count() >= 8, "there are fewer tiles than there were");
    let gpus: Vec<_> = adapters().all().collect();
    for gpu in adapters().iter() {
        // If there are several adapters, each has one of the cases: compiling the pipelines of both takes a software driver half a minute.
        let number = gpus.iter().position(|other| Arc::ptr_eq(other, gpu)).expect("one of them");
        for (case, line) in CASES.iter().enumerate().filter(|(case, _)| gpus.len() == 1 || case % 2 == number % 2) {
            let expected = bits(gpu, Conv2dVariant::GEMM, case);
            assert!(expected.iter().all(|bits| bits.iter().any(|&bits| bits << 1 != 0)), "{line:?}: all zeros");
            for variant in tiled().filter(|variant| variant.supported(gpu.report()).is_ok()) {
                let found = bits(gpu, variant, case);
                assert!(found == expected, "{} {line:?}: other bits", variant.name());
            }
        }
    }
}
