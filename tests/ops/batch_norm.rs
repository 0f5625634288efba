use std::sync::Arc;

use gpu_resnet::Result;
use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::attributes::BatchNormAttributes;
use gpu_resnet::ops::host::{self, Array, BatchNormOutput};
use gpu_resnet::reference::batch_norm;
use pollster::FutureExt as _;

use crate::support::{adapters, array, array_with, passes, refused, tensor};

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
    host::batch_norm(gpu, input, parameters.each_ref(), attributes).block_on()
}

const TRAINING: BatchNormAttributes = BatchNormAttributes { eps: 1e-5, momentum: 0.1, training: true };
const EVALUATION: BatchNormAttributes = BatchNormAttributes { training: false, ..TRAINING };

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
