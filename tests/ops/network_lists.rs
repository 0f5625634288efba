//! The dispatches of every built-in architecture on made-up adapters ([`super::dispatch_lists`]).

use std::borrow::Cow;
use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::{AdapterChoice, DeviceOptions, Gpu, Recording};
use gpu_resnet::model::{
    Architecture, Network, PassOptions, Recompute, StemKind, TensorSource, TrainableNetwork, record_evaluation,
    record_pass,
};
use gpu_resnet::ops::{MapShape, Precision};
use pollster::FutureExt as _;

use super::dispatch_lists::List;
use crate::classes::classes;

/// Zeros for every tensor: no list depends on values.
struct Zeros(Architecture);

impl TensorSource for Zeros {
    fn tensor(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let spec = self.0.parameters().into_iter().find(|spec| spec.name == name).expect("a parameter");
        Ok(Cow::Owned(vec![0.0; spec.len()]))
    }
}

/// Lists of `network`'s forward pass.
fn inference(network: &Network, side: usize, images: usize) -> List {
    let (mut r, mut list) = (Recording::new(), List::default());
    let shape = MapShape::new([images, 3, side, side]).expect("a shape").stored(network.precision());
    let input = shape.at(r.temporary("input", 0));
    network.record_sizes(&mut r, input).expect("a forward pass");
    list.add(&r);
    list
}

/// Lists of a pass over a network that is trained.
fn pass(network: &TrainableNetwork, side: usize, precision: Precision, options: Option<PassOptions>) -> List {
    let (mut r, mut list) = (Recording::new(), List::default());
    let (tensor, targets) = (r.temporary("input", 0), r.temporary("targets", 0));
    let input = MapShape::new([4, 3, side, side]).expect("a shape").stored(precision).at(tensor);
    match options {
        None => record_evaluation(network, &mut r, input, targets).map(drop).expect("an evaluation"),
        Some(options) => {
            let loss_scale = (precision == Precision::F16).then(|| r.temporary("loss scale", 0));
            record_pass(network, &mut r, input, targets, &PassOptions { loss_scale, ..options })
                .map(drop)
                .expect("a pass");
        }
    }
    list.add(&r);
    list
}

/// The kinds of passes: the head alone, the last stage and the head, everything, with running statistics, with less memory.
fn passes(architecture: &Architecture) -> Vec<(&'static str, Option<PassOptions>)> {
    let stages = architecture.layers().stages.len();
    let all = PassOptions::default();
    vec![
        ("evaluation", None),
        ("head", Some(PassOptions { train_from: stages + 1, bn_training: false, ..all })),
        ("last stage", Some(PassOptions { train_from: stages, bn_training: false, ..all })),
        ("all", Some(all)),
        ("all by recomputing", Some(PassOptions { recompute: Recompute::Blocks, ..all })),
        ("gradients", Some(PassOptions { grad_input: true, block_gradients: true, bn_training: false, ..all })),
    ]
}

/// Calls `write` with every list and its name.
pub fn write(write: &mut dyn FnMut(String, List)) {
    for (class, report) in classes() {
        let options = DeviceOptions { as_adapter: Some(Box::new(report)), ..Default::default() };
        let gpu = Gpu::open_with(&AdapterChoice::default(), &options)
            .block_on()
            .expect("an adapter; scripts/setup.sh installs one");
        for name in Architecture::names() {
            lists_of(&gpu, class, name, write);
        }
    }
}

fn lists_of(gpu: &Arc<Gpu>, class: &str, name: &str, write: &mut dyn FnMut(String, List)) {
    let architecture = Architecture::named(name).expect("an architecture");
    let source = Zeros(architecture.clone());
    let side = if architecture.stem.kind == StemKind::Imagenet { 224 } else { 32 };
    let precisions = Precision::ALL.into_iter().filter(|precision| precision.supported(gpu.report()).is_ok());
    for precision in precisions.clone() {
        let network = Network::with_precision(gpu, &architecture, &source, precision).block_on().expect("a network");
        for images in [1, 8] {
            let list = inference(&network, side, images);
            write(format!("{name} on {class}, {}, inference of {images}", precision.name()), list);
        }
    }
    let network = TrainableNetwork::new(gpu, &architecture, &source).expect("a network");
    for precision in precisions {
        for (kind, options) in passes(&architecture) {
            write(format!("{name} on {class}, {}, {kind}", precision.name()), pass(&network, side, precision, options));
        }
    }
}
