use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::attributes::PoolAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{self, Tensor};

use crate::support::{Verdicts, adapters, array, array_with, deterministic, passes, refused, tensor};

type Kernel = fn(&Arc<Gpu>, &Array, &Array, &PoolAttributes) -> Result<Array>;
type Twin = fn(&Tensor, &Tensor, &PoolAttributes) -> Tensor;

const OPERATIONS: [(&str, Kernel, Twin); 2] = [
    ("max", host::max_pool2d_backward, reference::max_pool2d_backward),
    ("avg", host::avg_pool2d_backward, |x, g, a| reference::avg_pool2d_backward(&x.shape, g, a)),
];

fn pool(kernel: usize, stride: usize, padding: usize, ceil_mode: bool) -> PoolAttributes {
    PoolAttributes { kernel_size: [kernel; 2], stride: [stride; 2], padding: [padding; 2], ceil_mode }
}

fn grad_output(input: &Array, attributes: &PoolAttributes) -> Array {
    let (p, q) = attributes.output_size(input.shape[2], input.shape[3]).expect("attributes that fit");
    array("pool2d.grad_output", &[input.shape[0], input.shape[1], p, q])
}

fn check(cases: &[(Array, PoolAttributes)]) {
    check_with(cases.iter().map(|(input, attributes)| (input.clone(), grad_output(input, attributes), *attributes)));
}

fn check_with(cases: impl IntoIterator<Item = (Array, Array, PoolAttributes)>) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for (input, grad, attributes) in cases {
        for (name, kernel, twin) in OPERATIONS {
            let expected = twin(&tensor(&input), &tensor(&grad), &attributes);
            for gpu in adapters.iter() {
                let what = format!("{name} {:?} {attributes:?}", input.shape);
                verdicts.compare(gpu, &what, kernel(gpu, &input, &grad, &attributes), &expected);
            }
        }
    }
    drop(adapters);
    verdicts.finish("pool2d_backward");
}

fn input(shape: &[usize]) -> Array {
    array_with("pool2d.input", shape, |_, value| value - 3.0)
}

#[test]
fn shapes() {
    let mut cases = vec![
        (input(&[2, 64, 56, 56]), pool(3, 2, 1, false)),
        (input(&[1, 64, 57, 56]), pool(3, 2, 0, true)),
        (input(&[1, 3, 4, 4]), PoolAttributes::new([2, 4])),
        (input(&[1, 1, 1, 1]), pool(1, 1, 0, false)),
        (input(&[2, 3, 7, 5]), pool(7, 1, 3, false)),
        (input(&[1, 5, 6, 11]), PoolAttributes { stride: [1, 3], padding: [1, 0], ..PoolAttributes::new([3, 2]) }),
        // Pixels that no window holds.
        (input(&[2, 3, 9, 9]), pool(2, 5, 1, false)),
        (input(&[2, 3, 10, 11]), pool(2, 3, 0, false)),
    ];
    for channels in 1..=9 {
        cases.push((input(&[1, channels, 7, 6]), pool(3, 2, 1, false)));
        cases.push((input(&[3, channels, 5, 8]), pool(2, 2, 0, true)));
    }
    for stride in 1..=4 {
        for kernel in 1..=4 {
            for padding in 0..=kernel / 2 {
                let mut attributes = pool(kernel, stride, padding, stride % 2 == 0);
                attributes.stride[1] = stride % 4 + 1;
                cases.push((input(&[2, 3, 10, 13]), attributes));
            }
        }
    }
    check(&cases);
}

#[test]
fn ceil_mode_corners() {
    check(&[
        (input(&[1, 4, 112, 112]), pool(3, 2, 0, true)),
        // The rounded-up last window would start in the right padding.
        (input(&[1, 4, 3, 3]), pool(2, 2, 1, true)),
        // A single window larger than the input, and one that hangs over.
        (input(&[1, 4, 2, 2]), pool(3, 2, 0, true)),
        (input(&[1, 4, 5, 6]), pool(3, 3, 1, true)),
        (input(&[1, 4, 2, 2]), pool(1, 3, 0, true)),
    ]);
}

#[test]
fn windows_far_larger_than_the_image() {
    // The averaged windows have more elements than 32 bits count.
    check(&[(input(&[1, 2, 9, 9]), pool(70_000, 69_000, 34_999, true))]);
}

#[test]
fn more_workgroups_than_one_dimension_holds() {
    // 65,535 workgroups hold 4,194,240 pixels of four channels.
    check(&[(input(&[1, 1, 2050, 2049]), pool(1, 1, 0, false))]);
}

#[test]
fn ties_go_to_the_first() {
    // Few values, so that most windows have ties; all equal; and what a ReLU leaves.
    let coarse = |_, value: f32| (value * 1.5).round();
    let (equal, rectified) = (|_, _| 1.0, |_, value: f32| value.max(0.0));
    let shape = [2, 5, 11, 12];
    let mut cases = Vec::new();
    for attributes in [pool(3, 2, 1, false), pool(2, 2, 0, true), pool(3, 1, 1, false), pool(5, 3, 2, true)] {
        cases.push((array_with("coarse", &shape, coarse), attributes));
        cases.push((array_with("equal", &shape, equal), attributes));
        cases.push((array_with("rectified", &shape, rectified), attributes));
    }
    check(&cases);
}

#[test]
fn special_values_are_pytorchs() {
    let shape = [2, 3, 8, 9];
    let nan = array_with("nan", &shape, |i, value| if i % 11 == 5 { f32::NAN } else { value });
    let infinite = array_with("infinities", &shape, |i, value| match i % 7 {
        3 => f32::NEG_INFINITY,
        5 if i.is_multiple_of(2) => f32::INFINITY,
        _ => value,
    });
    let lowest = array_with("nothing larger", &shape, |_, _| f32::NEG_INFINITY);
    let mut cases = Vec::new();
    for attributes in [pool(3, 2, 1, false), pool(2, 2, 0, true), pool(3, 1, 1, false)] {
        for input in [&nan, &infinite, &lowest] {
            cases.push((input.clone(), grad_output(input, &attributes), attributes));
        }
        let plain = input(&shape);
        let grad = grad_output(&plain, &attributes);
        for special in [f32::NAN, f32::INFINITY] {
            let poisoned = array_with("grad", &grad.shape, |i, value| if i % 13 == 6 { special } else { value });
            cases.push((plain.clone(), poisoned, attributes));
        }
    }
    check_with(cases);
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
        let found = host::max_pool2d_backward(gpu, &turned, &grad, &right).expect("a result");
        assert!(!passes(&found.data, &expected[0].data), "minima went unnoticed");
    }
}

#[test]
fn the_same_bits_every_time() {
    let x = array("pool2d.input", &[2, 7, 13, 11]);
    let attributes = pool(3, 2, 1, true);
    let grad = grad_output(&x, &attributes);
    deterministic(|gpu| {
        OPERATIONS.map(|(_, kernel, _)| kernel(gpu, &x, &grad, &attributes).expect("a result")).to_vec()
    });
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
