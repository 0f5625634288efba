//! A run that nothing is kept of, as in a page: the same head, and the bytes of its network.

use gpu_resnet::predict::{NetworkSource, Use};
use gpu_resnet::runs::model_bytes;
use gpu_resnet::runtime::Runtime;
use gpu_resnet::train::{Fit, Head, HeadShape, Interrupt, RunConfig, RunDir, Settings, fit, fit_async};
use gpu_resnet::weights::{Overrides, Weights, describe};
use pollster::FutureExt as _;

use super::support::{Data, adapter};

#[test]
fn a_run_without_a_folder_gives_the_same_head() {
    let (data, gpu, interrupt) = (Data::small(), adapter(), Interrupt::new());
    let job = Fit {
        gpu: &gpu,
        shape: data.shape,
        train: data.train(),
        val: Some(data.val()),
        resume: false,
        interrupt: &interrupt,
    };
    let config =
        || RunConfig { training: Settings { seed: 3, epochs: Some(3), ..Settings::default() }, ..RunConfig::default() };
    let (folder, mut kept, mut dropped) = (tempfile::tempdir().unwrap(), config(), config());
    let run = RunDir::create(folder.path(), &kept).unwrap();
    let with = fit(&job, &mut kept, &run, &mut |_| {}).unwrap();
    let without = fit_async(&job, &mut dropped, None, &mut |_| {}).block_on().unwrap();
    assert_eq!((&with.head, with.epoch, &with.choice), (&without.head, without.epoch, &without.choice));
    assert_eq!(with.epochs.len(), without.epochs.len());
    assert_ne!(with.head, Head::random(data.shape, 3), "nothing was trained");
}

#[test]
fn a_network_with_another_head_is_a_file_in_memory() {
    let source = NetworkSource { weights: Some("resnet20-digits".into()), ..NetworkSource::default() };
    let network = source.load(&Runtime::default(), Use::BACKBONE).unwrap();
    let shape = HeadShape { features: network.architecture.features(), classes: 3 };
    let (head, classes) = (Head::random(shape, 1), ["a", "b", "ü"].map(String::from));
    let bytes = model_bytes(&network, &head, &classes).unwrap();
    let weights = Weights::from_bytes(bytes, "model.safetensors").unwrap();
    let described = describe(&weights, &Overrides::default()).unwrap();
    assert_eq!((described.architecture.classes, described.labels), (3, Some(classes.to_vec())));
    assert_eq!(described.preprocess, network.preprocess);
    assert_eq!(weights.tensor_f32("fc.weight").unwrap(), head.weight);
    assert_eq!(weights.tensor_f32("fc.bias").unwrap(), head.bias);
    let first = "conv1.weight";
    assert_eq!(weights.tensor_f32(first).unwrap(), network.weights.tensor_f32(first).unwrap());
    let broken = Head { weight: vec![f32::NAN; head.weight.len()], ..head };
    assert!(model_bytes(&network, &broken, &classes).is_err(), "values that are no numbers were written");
}
