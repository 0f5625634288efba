use gpu_resnet::ops::adam::AdamKind;
use gpu_resnet::ops::attributes::AdamAttributes;
use gpu_resnet::ops::host::{self, AdamState, Array};
use gpu_resnet::reference;
use pollster::FutureExt as _;

use crate::support::{adapters, array, array_with, passes, refused, tensor};

const KINDS: [AdamKind; 2] = [AdamKind::Adam, AdamKind::AdamW];

/// The state in the middle of a run, or before its first step.
fn state(shape: &[usize], step: u64) -> AdamState {
    if step == 0 {
        return AdamState::new(&array("adam.param", shape));
    }
    let exp_avg_sq = array_with("adam.exp_avg_sq", shape, |_, value| value.abs());
    AdamState { step, exp_avg: array("adam.exp_avg", shape), exp_avg_sq }
}

fn expected(
    kind: AdamKind,
    param: &Array,
    grad: &Array,
    state: &AdamState,
    a: &AdamAttributes,
) -> (reference::Tensor, reference::AdamState) {
    let mut param = tensor(param);
    let mut after = reference::AdamState::new(&param.shape);
    (after.step, after.exp_avg, after.exp_avg_sq) = (state.step, tensor(&state.exp_avg), tensor(&state.exp_avg_sq));
    let update = if kind == AdamKind::Adam { reference::adam } else { reference::adamw };
    update(&mut param, &tensor(grad), &mut after, a);
    (param, after)
}

fn case(shape: &[usize], step: u64, attributes: AdamAttributes) -> (Array, Array, AdamState, AdamAttributes) {
    (array("adam.param", shape), array("adam.grad", shape), state(shape, step), attributes)
}

#[test]
fn wrong_attributes_are_caught() {
    let right = AdamAttributes { lr: 0.1, weight_decay: 0.05, eps: 1e-3, ..Default::default() };
    let (param, grad, state, _) = case(&[40], 3, right);
    let wrong = [
        AdamAttributes { lr: 0.11, ..right },
        AdamAttributes { eps: 1e-2, ..right },
        AdamAttributes { weight_decay: 0.0, ..right },
        AdamAttributes { betas: [0.9, 0.99], ..right },
        AdamAttributes { maximize: true, ..right },
    ];
    for gpu in adapters().iter() {
        for kind in KINDS {
            let (want, after) = expected(kind, &param, &grad, &state, &right);
            let run = |kind, state: &AdamState, a: &AdamAttributes| {
                host::adam(gpu, kind, &param, &grad, state, a).block_on().expect("a result")
            };
            assert!(passes(&run(kind, &state, &right).0.data, &want.data));
            for attributes in &wrong {
                assert!(!passes(&run(kind, &state, attributes).0.data, &want.data), "{attributes:?} went unnoticed");
            }
            let other = if kind == AdamKind::Adam { AdamKind::AdamW } else { AdamKind::Adam };
            assert!(!passes(&run(other, &state, &right).0.data, &want.data), "one kind passes as the other");
            let later = AdamState { step: 4, ..state.clone() };
            assert!(!passes(&run(kind, &later, &right).0.data, &want.data), "a wrong step went unnoticed");
            let forgotten = AdamState { exp_avg: AdamState::new(&param).exp_avg, ..state.clone() };
            assert!(!passes(&run(kind, &forgotten, &right).1.exp_avg.data, &after.exp_avg.data));
        }
    }
}

#[test]
fn impossible_inputs_are_refused() {
    let (param, grad, right, attributes) = case(&[4, 5], 3, AdamAttributes::default());
    let other = array("other", &[5, 4]);
    let empty = Array { shape: vec![0], data: Vec::new() };
    for gpu in adapters().iter() {
        for kind in KINDS {
            let run = |param: &Array, grad: &Array, state: &AdamState, a: &AdamAttributes| {
                host::adam(gpu, kind, param, grad, state, a).block_on()
            };
            refused(gpu, "another gradient", run(&param, &other, &right, &attributes));
            let state = AdamState { exp_avg: other.clone(), ..right.clone() };
            refused(gpu, "another exp_avg", run(&param, &grad, &state, &attributes));
            let state = AdamState { exp_avg_sq: other.clone(), ..right.clone() };
            refused(gpu, "another exp_avg_sq", run(&param, &grad, &state, &attributes));
            refused(gpu, "no values", run(&empty, &empty, &AdamState::new(&empty), &attributes));
            let state = AdamState { step: u64::MAX, ..right.clone() };
            refused(gpu, "too many steps", run(&param, &grad, &state, &attributes));
            refused(gpu, "beta 1", run(&param, &grad, &right, &AdamAttributes { betas: [0.9, 1.0], ..attributes }));
            refused(gpu, "amsgrad", run(&param, &grad, &right, &AdamAttributes { amsgrad: true, ..attributes }));
        }
    }
}
