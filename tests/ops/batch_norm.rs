use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::attributes::BatchNormAttributes;
use gpu_resnet::ops::host::{self, Array, BatchNormOutput};
use gpu_resnet::reference::batch_norm;

use crate::support::{Verdicts, adapters, array, array_with, deterministic, passes, refused, tensor};

/// Input, weight, bias, running mean and running variance.
fn inputs(shape: &[usize], spread: f32, offset: f32) -> [Array; 5] {
    let channels = &shape[1..2];
    [
        array_with("batch_norm.input", shape, |_, value| value * spread + offset),
        array("batch_norm.weight", channels),
        array("batch_norm.bias", channels),
        array("batch_norm.mean", channels),
        array_with("batch_norm.var", channels, |_, value| value + 2.25),
    ]
}

fn run(gpu: &Arc<Gpu>, inputs: &[Array; 5], attributes: &BatchNormAttributes) -> Result<BatchNormOutput> {
    let [input, parameters @ ..] = inputs;
    host::batch_norm(gpu, input, parameters.each_ref(), attributes)
}

fn check(cases: &[([Array; 5], BatchNormAttributes)]) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for (inputs, attributes) in cases {
        let [x, w, b, m, v] = inputs.each_ref().map(tensor);
        let expected = batch_norm(&x, &w, &b, &m, &v, attributes);
        for gpu in adapters.iter() {
            let what = format!("{:?} {attributes:?}", x.shape);
            let found = run(gpu, inputs, attributes);
            if let Ok(BatchNormOutput { running: Some([mean, variance]), .. }) = &found {
                verdicts.compare(gpu, &format!("running_mean {what}"), Ok(mean.clone()), &expected.running_mean);
                verdicts.compare(gpu, &format!("running_var {what}"), Ok(variance.clone()), &expected.running_var);
            }
            assert!(
                found.as_ref().is_err() || found.as_ref().is_ok_and(|f| f.running.is_some() == attributes.training)
            );
            verdicts.compare(gpu, &what, found.map(|found| found.output), &expected.output);
        }
    }
    drop(adapters);
    verdicts.finish("batch_norm");
}

const TRAINING: BatchNormAttributes = BatchNormAttributes { eps: 1e-5, momentum: 0.1, training: true };
const EVALUATION: BatchNormAttributes = BatchNormAttributes { training: false, ..TRAINING };

#[test]
fn shapes() {
    let shapes: [&[usize]; 8] = [
        &[2, 64, 28, 28],
        &[1, 256, 7, 7],
        &[2, 3],
        &[5, 4, 3],
        &[2, 5, 2, 3, 2],
        // One and two chunks of 128 pixels, and one pixel more.
        &[1, 2, 8, 16],
        &[1, 2, 3, 43],
        &[2, 6, 8, 16],
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        cases.push((inputs(shape, 1.0, 0.5), EVALUATION));
        cases.push((inputs(shape, 1.0, 0.5), TRAINING));
    }
    for channels in 1..=9 {
        cases.push((inputs(&[3, channels, 5, 7], 1.0, -1.0), TRAINING));
        cases.push((inputs(&[1, channels, 1, 1], 1.0, -1.0), EVALUATION));
    }
    check(&cases);
}

#[test]
fn attributes_and_magnitudes() {
    let shape = [2, 5, 6, 7];
    check(&[
        (inputs(&shape, 1.0, 0.0), BatchNormAttributes { eps: 0.1, momentum: 0.7, training: true }),
        (inputs(&shape, 1.0, 0.0), BatchNormAttributes { momentum: 0.0, ..TRAINING }),
        (inputs(&shape, 1.0, 0.0), BatchNormAttributes { momentum: 1.0, ..TRAINING }),
        // A mean of 100 spreads: the variance around the mean keeps its digits.
        (inputs(&shape, 1.0, 100.0), TRAINING),
        (inputs(&shape, 1e-3, 0.0), TRAINING),
        (inputs(&shape, 1e15, 0.0), TRAINING),
        (inputs(&shape, 0.0, 3.0), TRAINING),
        (inputs(&shape, 1e15, 0.0), EVALUATION),
    ]);
}

#[test]
fn nan_stays_in_its_channel() {
    let mut poisoned = inputs(&[2, 5, 3, 3], 1.0, 0.0);
    // The second image, channel 2.
    poisoned[0].data[5 * 9 + 2 * 9 + 4] = f32::NAN;
    check(&[(poisoned.clone(), TRAINING), (poisoned, EVALUATION)]);
}

#[test]
fn wrong_attributes_are_caught() {
    let inputs = inputs(&[2, 5, 6, 7], 1.0, 0.0);
    let [x, w, b, m, v] = inputs.each_ref().map(tensor);
    for gpu in adapters().iter() {
        for right in [TRAINING, EVALUATION] {
            let expected = batch_norm(&x, &w, &b, &m, &v, &right).output;
            assert!(passes(&run(gpu, &inputs, &right).expect("a result").output.data, &expected.data));
            for wrong in
                [BatchNormAttributes { eps: 1e-3, ..right }, BatchNormAttributes { training: !right.training, ..right }]
            {
                let found = run(gpu, &inputs, &wrong).expect("a result").output;
                assert!(!passes(&found.data, &expected.data), "{wrong:?} for {right:?} went unnoticed");
            }
        }
        let expected = batch_norm(&x, &w, &b, &m, &v, &TRAINING);
        let wrong = BatchNormAttributes { momentum: 0.11, ..TRAINING };
        let [mean, variance] = run(gpu, &inputs, &wrong).expect("a result").running.expect("running statistics");
        assert!(
            !passes(&mean.data, &expected.running_mean.data) && !passes(&variance.data, &expected.running_var.data)
        );
    }
}

#[test]
fn the_same_bits_every_time() {
    let inputs = inputs(&[3, 6, 17, 19], 1.0, 0.5);
    deterministic(|gpu| {
        let found = run(gpu, &inputs, &TRAINING).expect("a result");
        found.running.into_iter().flatten().chain([found.output]).collect()
    });
}

#[test]
fn impossible_shapes_are_refused() {
    let right = inputs(&[2, 5, 3, 3], 1.0, 0.0);
    for gpu in adapters().iter() {
        for at in 1..5 {
            let mut wrong = right.clone();
            wrong[at] = array("other", &[6]);
            refused(gpu, "another number of channels", run(gpu, &wrong, &TRAINING));
        }
        let mut flat = right.clone();
        flat[0] = array("flat", &[10]);
        refused(gpu, "one axis", run(gpu, &flat, &EVALUATION));
        refused(gpu, "one value a channel", run(gpu, &inputs(&[1, 5, 1, 1], 1.0, 0.0), &TRAINING));
        refused(gpu, "eps 0", run(gpu, &right, &BatchNormAttributes { eps: 0.0, ..EVALUATION }));
        let mut empty = right.clone();
        empty[0] = Array { shape: vec![0, 5, 3, 3], data: Vec::new() };
        refused(gpu, "an empty batch", run(gpu, &empty, &EVALUATION));
    }
}
