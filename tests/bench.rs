//! Measurements on every usable adapter. How fast anything is can't be asserted; that it was measured can.

#[path = "common/adapters.rs"]
mod adapters;

use gpu_resnet::bench::{Mode, Options, Peaks, Run, TrainPart, convolutions, infer, peaks, train_all, train_head};
use gpu_resnet::gpu::{AdapterChoice, Gpu};
use gpu_resnet::model::{Architecture, BlockKind, Network, StemKind, TrainableNetwork};
use gpu_resnet::weights::hash_weights;
use pollster::FutureExt as _;

fn check(run: &Run, what: &str, options: &Options) {
    let positive = [run.ms_per_image, run.images_per_second, run.gflops, run.fraction_of_peak, run.submits];
    assert!(positive.iter().all(|x| x.is_finite() && *x > 0.0), "{what}: {run:?}");
    assert!((run.ms_per_image * run.images_per_second / 1e3 - 1.0).abs() < 1e-9, "{what}: {run:?}");
    assert_eq!((run.batch_size, run.image_size), (options.batch_size, options.image_size));
    assert_eq!(Some(run.iterations), options.iterations);
    let kernels = &run.profile.as_ref().unwrap_or_else(|| panic!("{what}: no profile")).kernels;
    assert_eq!(kernels.len(), run.dispatches, "{what}");
    assert!(kernels.iter().all(|k| k.ms >= 0.0 && k.fraction_of_roofline.is_finite() && !k.label.is_empty()));
}

#[test]
fn every_adapter_is_measured() {
    let architecture = Architecture::new(BlockKind::Basic, &[1, 1, 1], StemKind::Cifar).unwrap().with_classes(10);
    let weights = hash_weights(&architecture).unwrap();
    let options = Options { batch_size: 2, image_size: 16, iterations: Some(2), profile: true };
    for gpu in adapters::open_all() {
        let name = &gpu.report().name;
        let peaks = peaks(&gpu).block_on().unwrap();
        assert!([peaks.gflops, peaks.gbps].iter().all(|x| x.is_finite() && *x > 0.0), "{name}: {peaks:?}");

        let folded = Network::new(&gpu, &architecture, &weights).block_on().unwrap();
        let inference = infer(&folded, &peaks, &options).unwrap();
        check(&inference, name, &options);
        assert_eq!((inference.mode, inference.train), (Mode::Infer, None));

        let network = TrainableNetwork::new(&gpu, &architecture, &weights).unwrap();
        let step = train_all(&network, &folded, &peaks, &options).unwrap();
        check(&step, name, &options);
        assert_eq!((step.mode, step.train), (Mode::Train, Some(TrainPart::All)));
        let parts = step.parts.expect("the parts of a step");
        assert!(parts.forward_ms_per_image > 0.0 && parts.inference_ms_per_image > 0.0, "{parts:?}");
        let sum = parts.forward_ms_per_image + parts.backward_ms_per_image;
        assert!((sum - step.ms_per_image).abs() < 1e-6 * sum, "{parts:?} of {}", step.ms_per_image);
        // Forward, two gradients, the weights and gradients beside the activations.
        assert!(step.dispatches > 2 * inference.dispatches && step.peak_bytes > inference.peak_bytes, "{step:?}");

        let head = train_head(&gpu, &architecture, &peaks, &options).unwrap();
        check(&head, name, &options);
        assert_eq!((head.mode, head.train), (Mode::Train, Some(TrainPart::Head)));

        for run in [&inference, &step, &head] {
            assert!((1..=run.activation_bytes).contains(&run.largest_cut_bytes), "{run:?}");
        }
        let times = convolutions(&gpu, &architecture, 1, 16, 1).unwrap();
        assert_eq!(times.iter().map(|t| t.layers).sum::<usize>(), architecture.layers().convs().count());
        assert!(
            times.iter().all(|t| t.gflop > 0.0 && [t.forward_ms, t.input_ms, t.weight_ms].iter().all(|ms| *ms >= 0.0))
        );
    }
}

/// What activations take is near what no assignment can go below; without sharing it would be several times that.
#[test]
fn activations_share_memory() {
    let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
    let architecture = Architecture::named("resnet50").unwrap();
    let network = Network::new(&gpu, &architecture, &hash_weights(&architecture).unwrap()).block_on().unwrap();
    let options = Options { batch_size: 1, image_size: 224, iterations: Some(1), profile: false };
    let run = infer(&network, &Peaks { gflops: 1.0, gbps: 1.0 }, &options).unwrap();
    let (taken, cut) = (run.activation_bytes as f64, run.largest_cut_bytes as f64);
    assert!((cut..=1.2 * cut).contains(&taken), "{taken} bytes of activations, {cut} at the largest cut");
}
