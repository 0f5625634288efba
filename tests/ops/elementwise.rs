use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{self, Tensor};

use crate::support::{Verdicts, adapters, array, array_with, deterministic, passes, refused, tensor};

type Kernel = fn(&Arc<Gpu>, [&Array; 2]) -> Result<Array>;
type Twin = fn([&Tensor; 2]) -> Tensor;

const OPERATIONS: [(&str, Kernel, Twin); 3] = [
    ("relu", |gpu, [input, _]| host::relu(gpu, input), |[input, _]| reference::relu(input)),
    ("add", |gpu, [a, b]| host::add(gpu, a, b), |[a, b]| reference::add(a, b)),
    ("add_relu", |gpu, [a, b]| host::add_relu(gpu, a, b), |[a, b]| reference::add_relu(a, b)),
];

fn check(op: &str, inputs: &[[Array; 2]]) {
    let (_, kernel, twin) = OPERATIONS.iter().find(|(name, ..)| *name == op).expect("an operation of that name");
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for [input, other] in inputs {
        let expected = twin([&tensor(input), &tensor(other)]);
        for gpu in adapters.iter() {
            verdicts.compare(gpu, &format!("{op} {:?}", input.shape), kernel(gpu, [input, other]), &expected);
        }
    }
    drop(adapters);
    verdicts.finish(op);
}

fn inputs(shape: &[usize]) -> [Array; 2] {
    [array("elementwise.input", shape), array("elementwise.other", shape)]
}

#[test]
fn shapes() {
    let shapes: [&[usize]; 9] =
        [&[1], &[2], &[5], &[255], &[257], &[1, 3, 5, 7], &[2, 9, 1, 1], &[2, 64, 28, 28], &[3, 1, 2, 1, 3]];
    for (op, ..) in OPERATIONS {
        check(op, &shapes.map(inputs));
    }
    check("relu", &[[array("scalar", &[]), array("scalar", &[])]]);
}

#[test]
fn more_workgroups_than_one_dimension_holds() {
    // 65,535 workgroups hold 16,776,960 values.
    for op in ["relu", "add_relu"] {
        check(op, &[inputs(&[16_776_960 + 1029])]);
    }
}

#[test]
fn special_values_are_pytorchs() {
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, f32::MIN, 1e-30, -1e-30];
    let (n, shape) = (special.len(), [special.len() * special.len()]);
    let input = array_with("special", &shape, |i, _| special[i / n]);
    let other = array_with("special", &shape, |i, _| special[i % n]);
    for (op, ..) in OPERATIONS {
        check(op, &[[input.clone(), other.clone()]]);
    }
}

/// Denormals may be kept or flushed to zero, nothing else.
#[test]
fn denormals_are_kept_or_flushed() {
    let input = array_with("denormal", &[64], |i, _| f32::from_bits(1 + 131_071 * i as u32));
    for gpu in adapters().iter() {
        let found = host::relu(gpu, &input).expect("a result");
        for (found, input) in found.data.iter().zip(&input.data) {
            assert!(found == input || *found == 0.0, "{found:e} of {input:e} on {}", gpu.report().name);
        }
    }
}

#[test]
fn other_operations_are_caught() {
    let [input, other] = inputs(&[2, 5, 7]);
    let tensors = [&tensor(&input), &tensor(&other)];
    for gpu in adapters().iter() {
        for (op, kernel, _) in OPERATIONS {
            let found = kernel(gpu, [&input, &other]).expect("a result");
            for (name, _, twin) in OPERATIONS {
                assert_eq!(passes(&found.data, &twin(tensors).data), name == op, "{op} for {name}");
            }
        }
    }
}

#[test]
fn the_same_bits_every_time() {
    let [input, other] = inputs(&[3, 7, 11]);
    deterministic(|gpu| OPERATIONS.map(|(_, kernel, _)| kernel(gpu, [&input, &other]).expect("a result")).to_vec());
}

#[test]
fn impossible_shapes_are_refused() {
    let [input, other] = inputs(&[2, 3, 4]);
    let turned = Array { shape: vec![4, 3, 2], data: other.data.clone() };
    let empty = Array { shape: vec![2, 0], data: Vec::new() };
    let lying = Array { shape: vec![usize::MAX, 2], data: vec![0.0; 6] };
    for gpu in adapters().iter() {
        refused(gpu, "other shapes", host::add(gpu, &input, &turned));
        refused(gpu, "other shapes", host::add_relu(gpu, &input, &empty));
        refused(gpu, "no values", host::relu(gpu, &empty));
        refused(gpu, "a lying shape", host::relu(gpu, &lying));
        refused(gpu, "a lying shape", host::add(gpu, &lying, &lying));
    }
}
