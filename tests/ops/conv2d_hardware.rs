//! What is chosen for hardware, run on a software driver that passes for a GPU of many cores: a whole network with reductions in parts.

use std::sync::Arc;

use gpu_resnet::gpu::{AdapterChoice, DeviceOptions, Gpu, Plan, Recording};
use gpu_resnet::model::{Architecture, Network};
use gpu_resnet::ops::{MapShape, Precision, RecordMaps, pack_nhwc, unpack_rows};
use gpu_resnet::reference::compare;
use gpu_resnet::weights::{hash_input, hash_weights};
use pollster::FutureExt as _;

const SIDE: usize = 32;
const CLASSES: usize = 10;
const IMAGES: usize = 3;

/// Logits of the first `images` images, and the kernels that made them.
fn logits(gpu: &Arc<Gpu>, architecture: &Architecture, precision: Precision, images: usize) -> (Vec<f32>, String) {
    let weights = hash_weights(architecture).expect("weights");
    let network = Network::with_precision(gpu, architecture, &weights, precision).block_on().expect("a network");
    let shape = [images, 3, SIDE, SIDE];
    let pixels = &hash_input("hardware.images", IMAGES * 3 * SIDE * SIDE)[..images * 3 * SIDE * SIDE];
    let mut r = Recording::new();
    let input = r.kept_map("input", MapShape::new(shape).expect("a shape").stored(precision));
    let output = network.record(&mut r, input).expect("a recording").logits;
    r.keep(output);
    let kernels: Vec<&str> = r.dispatches().iter().map(|dispatch| dispatch.kernel.shader_name()).collect();
    let kernels = kernels.join(" ");
    let mut plan = Plan::new(gpu, &r).expect("a plan");
    plan.write(input.tensor, &precision.words(&pack_nhwc(pixels, shape, 1))).expect("an upload");
    plan.run().block_on().expect("a run");
    let rows = plan.read(output, images * CLASSES.next_multiple_of(4)).block_on().expect("a read-back");
    (unpack_rows(&rows, [images, CLASSES]), kernels)
}

#[test]
fn an_image_has_the_same_bits_in_any_batch() {
    let architecture = Architecture::named("resnet20").expect("an architecture");
    let usual = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
    let options = DeviceOptions { as_cores: Some(96), ..Default::default() };
    let large = Gpu::open_with(&AdapterChoice::default(), &options).block_on().expect("the same adapter");
    for precision in Precision::ALL.into_iter().filter(|precision| precision.supported(large.report()).is_ok()) {
        let (expected, _) = logits(&usual, &architecture, precision, IMAGES);
        let (batch, kernels) = logits(&large, &architecture, precision, IMAGES);
        for kernel in ["conv2d_gemm_", "_split", "conv2d_sum_parts", "linear_strided"] {
            assert!(kernels.contains(kernel), "{kernel} is not among {kernels}");
        }
        let (one, _) = logits(&large, &architecture, precision, 1);
        assert_eq!(one, batch[..CLASSES], "{}", precision.name());
        let apart = compare(&batch, &expected.iter().map(|&value| value.into()).collect::<Vec<f64>>());
        let most = if precision == Precision::F32 { 1e-11 } else { 1e-5 };
        assert!(apart.nmse < most, "{}: {apart:?}", precision.name());
    }
}
