use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{self, Tensor};

use crate::support::{Verdicts, adapters, array, array_with, deterministic, passes, refused, tensor};

type Kernel = fn(&Arc<Gpu>, [&Array; 3]) -> Result<Array>;
type Twin = fn([&Tensor; 3]) -> Tensor;

/// Of input, other and grad_output.
const OPERATIONS: [(&str, Kernel, Twin); 2] = [
    ("relu", |gpu, [x, _, g]| host::relu_backward(gpu, x, g), |[x, _, g]| reference::relu_backward(x, g)),
    (
        "add_relu",
        |gpu, [x, y, g]| host::add_relu_backward(gpu, x, y, g),
        |[x, y, g]| reference::add_relu_backward(x, y, g).0,
    ),
];

fn check(inputs: &[[Array; 3]]) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for inputs in inputs {
        let tensors = inputs.each_ref().map(tensor);
        for (op, kernel, twin) in OPERATIONS {
            let expected = twin(tensors.each_ref());
            for gpu in adapters.iter() {
                let what = format!("{op} {:?}", inputs[0].shape);
                verdicts.compare(gpu, &what, kernel(gpu, inputs.each_ref()), &expected);
            }
        }
    }
    drop(adapters);
    verdicts.finish("elementwise_backward");
}

fn inputs(shape: &[usize]) -> [Array; 3] {
    ["input", "other", "grad_output"].map(|name| array(&format!("elementwise.{name}"), shape))
}

#[test]
fn shapes() {
    let shapes: [&[usize]; 9] =
        [&[1], &[2], &[5], &[255], &[257], &[1, 3, 5, 7], &[2, 9, 1, 1], &[2, 64, 28, 28], &[3, 1, 2, 1, 3]];
    check(&shapes.map(inputs));
    check(&[inputs(&[])]);
}

#[test]
fn more_workgroups_than_one_dimension_holds() {
    // 65,535 workgroups hold 16,776,960 values.
    check(&[inputs(&[16_776_960 + 1029])]);
}

#[test]
fn special_values_are_pytorchs() {
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, f32::MIN, 1e-30, -1e-30];
    let (n, shape) = (special.len(), [special.len() * special.len() * special.len()]);
    check(&[[1, n, n * n].map(|step| array_with("special", &shape, |i, _| special[i / step % n]))]);
}

#[test]
fn other_operations_are_caught() {
    let arrays = inputs(&[2, 5, 7]);
    let tensors = arrays.each_ref().map(tensor);
    for gpu in adapters().iter() {
        for (op, kernel, _) in OPERATIONS {
            let found = kernel(gpu, arrays.each_ref()).expect("a result");
            for (name, _, twin) in OPERATIONS {
                assert_eq!(passes(&found.data, &twin(tensors.each_ref()).data), name == op, "{op} for {name}");
            }
            assert!(!passes(&found.data, &tensors[2].data), "{op} stops no gradient");
        }
    }
}

#[test]
fn the_same_bits_every_time() {
    let arrays = inputs(&[3, 7, 11]);
    deterministic(|gpu| OPERATIONS.map(|(_, kernel, _)| kernel(gpu, arrays.each_ref()).expect("a result")).to_vec());
}

#[test]
fn impossible_shapes_are_refused() {
    let [input, other, grad] = inputs(&[2, 3, 4]);
    let turned = Array { shape: vec![4, 3, 2], data: other.data.clone() };
    let empty = Array { shape: vec![2, 0], data: Vec::new() };
    let lying = Array { shape: vec![usize::MAX, 2], data: vec![0.0; 6] };
    for gpu in adapters().iter() {
        refused(gpu, "another gradient", host::relu_backward(gpu, &input, &turned));
        refused(gpu, "no values", host::relu_backward(gpu, &empty, &empty));
        refused(gpu, "a lying shape", host::relu_backward(gpu, &lying, &lying));
        refused(gpu, "another summand", host::add_relu_backward(gpu, &input, &turned, &grad));
        refused(gpu, "another gradient", host::add_relu_backward(gpu, &input, &other, &turned));
    }
}
