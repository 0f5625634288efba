use gpu_resnet::ops::adam::AdamKind;
use gpu_resnet::ops::attributes::AdamAttributes;
use gpu_resnet::ops::host::{self, AdamState, Array};
use gpu_resnet::reference;

use crate::support::{Verdicts, adapters, array, array_with, deterministic, passes, refused, tensor};

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

fn check(cases: &[(Array, Array, AdamState, AdamAttributes)]) {
    let adapters = adapters();
    let mut verdicts = Verdicts::default();
    for (param, grad, state, attributes) in cases {
        for kind in KINDS {
            let (want, after) = expected(kind, param, grad, state, attributes);
            for gpu in adapters.iter() {
                let what = format!("{kind:?} {:?} step {} {attributes:?}", param.shape, state.step);
                match host::adam(gpu, kind, param, grad, state, attributes) {
                    Err(error) => verdicts.compare(gpu, &what, Err(error), &want),
                    Ok((found, state)) => {
                        assert_eq!(state.step, after.step);
                        verdicts.compare(gpu, &format!("param {what}"), Ok(found), &want);
                        verdicts.compare(gpu, &format!("exp_avg {what}"), Ok(state.exp_avg), &after.exp_avg);
                        verdicts.compare(gpu, &format!("exp_avg_sq {what}"), Ok(state.exp_avg_sq), &after.exp_avg_sq);
                    }
                }
            }
        }
    }
    drop(adapters);
    verdicts.finish("adam");
}

fn case(shape: &[usize], step: u64, attributes: AdamAttributes) -> (Array, Array, AdamState, AdamAttributes) {
    (array("adam.param", shape), array("adam.grad", shape), state(shape, step), attributes)
}

#[test]
fn shapes_and_attributes() {
    let default = AdamAttributes::default();
    let mut cases: Vec<_> = (1..=9).map(|count| case(&[count], 0, default)).collect();
    cases.extend([
        case(&[10, 2048], 7, AdamAttributes { lr: 1e-4, ..default }),
        case(&[64, 3, 7, 7], 1000, AdamAttributes::adamw()),
        case(&[], 3, default),
        case(&[33], 1_000_000, AdamAttributes { lr: 0.1, weight_decay: 0.3, ..default }),
        case(&[33], 5, AdamAttributes { betas: [0.0, 0.0], ..default }),
        case(&[33], 5, AdamAttributes { betas: [0.8, 0.95], eps: 1e-2, ..default }),
        case(&[33], 5, AdamAttributes { maximize: true, weight_decay: 0.1, ..default }),
        case(&[33], 5, AdamAttributes { lr: 0.0, ..default }),
    ]);
    check(&cases);
}

#[test]
fn magnitudes_and_special_values() {
    let attributes = AdamAttributes { weight_decay: 0.01, ..Default::default() };
    let (param, _, _, _) = case(&[50], 0, attributes);
    let grad = |f: fn(usize, f32) -> f32| array_with("adam.grad", &[50], f);
    let cases = [
        grad(|_, _| 0.0),
        grad(|_, value| value * 1e15),
        grad(|_, value| value * 1e-12),
        grad(|i, value| if i == 17 { f32::NAN } else { value }),
    ];
    check(&cases.map(|grad| (param.clone(), grad, state(&[50], 0), attributes)));
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
                host::adam(gpu, kind, &param, &grad, state, a).expect("a result")
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
fn the_same_bits_every_time() {
    let (param, grad, state, attributes) = case(&[10, 33], 3, AdamAttributes::adamw());
    deterministic(|gpu| {
        let (param, state) = host::adam(gpu, AdamKind::AdamW, &param, &grad, &state, &attributes).expect("a result");
        vec![param, state.exp_avg, state.exp_avg_sq]
    });
}

#[test]
fn impossible_inputs_are_refused() {
    let (param, grad, right, attributes) = case(&[4, 5], 3, AdamAttributes::default());
    let other = array("other", &[5, 4]);
    let empty = Array { shape: vec![0], data: Vec::new() };
    for gpu in adapters().iter() {
        for kind in KINDS {
            let run = |param: &Array, grad: &Array, state: &AdamState, a: &AdamAttributes| {
                host::adam(gpu, kind, param, grad, state, a)
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
