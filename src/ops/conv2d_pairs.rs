//! The tiled kernels that load 64 bits at a time: no driver that takes them has a GPU here, so they run in the place of those that load vectors.

use std::sync::Arc;

use pollster::FutureExt as _;

use super::attributes::Conv2dAttributes;
use super::host::{self, Array};
use super::{Conv2dAlgorithm, Conv2dVariant, Precision};
use crate::gpu::{AdapterChoice, Gpu, shaders};

/// Channels, kernel and padding: tiles that lie under one tap, and others. There are few, since each takes pipelines of its own.
const CASES: [(usize, usize, usize); 2] = [(32, 3, 1), (5, 3, 1)];

/// Values from -1 to 1 that differ from one to the next; none is a small integer's multiple, so that the order of sums shows.
fn array(seed: usize, shape: &[usize]) -> Array {
    let value = |i: usize| ((i * 7919 + seed) % 10_007) as f32 / 5003.5 - 1.0;
    Array::new(shape, (0..shape.iter().product()).map(value).collect()).expect("data of the shape")
}

fn bits(gpu: &Arc<Gpu>, algorithm: Conv2dAlgorithm, precision: Precision) -> Vec<Vec<u32>> {
    let bits = |(channels, kernel, padding): (usize, usize, usize)| {
        let inputs = [&array(1, &[2, channels, 5, 7]), &array(2, &[40, channels, kernel, kernel])];
        let attributes = Conv2dAttributes { padding: [padding; 2], ..Default::default() };
        let output = host::conv2d_fused((gpu, precision), Some(algorithm), inputs, None, None, false, &attributes);
        let output =
            output.block_on().unwrap_or_else(|error| panic!("{} of {channels} channels: {error}", algorithm.name()));
        output.data.into_iter().map(f32::to_bits).collect()
    };
    CASES.into_iter().map(bits).collect()
}

#[test]
fn pairs_give_the_bits_of_vectors() {
    let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
    if !gpu.features().int64 {
        return;
    }
    let variant = Conv2dVariant::GEMM_32X32;
    for (shader, algorithm, precision) in [
        ("conv2d_gemm_32x32", variant.into(), Precision::F32),
        ("conv2d_gemm_32x32_f16", variant.into(), Precision::F16),
        ("conv2d_gemm_32x32_split", Conv2dAlgorithm::Split(variant, 2), Precision::F32),
    ] {
        if precision == Precision::F16 && !gpu.features().f16 {
            continue;
        }
        let vectors = bits(&gpu, algorithm, precision);
        assert!(vectors.iter().all(|bits| bits.iter().any(|&bits| bits << 1 != 0)), "{shader}: all zeros");
        let pairs = shaders::find(&format!("{shader}_pairs")).expect("a form of it");
        gpu.substitute(shader, Some(pairs.source.to_string()));
        assert!(bits(&gpu, algorithm, precision) == vectors, "{shader}: other bits");
        // That the form ran: without its last product nothing stays the same.
        let broken = pairs.source.replace("(*sums).sums_0_0 = add_products((*sums).sums_0_0, x, w);", "");
        gpu.substitute(shader, Some(broken));
        assert!(bits(&gpu, algorithm, precision) != vectors, "{shader}: the form did not run");
    }
}
