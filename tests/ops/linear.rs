use gpu_resnet::ops::host::{self, Array};
use gpu_resnet::reference::{Tensor, linear, linear_backward};
use pollster::FutureExt as _;

use crate::support::{adapters, array, passes, refused, tensor};

fn inputs([rows, inputs, outputs]: [usize; 3]) -> [Array; 4] {
    [
        array("linear.input", &[rows, inputs]),
        array("linear.weight", &[outputs, inputs]),
        array("linear.bias", &[outputs]),
        array("linear.grad_output", &[rows, outputs]),
    ]
}

#[test]
fn wrong_inputs_are_caught() {
    let [input, weight, bias, grad] = inputs([5, 7, 6]);
    let expected = linear(&tensor(&input), &tensor(&weight), Some(&tensor(&bias)));
    let gradients = linear_backward(&tensor(&input), &tensor(&weight), &tensor(&grad));
    let turned = Tensor::new(&[6, 7], tensor(&weight).data.into_iter().rev().collect());
    let wrong = linear_backward(&tensor(&input), &turned, &tensor(&grad));
    for gpu in adapters().iter() {
        let found = host::linear(gpu, &input, &weight, None).block_on().expect("a result");
        assert!(!passes(&found.data, &expected.data), "a missing bias went unnoticed");
        let found = host::linear_backward(gpu, &input, &weight, &grad).block_on().expect("a result");
        assert!(passes(&found.grad_input.data, &gradients.grad_input.data));
        assert!(!passes(&found.grad_input.data, &wrong.grad_input.data), "a turned weight went unnoticed");
        let mut dropped = grad.clone();
        dropped.data[29] = 0.0;
        let found = host::linear_backward(gpu, &input, &weight, &dropped).block_on().expect("a result");
        assert!(!passes(&found.grad_weight.data, &gradients.grad_weight.data));
        assert!(!passes(&found.grad_bias.data, &gradients.grad_bias.data));
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let [input, weight, bias, grad] = inputs([5, 7, 6]);
    let empty = Array { shape: vec![0, 7], data: Vec::new() };
    for gpu in adapters().iter() {
        refused(gpu, "other features", host::linear(gpu, &input, &array("w", &[6, 8]), None).block_on());
        refused(gpu, "three axes", host::linear(gpu, &array("x", &[5, 7, 1]), &weight, None).block_on());
        refused(gpu, "a short bias", host::linear(gpu, &input, &weight, Some(&array("b", &[5]))).block_on());
        refused(gpu, "a wide bias", host::linear(gpu, &input, &weight, Some(&array("b", &[1, 6]))).block_on());
        refused(gpu, "no rows", host::linear(gpu, &empty, &weight, Some(&bias)).block_on());
        refused(gpu, "another gradient", host::linear_backward(gpu, &input, &weight, &array("g", &[6, 5])).block_on());
        refused(gpu, "no rows", host::linear_backward(gpu, &empty, &weight, &grad).block_on());
    }
}
