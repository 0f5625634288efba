use gpu_resnet::ops::attributes::PoolAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{avg_pool2d, max_pool2d};

use crate::support::{Verdicts, adapters, array, array_with, deterministic, passes, refused, tensor};

fn pool(kernel: usize, stride: usize, padding: usize, ceil_mode: bool) -> PoolAttributes {
    PoolAttributes { kernel_size: [kernel; 2], stride: [stride; 2], padding: [padding; 2], ceil_mode }
}

fn check(cases: &[(Array, PoolAttributes)]) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for (input, attributes) in cases {
        let x = tensor(input);
        let (maximum, average) = (max_pool2d(&x, attributes), avg_pool2d(&x, attributes));
        for gpu in adapters.iter() {
            let what = format!("{:?} {attributes:?}", input.shape);
            verdicts.compare(gpu, &format!("max {what}"), host::max_pool2d(gpu, input, attributes), &maximum);
            verdicts.compare(gpu, &format!("avg {what}"), host::avg_pool2d(gpu, input, attributes), &average);
        }
    }
    drop(adapters);
    verdicts.finish("pool2d");
}

/// All below zero, so that a zero of the padding would win a maximum.
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
        (input(&[2, 3, 9, 9]), pool(2, 5, 1, false)),
        (input(&[1, 5, 6, 11]), PoolAttributes { stride: [1, 3], padding: [1, 0], ..PoolAttributes::new([3, 2]) }),
    ];
    for channels in 1..=9 {
        cases.push((input(&[1, channels, 7, 6]), pool(3, 2, 1, false)));
        cases.push((input(&[3, channels, 5, 8]), pool(2, 2, 0, true)));
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
    // 65,535 workgroups hold 4,194,240 outputs of four channels.
    check(&[(input(&[1, 1, 2050, 2049]), pool(1, 1, 0, false))]);
}

#[test]
fn special_values_are_pytorchs() {
    let nan = |i: usize, value: f32| if i % 11 == 5 { f32::NAN } else { value };
    let infinities = |i: usize, value: f32| match i % 7 {
        3 => f32::NEG_INFINITY,
        5 if i.is_multiple_of(2) => f32::INFINITY,
        _ => value,
    };
    let shape = [2, 3, 8, 9];
    let mut cases = Vec::new();
    for attributes in [pool(3, 2, 1, false), pool(2, 2, 0, true), pool(3, 1, 1, false)] {
        cases.push((array_with("nan", &shape, nan), attributes));
        cases.push((array_with("infinities", &shape, infinities), attributes));
        cases.push((array_with("nothing larger", &shape, |_, _| f32::NEG_INFINITY), attributes));
        cases.push((array_with("large", &shape, |_, value| value * 1e37), attributes));
    }
    check(&cases);
}

#[test]
fn wrong_attributes_are_caught() {
    let x = input(&[1, 3, 8, 8]);
    let right = pool(3, 2, 1, false);
    let [maximum, average] = [max_pool2d(&tensor(&x), &right), avg_pool2d(&tensor(&x), &right)];
    for gpu in adapters().iter() {
        assert!(passes(&host::max_pool2d(gpu, &x, &right).expect("a result").data, &maximum.data));
        for wrong in
            [pool(2, 2, 0, false), PoolAttributes { padding: [1, 0], ceil_mode: true, ..right }, pool(4, 2, 1, true)]
        {
            let [max, avg] = [host::max_pool2d(gpu, &x, &wrong), host::avg_pool2d(gpu, &x, &wrong)];
            assert!(!passes(&max.expect("a result").data, &maximum.data), "{wrong:?} went unnoticed");
            assert!(!passes(&avg.expect("a result").data, &average.data), "{wrong:?} went unnoticed");
        }
        let found = host::max_pool2d(gpu, &x, &right).expect("a result");
        assert!(!passes(&found.data, &average.data), "a maximum passes as an average");
    }
}

#[test]
fn the_same_bits_every_time() {
    let x = array("pool2d.input", &[2, 7, 13, 11]);
    let attributes = pool(3, 2, 1, true);
    deterministic(|gpu| {
        [host::max_pool2d(gpu, &x, &attributes), host::avg_pool2d(gpu, &x, &attributes)]
            .map(|found| found.expect("a result"))
            .to_vec()
    });
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
            refused(gpu, what, host::max_pool2d(gpu, input, &attributes));
            refused(gpu, what, host::avg_pool2d(gpu, input, &attributes));
        }
    }
}
