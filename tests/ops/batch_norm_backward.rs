use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::attributes::BatchNormAttributes;
use gpu_resnet::ops::host::{self, Array, Gradients, MapEpilogue};
use gpu_resnet::reference::{self, batch_norm, batch_norm_backward, relu_backward};
use pollster::FutureExt as _;

use crate::support::{adapters, array, array_with, passes, refused, tensor};

const TRAINING: BatchNormAttributes = BatchNormAttributes { eps: 1e-5, momentum: 0.1, training: true };
const EVALUATION: BatchNormAttributes = BatchNormAttributes { training: false, ..TRAINING };

/// Input, weight, bias, running mean, running variance, residual and grad_output.
type Inputs = [Array; 7];

fn inputs(shape: &[usize], spread: f32, offset: f32) -> Inputs {
    let channels = &shape[1..2];
    [
        array_with("batch_norm.input", shape, |_, value| value * spread + offset),
        array("batch_norm.weight", channels),
        array("batch_norm.bias", channels),
        array("batch_norm.mean", channels),
        array_with("batch_norm.var", channels, |_, value| value + 2.25),
        array("batch_norm.residual", shape),
        // Its mean isn't zero, so that the batch's mean matters.
        array_with("batch_norm.grad_output", shape, |_, value| value + 0.5),
    ]
}

/// Whether a residual and a ReLU are fused to the end.
type End = (bool, bool);

fn epilogue(inputs: &Inputs, (residual, relu): End) -> MapEpilogue<'_> {
    MapEpilogue { residual: residual.then_some(&inputs[5]), relu }
}

fn run(gpu: &Arc<Gpu>, inputs: &Inputs, end: End, attributes: &BatchNormAttributes) -> Result<Gradients> {
    let [input, weight, bias, mean, variance, _, grad] = inputs;
    if end == (false, false) {
        return host::batch_norm_backward(gpu, input, [weight, mean, variance], grad, attributes).block_on();
    }
    let parameters = [weight, bias, mean, variance];
    host::batch_norm_fused_backward(gpu, input, parameters, epilogue(inputs, end), grad, attributes).block_on()
}

fn expected(inputs: &Inputs, (residual, relu): End, attributes: &BatchNormAttributes) -> reference::Gradients {
    let [x, weight, bias, mean, variance, other, mut grad] = inputs.each_ref().map(tensor);
    if relu {
        let mut sum = batch_norm(&x, &weight, &bias, &mean, &variance, attributes).output;
        if residual {
            sum = sum.zip(&other, |a, b| a + b);
        }
        grad = relu_backward(&sum, &grad);
    }
    batch_norm_backward(&x, &weight, &mean, &variance, &grad, attributes)
}

#[test]
fn wrong_attributes_are_caught() {
    let inputs = inputs(&[2, 5, 6, 7], 1.0, 0.0);
    for gpu in adapters().iter() {
        for right in [TRAINING, EVALUATION] {
            let expected = expected(&inputs, (false, true), &right);
            let passing = |inputs: &Inputs, end, attributes: &BatchNormAttributes| {
                let found = run(gpu, inputs, end, attributes).expect("a result");
                [
                    passes(&found.grad_input.data, &expected.grad_input.data),
                    passes(&found.grad_weight.data, &expected.grad_weight.data),
                    passes(&found.grad_bias.data, &expected.grad_bias.data),
                ]
            };
            assert_eq!(passing(&inputs, (false, true), &right), [true; 3]);
            assert_eq!(passing(&inputs, (false, false), &right), [false; 3], "without the ReLU");
            assert_eq!(passing(&inputs, (true, true), &right), [false; 3], "with a residual");
            let eps = BatchNormAttributes { eps: 1e-3, ..right };
            assert_eq!(passing(&inputs, (false, true), &eps)[..2], [false; 2], "another eps");
            let mode = BatchNormAttributes { training: !right.training, ..right };
            assert_eq!(passing(&inputs, (false, true), &mode)[..2], [false; 2], "the other mode");
            let mut nudged = inputs.clone();
            let on = expected.grad_input.data.iter().rposition(|&grad| grad != 0.0).expect("a gradient");
            nudged[6].data[on] += 0.1;
            assert!(passing(&nudged, (false, true), &right).contains(&false), "a wrong gradient");
        }
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let right = inputs(&[2, 5, 3, 3], 1.0, 0.0);
    for gpu in adapters().iter() {
        for at in [1, 3, 4, 6] {
            let mut wrong = right.clone();
            wrong[at] = array("other", &[6]);
            refused(gpu, "another shape", run(gpu, &wrong, (false, false), &TRAINING));
        }
        let mut turned = right.clone();
        turned[5].shape = vec![2, 5, 9];
        refused(gpu, "another residual", run(gpu, &turned, (true, true), &EVALUATION));
        let single = inputs(&[1, 5, 1, 1], 1.0, 0.0);
        refused(gpu, "one value a channel", run(gpu, &single, (false, false), &TRAINING));
    }
}
