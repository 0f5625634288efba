//! The tiled kernels that load 64 bits at a time. No adapter of a test machine selects them, so the test runs them in place of the kernels
//! that load vectors.

use std::sync::Arc;

use pollster::FutureExt as _;

use super::attributes::Conv2dAttributes;
use super::host::{self, Array};
use super::{Conv2dAlgorithm, Conv2dVariant, Precision};
use crate::gpu::{AdapterChoice, Gpu, shaders};

/// Input channels of a case whose tiles lie under one tap, and of one whose tiles do not. Each compiles its own pipelines.
const WHOLE: usize = 32;
const PARTIAL: usize = 5;

/// Values from -1 to 1 that are not multiples of a common step, so that another order of the sums changes their bits.
fn array(seed: usize, shape: &[usize]) -> Array {
    let value = |i: usize| ((i * 7919 + seed) % 10_007) as f32 / 5003.5 - 1.0;
    Array::new(shape, (0..shape.iter().product()).map(value).collect()).expect("data of the shape")
}

fn bits(gpu: &Arc<Gpu>, algorithm: Conv2dAlgorithm, precision: Precision, channels: usize) -> Vec<u32> {
    let inputs = [&array(1, &[2, channels, 5, 7]), &array(2, &[40, channels, 3, 3])];
    let attributes = Conv2dAttributes { padding: [1, 1], ..Default::default() };
    let output = host::conv2d_fused((gpu, precision), Some(algorithm), inputs, None, None, false, &attributes);
    let output =
        output.block_on().unwrap_or_else(|error| panic!("{} of {channels} channels: {error}", algorithm.name()));
    output.data.into_iter().map(f32::to_bits).collect()
}

/// Pipelines take most of the time: every kind of kernel is compared once, f32 with both kinds of tiles.
#[test]
fn pairs_give_the_bits_of_vectors() {
    let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
    if !gpu.features().int64 {
        return;
    }
    let variant = Conv2dVariant::GEMM_32X32;
    for (shader, algorithm, precision, cases) in [
        ("conv2d_gemm_32x32", variant.into(), Precision::F32, &[WHOLE, PARTIAL][..]),
        ("conv2d_gemm_32x32_f16", variant.into(), Precision::F16, &[WHOLE]),
        ("conv2d_gemm_32x32_split", Conv2dAlgorithm::Split(variant, 2), Precision::F32, &[PARTIAL]),
    ] {
        if precision == Precision::F16 && !gpu.features().f16 {
            continue;
        }
        let bits = |channels: usize| bits(&gpu, algorithm, precision, channels);
        let vectors: Vec<_> = cases.iter().map(|&channels| bits(channels)).collect();
        assert!(vectors.iter().all(|bits| bits.iter().any(|&bits| bits << 1 != 0)), "{shader}: all zeros");
        let pairs = shaders::find(&format!("{shader}_pairs")).expect("a form of it");
        gpu.substitute(shader, Some(pairs.source.to_string()));
        let found: Vec<_> = cases.iter().map(|&channels| bits(channels)).collect();
        assert!(found == vectors, "{shader}: other bits");
        // Proves that the form ran: without one of its products the bits differ.
        let broken = pairs.source.replace("sums[0][0] = add_products(sums[0][0], x0, w0);", "");
        assert_ne!(broken, pairs.source.to_string(), "{shader}: the product is not in its text");
        gpu.substitute(shader, Some(broken));
        assert!(bits(cases[0]) != vectors[0], "{shader}: the form did not run");
    }
}
