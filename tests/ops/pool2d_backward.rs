use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::attributes::PoolAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{self, Tensor};
use pollster::FutureExt as _;

use crate::support::{adapters, array, array_with, passes, refused, tensor};

type Kernel = fn(&Arc<Gpu>, &Array, &Array, &PoolAttributes) -> Result<Array>;
type Twin = fn(&Tensor, &Tensor, &PoolAttributes) -> Tensor;

const OPERATIONS: [(&str, Kernel, Twin); 2] = [
    ("max", |gpu, x, g, a| host::max_pool2d_backward(gpu, x, g, a).block_on(), reference::max_pool2d_backward),
    (
        "avg",
        |gpu, x, g, a| host::avg_pool2d_backward(gpu, x, g, a).block_on(),
        |x, g, a| reference::avg_pool2d_backward(&x.shape, g, a),
    ),
];

fn pool(kernel: usize, stride: usize, padding: usize, ceil_mode: bool) -> PoolAttributes {
    PoolAttributes { kernel_size: [kernel; 2], stride: [stride; 2], padding: [padding; 2], ceil_mode }
}

fn grad_output(input: &Array, attributes: &PoolAttributes) -> Array {
    let (p, q) = attributes.output_size(input.shape[2], input.shape[3]).expect("attributes that fit");
    array("pool2d.grad_output", &[input.shape[0], input.shape[1], p, q])
}

fn input(shape: &[usize]) -> Array {
    array_with("pool2d.input", shape, |_, value| value - 3.0)
}

#[test]
fn wrong_attributes_are_caught() {
    let x = input(&[1, 3, 8, 8]);
    let right = pool(3, 2, 1, false);
    let grad = grad_output(&x, &right);
    let expected = OPERATIONS.map(|(.., twin)| twin(&tensor(&x), &tensor(&grad), &right));
    for gpu in adapters().iter() {
        for (at, (name, kernel, _)) in OPERATIONS.into_iter().enumerate() {
            let passing = |x: &Array, grad: &Array, attributes: &PoolAttributes| {
                let found = kernel(gpu, x, grad, attributes).expect("a result");
                expected.each_ref().map(|expected| passes(&found.data, &expected.data))
            };
            // Passes as itself, and not as the other.
            assert_eq!(passing(&x, &grad, &right), [at == 0, at == 1], "{name}");
            for wrong in [
                pool(2, 2, 0, false),
                PoolAttributes { kernel_size: [3, 2], padding: [1, 0], ..right },
                pool(4, 2, 1, true),
            ] {
                assert!(!passing(&x, &grad, &wrong)[at], "{name}: {wrong:?} went unnoticed");
            }
            let mut nudged = grad.clone();
            nudged.data[7] += 0.01;
            assert!(!passing(&x, &nudged, &right)[at], "{name}: a wrong gradient went unnoticed");
        }
        let turned = array_with("pool2d.input", &x.shape, |_, value| 3.0 - value);
        let found = host::max_pool2d_backward(gpu, &turned, &grad, &right).block_on().expect("a result");
        assert!(!passes(&found.data, &expected[0].data), "minima went unnoticed");
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let x = input(&[1, 3, 8, 8]);
    let right = pool(3, 2, 1, false);
    let grad = grad_output(&x, &right);
    let flat = input(&[3, 8, 8]);
    let wide = array("pool2d.grad_output", &[1, 3, 4, 5]);
    let empty = Array { shape: vec![1, 3, 0, 8], data: Vec::new() };
    for gpu in adapters().iter() {
        for (_, kernel, _) in OPERATIONS {
            for (what, input, grad, attributes) in [
                ("three axes", &flat, &grad, right),
                ("no rows", &empty, &grad, right),
                ("another gradient", &x, &wide, right),
                ("the input as gradient", &x, &x, right),
                ("another stride", &x, &grad, pool(3, 3, 1, false)),
                ("stride 0", &x, &grad, pool(3, 0, 1, false)),
                ("past an integer", &x, &grad, pool(usize::MAX, 1, usize::MAX / 2, false)),
            ] {
                refused(gpu, what, kernel(gpu, input, grad, &attributes));
            }
        }
    }
}
