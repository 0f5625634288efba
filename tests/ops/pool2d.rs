use gpu_resnet::ops::attributes::PoolAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{avg_pool2d, max_pool2d};
use pollster::FutureExt as _;

use crate::support::{adapters, array_with, passes, refused, tensor};

fn pool(kernel: usize, stride: usize, padding: usize, ceil_mode: bool) -> PoolAttributes {
    PoolAttributes { kernel_size: [kernel; 2], stride: [stride; 2], padding: [padding; 2], ceil_mode }
}

/// All below zero, so that a zero of the padding would win a maximum.
fn input(shape: &[usize]) -> Array {
    array_with("pool2d.input", shape, |_, value| value - 3.0)
}

#[test]
fn wrong_attributes_are_caught() {
    let x = input(&[1, 3, 8, 8]);
    let right = pool(3, 2, 1, false);
    let [maximum, average] = [max_pool2d(&tensor(&x), &right), avg_pool2d(&tensor(&x), &right)];
    for gpu in adapters().iter() {
        assert!(passes(&host::max_pool2d(gpu, &x, &right).block_on().expect("a result").data, &maximum.data));
        for wrong in
            [pool(2, 2, 0, false), PoolAttributes { padding: [1, 0], ceil_mode: true, ..right }, pool(4, 2, 1, true)]
        {
            let [max, avg] =
                [host::max_pool2d(gpu, &x, &wrong).block_on(), host::avg_pool2d(gpu, &x, &wrong).block_on()];
            assert!(!passes(&max.expect("a result").data, &maximum.data), "{wrong:?} went unnoticed");
            assert!(!passes(&avg.expect("a result").data, &average.data), "{wrong:?} went unnoticed");
        }
        let found = host::max_pool2d(gpu, &x, &right).block_on().expect("a result");
        assert!(!passes(&found.data, &average.data), "a maximum passes as an average");
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let x = input(&[1, 3, 8, 8]);
    let flat = input(&[3, 8, 8]);
    let empty = Array { shape: vec![1, 3, 0, 8], data: Vec::new() };
    for gpu in adapters().iter() {
        for (what, input, attributes) in [
            ("three axes", &flat, pool(3, 2, 1, false)),
            ("no rows", &empty, pool(1, 1, 0, false)),
            ("kernel 0", &x, pool(0, 1, 0, false)),
            ("stride 0", &x, pool(3, 0, 1, false)),
            ("padding over half", &x, pool(3, 1, 2, false)),
            ("a large kernel", &x, pool(9, 1, 0, false)),
            ("past an integer", &x, pool(usize::MAX, 1, usize::MAX / 2, false)),
        ] {
            refused(gpu, what, host::max_pool2d(gpu, input, &attributes).block_on());
            refused(gpu, what, host::avg_pool2d(gpu, input, &attributes).block_on());
        }
    }
}
