use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::attributes::BatchNormAttributes;
use gpu_resnet::ops::host::{self, Array, Gradients, MapEpilogue};
use gpu_resnet::reference::{self, batch_norm, batch_norm_backward, relu, relu_backward};

use crate::support::{Verdicts, adapters, array, array_with, deterministic, passes, refused, tensor};

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
        return host::batch_norm_backward(gpu, input, [weight, mean, variance], grad, attributes);
    }
    let parameters = [weight, bias, mean, variance];
    host::batch_norm_fused_backward(gpu, input, parameters, epilogue(inputs, end), grad, attributes)
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

fn check(cases: &[(Inputs, End, BatchNormAttributes)]) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for (inputs, end, attributes) in cases {
        let expected = expected(inputs, *end, attributes);
        for gpu in adapters.iter() {
            let what = format!("{:?} {attributes:?}, residual and ReLU {end:?}", inputs[0].shape);
            verdicts.gradients(gpu, &what, run(gpu, inputs, *end, attributes), &expected);
        }
    }
    drop(adapters);
    verdicts.finish("batch_norm_backward");
}

#[test]
fn shapes() {
    let shapes: [&[usize]; 9] = [
        &[2, 64, 14, 14],
        &[1, 256, 7, 7],
        &[7, 3],
        &[5, 4, 3],
        &[2, 5, 2, 3, 2],
        // One and two chunks of 128 pixels, one pixel more, and many.
        &[1, 2, 8, 16],
        &[1, 2, 3, 43],
        &[2, 6, 8, 16],
        &[3, 3, 60, 61],
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        for end in [(false, false), (false, true), (true, true)] {
            cases.push((inputs(shape, 1.0, 0.5), end, EVALUATION));
            cases.push((inputs(shape, 1.0, 0.5), end, TRAINING));
        }
    }
    for channels in 1..=9 {
        cases.push((inputs(&[3, channels, 5, 7], 1.0, -1.0), (false, channels % 2 == 0), TRAINING));
        // Two values a channel would leave nothing of the gradient in training but rounding errors.
        cases.push((inputs(&[2, channels, 1, 1], 1.0, -1.0), (false, false), EVALUATION));
        cases.push((inputs(&[1, channels, 1, 1], 1.0, -1.0), (false, true), EVALUATION));
    }
    check(&cases);
}

/// The forward pass's own epilogue.
#[test]
fn residual_and_relu_are_fused_forward() {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for attributes in [TRAINING, EVALUATION] {
        for end in [(true, false), (false, true), (true, true)] {
            for shape in [[2, 5, 7, 9], [3, 8, 13, 11]] {
                let inputs = inputs(&shape, 1.0, 0.5);
                let [x, w, b, m, v, other, _] = inputs.each_ref().map(tensor);
                let plain = batch_norm(&x, &w, &b, &m, &v, &attributes).output;
                let sum = if end.0 { plain.zip(&other, |a, b| a + b) } else { plain.clone() };
                let expected = if end.1 { relu(&sum) } else { sum };
                for gpu in adapters.iter() {
                    let [input, weight, bias, mean, variance, ..] = &inputs;
                    let parameters = [weight, bias, mean, variance];
                    let found = host::batch_norm_fused(gpu, input, parameters, epilogue(&inputs, end), &attributes);
                    let found = found.map(|found| found.output);
                    assert!(found.as_ref().is_ok_and(|found| !passes(&found.data, &plain.data)), "without {end:?}");
                    verdicts.compare(gpu, &format!("{shape:?} {attributes:?} {end:?}"), found, &expected);
                }
            }
        }
    }
    drop(adapters);
    verdicts.finish("batch_norm");
}

#[test]
fn attributes_and_magnitudes() {
    let shape = [2, 5, 6, 7];
    let plain = (false, false);
    check(&[
        (inputs(&shape, 1.0, 0.0), plain, BatchNormAttributes { eps: 0.1, momentum: 0.7, training: true }),
        (inputs(&shape, 1.0, 0.0), plain, BatchNormAttributes { eps: 0.1, momentum: 1.0, training: false }),
        // A mean of 30 spreads: it is kept in f32, so that every normalised value is off by its rounding.
        (inputs(&shape, 1.0, 30.0), plain, TRAINING),
        (inputs(&shape, 1e-3, 0.0), plain, TRAINING),
        (inputs(&shape, 1e15, 0.0), plain, TRAINING),
        (inputs(&shape, 1e15, 0.0), plain, EVALUATION),
        (inputs(&shape, 0.0, 3.0), plain, EVALUATION),
    ]);
}

#[test]
fn nan_stays_in_its_channel() {
    // The second image, channel 2.
    let at = 5 * 9 + 2 * 9 + 4;
    let mut cases = Vec::new();
    for which in [0, 6] {
        for attributes in [TRAINING, EVALUATION] {
            for relu in [false, true] {
                let mut poisoned = inputs(&[2, 5, 3, 3], 1.0, 0.0);
                poisoned[which].data[at] = f32::NAN;
                if which == 6 && relu {
                    // A NaN gradient goes no further than a ReLU that is off; here it is on.
                    poisoned[0].data[at] = 100.0;
                    poisoned[1].data[2] = 1.0;
                }
                cases.push((poisoned, (false, relu), attributes));
            }
        }
    }
    check(&cases);
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
fn the_same_bits_every_time() {
    let inputs = inputs(&[3, 6, 17, 19], 1.0, 0.5);
    deterministic(|gpu| {
        let found = run(gpu, &inputs, (true, true), &TRAINING).expect("a result");
        vec![found.grad_input, found.grad_weight, found.grad_bias]
    });
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
