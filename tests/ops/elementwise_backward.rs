use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{self, Tensor};
use pollster::FutureExt as _;

use crate::support::{adapters, array, passes, refused, tensor};

type Kernel = fn(&Arc<Gpu>, [&Array; 3]) -> Result<Array>;
type Twin = fn([&Tensor; 3]) -> Tensor;

/// Of input, other and grad_output.
const OPERATIONS: [(&str, Kernel, Twin); 2] = [
    ("relu", |gpu, [x, _, g]| host::relu_backward(gpu, x, g).block_on(), |[x, _, g]| reference::relu_backward(x, g)),
    (
        "add_relu",
        |gpu, [x, y, g]| host::add_relu_backward(gpu, x, y, g).block_on(),
        |[x, y, g]| reference::add_relu_backward(x, y, g).0,
    ),
];

fn inputs(shape: &[usize]) -> [Array; 3] {
    ["input", "other", "grad_output"].map(|name| array(&format!("elementwise.{name}"), shape))
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
fn impossible_shapes_are_refused() {
    let [input, other, grad] = inputs(&[2, 3, 4]);
    let turned = Array { shape: vec![4, 3, 2], data: other.data.clone() };
    let empty = Array { shape: vec![2, 0], data: Vec::new() };
    let lying = Array { shape: vec![usize::MAX, 2], data: vec![0.0; 6] };
    for gpu in adapters().iter() {
        refused(gpu, "another gradient", host::relu_backward(gpu, &input, &turned).block_on());
        refused(gpu, "no values", host::relu_backward(gpu, &empty, &empty).block_on());
        refused(gpu, "a lying shape", host::relu_backward(gpu, &lying, &lying).block_on());
        refused(gpu, "another summand", host::add_relu_backward(gpu, &input, &turned, &grad).block_on());
        refused(gpu, "another gradient", host::add_relu_backward(gpu, &input, &other, &turned).block_on());
    }
}
