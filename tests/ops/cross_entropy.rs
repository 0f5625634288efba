use gpu_resnet::ops::attributes::CrossEntropyAttributes;
use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{Tensor, cross_entropy};
use gpu_resnet::weights::hash_targets;
use pollster::FutureExt as _;

use crate::support::{Verdicts, adapters, array, array_with, passes, refused, tensor};

const PLAIN: CrossEntropyAttributes = CrossEntropyAttributes { label_smoothing: 0.0, ignore_index: -100 };

fn smoothed(label_smoothing: f64) -> CrossEntropyAttributes {
    CrossEntropyAttributes { label_smoothing, ..PLAIN }
}

fn targets(rows: usize, classes: usize) -> Vec<i64> {
    hash_targets("cross_entropy.target", rows, classes as u64)
}

fn check(cases: &[(Array, Vec<i64>, CrossEntropyAttributes)]) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for (input, target, attributes) in cases {
        let expected = cross_entropy(&tensor(input), target, attributes);
        let loss = Tensor::new(&[], vec![expected.loss]);
        for gpu in adapters.iter() {
            let what = format!("{:?} {attributes:?}", input.shape);
            match host::cross_entropy(gpu, input, target, attributes).block_on() {
                Err(error) => verdicts.compare(gpu, &what, Err(error), &loss),
                Ok((found, grad)) => {
                    let found = Array { shape: Vec::new(), data: vec![found] };
                    verdicts.compare(gpu, &format!("loss {what}"), Ok(found), &loss);
                    verdicts.compare(gpu, &format!("grad_input {what}"), Ok(grad), &expected.grad_input);
                }
            }
        }
    }
    verdicts.finish("cross_entropy");
}

#[test]
fn ignored_rows_take_no_part() {
    let mut some = targets(70, 5);
    some.iter_mut().step_by(3).for_each(|class| *class = -100);
    let as_class = CrossEntropyAttributes { ignore_index: 2, ..PLAIN };
    let input = array("cross_entropy.input", &[70, 5]);
    // Ignored rows may hold anything.
    let poisoned =
        array_with("cross_entropy.input", &[70, 5], |i, value| if i / 5 % 3 == 0 { f32::NAN } else { value });
    check(&[
        (input.clone(), some.clone(), PLAIN),
        (input.clone(), some.clone(), smoothed(0.3)),
        (poisoned, some, PLAIN),
        (input.clone(), targets(70, 5), as_class),
        // No row counts: the mean of nothing is NaN, as in PyTorch.
        (input, vec![-100; 70], PLAIN),
    ]);
}

#[test]
fn special_values_are_pytorchs() {
    let at = |row: usize, special: f32| {
        array_with("cross_entropy.input", &[6, 7], |i, value| if i == row * 7 + 3 { special } else { value })
    };
    // Never the masked class itself.
    let target: Vec<i64> = vec![0, 1, 2, 4, 5, 6];
    check(&[
        (at(2, f32::NEG_INFINITY), target.clone(), PLAIN),
        (at(2, f32::NAN), target.clone(), PLAIN),
        (at(2, f32::INFINITY), target.clone(), PLAIN),
        (at(2, f32::NAN), target, smoothed(0.1)),
    ]);
}

#[test]
fn wrong_attributes_are_caught() {
    let (input, target) = (array("cross_entropy.input", &[9, 10]), targets(9, 10));
    let expected = cross_entropy(&tensor(&input), &target, &PLAIN);
    let mut other = target.clone();
    other[8] = (other[8] + 1) % 10;
    for gpu in adapters().iter() {
        let (loss, grad) = host::cross_entropy(gpu, &input, &target, &PLAIN).block_on().expect("a result");
        assert!(passes(&[loss], &[expected.loss]) && passes(&grad.data, &expected.grad_input.data));
        for (target, attributes) in [(&target, smoothed(0.01)), (&other, PLAIN)] {
            let (loss, grad) = host::cross_entropy(gpu, &input, target, &attributes).block_on().expect("a result");
            assert!(!passes(&[loss], &[expected.loss]) && !passes(&grad.data, &expected.grad_input.data));
        }
    }
}

#[test]
fn impossible_inputs_are_refused() {
    let input = array("cross_entropy.input", &[3, 4]);
    let empty = Array { shape: vec![0, 4], data: Vec::new() };
    for gpu in adapters().iter() {
        for target in [
            vec![0, 1],
            vec![0, 1, 2, 3],
            vec![0, 1, 4],
            vec![0, -1, 2],
            vec![i64::MAX, 0, 0],
            vec![u32::MAX.into(), 0, 0],
        ] {
            refused(gpu, &format!("target {target:?}"), host::cross_entropy(gpu, &input, &target, &PLAIN).block_on());
        }
        refused(gpu, "no rows", host::cross_entropy(gpu, &empty, &[], &PLAIN).block_on());
        refused(gpu, "one axis", host::cross_entropy(gpu, &array("x", &[4]), &[1], &PLAIN).block_on());
        refused(gpu, "smoothing 2", host::cross_entropy(gpu, &input, &[0, 1, 2], &smoothed(2.0)).block_on());
    }
}
