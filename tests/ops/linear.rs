use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{Tensor, linear, linear_backward};

use crate::support::{Verdicts, adapters, array, array_with, deterministic, passes, refused, tensor};

/// Rows, input and output features: ResNet's heads, and every remainder of the tiles of four.
const SHAPES: [[usize; 3]; 13] = [
    [1, 2048, 1000],
    [32, 2048, 10],
    [7, 512, 102],
    [1, 1, 1],
    [2, 3, 5],
    [3, 5, 2],
    [4, 4, 4],
    [5, 7, 9],
    [6, 9, 3],
    [8, 6, 7],
    [9, 8, 6],
    [33, 65, 1],
    [1, 1, 129],
];

fn inputs([rows, inputs, outputs]: [usize; 3]) -> [Array; 4] {
    [
        array("linear.input", &[rows, inputs]),
        array("linear.weight", &[outputs, inputs]),
        array("linear.bias", &[outputs]),
        array("linear.grad_output", &[rows, outputs]),
    ]
}

fn check(cases: &[[Array; 4]]) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for case in cases {
        let [input, weight, bias, grad] = case;
        let [x, w, b, g] = case.each_ref().map(tensor);
        let (plain, biased) = (linear(&x, &w, None), linear(&x, &w, Some(&b)));
        let gradients = linear_backward(&x, &w, &g);
        for gpu in adapters.iter() {
            let what = format!("{:?} {:?}", x.shape, w.shape);
            verdicts.compare(gpu, &format!("without bias {what}"), host::linear(gpu, input, weight, None), &plain);
            verdicts.compare(gpu, &what, host::linear(gpu, input, weight, Some(bias)), &biased);
            match host::linear_backward(gpu, input, weight, grad) {
                Err(error) => verdicts.compare(gpu, &what, Err(error), &gradients.grad_input),
                Ok(found) => {
                    verdicts.compare(gpu, &format!("grad_input {what}"), Ok(found.grad_input), &gradients.grad_input);
                    verdicts.compare(
                        gpu,
                        &format!("grad_weight {what}"),
                        Ok(found.grad_weight),
                        &gradients.grad_weight,
                    );
                    verdicts.compare(gpu, &format!("grad_bias {what}"), Ok(found.grad_bias), &gradients.grad_bias);
                }
            }
        }
    }
    drop(adapters);
    verdicts.finish("linear");
}

#[test]
fn shapes() {
    check(&SHAPES.map(inputs));
}

#[test]
fn magnitudes_and_special_values() {
    let [input, weight, bias, grad] = inputs([5, 7, 6]);
    let scaled = |scale: f32| array_with("linear.input", &[5, 7], |_, value| value * scale);
    let nan = array_with("linear.input", &[5, 7], |i, value| if i == 9 { f32::NAN } else { value });
    let mut cases = vec![[nan, weight.clone(), bias.clone(), grad.clone()]];
    for scale in [0.0, 1e30, 1e-30] {
        cases.push([scaled(scale), weight.clone(), bias.clone(), grad.clone()]);
    }
    cases.push([input, weight.clone(), bias, array_with("grad", &[5, 6], |_, value| value * 1e-20)]);
    check(&cases);
}

#[test]
fn wrong_inputs_are_caught() {
    let [input, weight, bias, grad] = inputs([5, 7, 6]);
    let expected = linear(&tensor(&input), &tensor(&weight), Some(&tensor(&bias)));
    let gradients = linear_backward(&tensor(&input), &tensor(&weight), &tensor(&grad));
    let turned = Tensor::new(&[6, 7], tensor(&weight).data.into_iter().rev().collect());
    let wrong = linear_backward(&tensor(&input), &turned, &tensor(&grad));
    for gpu in adapters().iter() {
        let found = host::linear(gpu, &input, &weight, None).expect("a result");
        assert!(!passes(&found.data, &expected.data), "a missing bias went unnoticed");
        let found = host::linear_backward(gpu, &input, &weight, &grad).expect("a result");
        assert!(passes(&found.grad_input.data, &gradients.grad_input.data));
        assert!(!passes(&found.grad_input.data, &wrong.grad_input.data), "a turned weight went unnoticed");
        let mut dropped = grad.clone();
        dropped.data[29] = 0.0;
        let found = host::linear_backward(gpu, &input, &weight, &dropped).expect("a result");
        assert!(!passes(&found.grad_weight.data, &gradients.grad_weight.data));
        assert!(!passes(&found.grad_bias.data, &gradients.grad_bias.data));
    }
}

#[test]
fn the_same_bits_every_time() {
    let [input, weight, bias, grad] = inputs([9, 130, 11]);
    deterministic(|gpu| {
        let found = host::linear_backward(gpu, &input, &weight, &grad).expect("a result");
        let output = host::linear(gpu, &input, &weight, Some(&bias)).expect("a result");
        vec![output, found.grad_input, found.grad_weight, found.grad_bias]
    });
}

#[test]
fn impossible_shapes_are_refused() {
    let [input, weight, bias, grad] = inputs([5, 7, 6]);
    let empty = Array { shape: vec![0, 7], data: Vec::new() };
    for gpu in adapters().iter() {
        refused(gpu, "other features", host::linear(gpu, &input, &array("w", &[6, 8]), None));
        refused(gpu, "three axes", host::linear(gpu, &array("x", &[5, 7, 1]), &weight, None));
        refused(gpu, "a short bias", host::linear(gpu, &input, &weight, Some(&array("b", &[5]))));
        refused(gpu, "a wide bias", host::linear(gpu, &input, &weight, Some(&array("b", &[1, 6]))));
        refused(gpu, "no rows", host::linear(gpu, &empty, &weight, Some(&bias)));
        refused(gpu, "another gradient", host::linear_backward(gpu, &input, &weight, &array("g", &[6, 5])));
        refused(gpu, "no rows", host::linear_backward(gpu, &empty, &weight, &grad));
    }
}
