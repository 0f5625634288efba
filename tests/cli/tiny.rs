//! A network that is small enough for a run of the program to take a moment.

use std::path::PathBuf;

use gpu_resnet::model::Architecture;
use gpu_resnet::weights::{self, NamedTensor, RawTensor, Weights};

use super::support::Sandbox;

/// `tests/golden/one_output.safetensors`.
pub fn golden() -> Weights {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/one_output.safetensors");
    Weights::open(&path).unwrap_or_else(|e| panic!("the reference is missing; run tests/golden/make.py: {e}"))
}

/// Writes the reference's network with so many classes and hashed weights, `change`d; its path. It takes 32 x 32 pixels.
pub fn network(here: &Sandbox, name: &str, classes: usize, change: impl Fn(&str, &mut [f32])) -> String {
    let architecture = golden().metadata("gpu_resnet.architecture").unwrap().to_owned();
    let architecture = Architecture::from_json(&architecture).unwrap().with_classes(classes);
    let hashed = weights::hash_weights(&architecture).unwrap();
    let specs = architecture.parameters();
    let tensors = specs.iter().map(|spec| {
        let mut values = hashed.tensor_f32(&spec.name).unwrap().into_owned();
        change(&spec.name, &mut values);
        NamedTensor::new(spec.name.as_str(), &spec.shape, values)
    });
    let metadata = weights::metadata(&architecture, None, None).unwrap();
    let path = here.path(name);
    weights::save(&path, &tensors.collect::<Vec<_>>(), &metadata).unwrap();
    path.display().to_string()
}

/// Writes `input` [N, 3, 16, 16] for `infer --tensor`.
pub fn input(here: &Sandbox, name: &str, values: &[f32]) {
    let shape = [values.len() / (3 * 16 * 16), 3, 16, 16];
    let tensor = NamedTensor::new("input", &shape, values);
    weights::write_safetensors(here.path(name), &[RawTensor::from(&tensor)], &Default::default()).unwrap();
}
