use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{self, Tensor};
use pollster::FutureExt as _;

use crate::support::{adapters, array, passes, refused, tensor};

type Kernel = fn(&Arc<Gpu>, [&Array; 2]) -> Result<Array>;
type Twin = fn([&Tensor; 2]) -> Tensor;

const OPERATIONS: [(&str, Kernel, Twin); 3] = [
    ("relu", |gpu, [input, _]| host::relu(gpu, input).block_on(), |[input, _]| reference::relu(input)),
    ("add", |gpu, [a, b]| host::add(gpu, a, b).block_on(), |[a, b]| reference::add(a, b)),
    ("add_relu", |gpu, [a, b]| host::add_relu(gpu, a, b).block_on(), |[a, b]| reference::add_relu(a, b)),
];

fn inputs(shape: &[usize]) -> [Array; 2] {
    [array("elementwise.input", shape), array("elementwise.other", shape)]
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
fn impossible_shapes_are_refused() {
    let [input, other] = inputs(&[2, 3, 4]);
    let turned = Array { shape: vec![4, 3, 2], data: other.data.clone() };
    let empty = Array { shape: vec![2, 0], data: Vec::new() };
    let lying = Array { shape: vec![usize::MAX, 2], data: vec![0.0; 6] };
    for gpu in adapters().iter() {
        refused(gpu, "other shapes", host::add(gpu, &input, &turned).block_on());
        refused(gpu, "other shapes", host::add_relu(gpu, &input, &empty).block_on());
        refused(gpu, "no values", host::relu(gpu, &empty).block_on());
        refused(gpu, "a lying shape", host::relu(gpu, &lying).block_on());
        refused(gpu, "a lying shape", host::add(gpu, &lying, &lying).block_on());
    }
}
