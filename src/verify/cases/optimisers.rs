//! One step of each optimiser.

use super::super::case::{Body, Case, Expected, Kernel, Operation, Suite};
use super::super::key::{Key, VALUES};
use super::super::report::Direction;
use super::lines::lines;
use crate::gpu::Gpu;
use crate::ops::adam::AdamKind;
use crate::ops::attributes::{AdamAttributes, SgdAttributes};
use crate::ops::host::{self, Array};
use crate::reference::{self, SgdState, Tensor};
use crate::{Error, Result};
use std::sync::Arc;

const ADAM: &[Key] = &[
    Key::size("count"),
    Key::count("step", 0),
    Key::number("lr", 1e-3),
    Key::number("beta1", 0.9),
    Key::number("beta2", 0.999),
    Key::number("eps", 1e-8),
    Key::number("weight_decay", 0.0),
    Key::flag("maximize"),
    Key::word("grad_values", VALUES),
    Key::number("grad_scale", 1.0),
    SCALED,
];

/// Whether the step is of scaled gradients, and one of them was not finite.
const SCALED: Key = Key::word("scaled", &["no", "finite", "overflow"]);

fn overflow(case: &Case) -> Option<bool> {
    (case.word(SCALED.name) != "no").then(|| case.word(SCALED.name) == "overflow")
}

const fn adam(name: &'static str, kernel: Kernel) -> Operation {
    Operation {
        name,
        direction: Direction::Forward,
        keys: &[ADAM],
        fill: true,
        list: adam_list,
        flops: |case| 15.0 * case.size("count") as f64,
        body: Body::Kernel(kernel),
    }
}

pub const OPERATIONS: &[Operation] = &[
    adam(
        "adam",
        Kernel {
            inputs: adam_inputs,
            run: |gpu, case, inputs| Box::pin(run_adam(gpu, case, inputs, AdamKind::Adam)),
            twin: |case, inputs| adam_twin(case, inputs, reference::adam),
            slope: None,
        },
    ),
    adam(
        "adamw",
        Kernel {
            inputs: adam_inputs,
            run: |gpu, case, inputs| Box::pin(run_adam(gpu, case, inputs, AdamKind::AdamW)),
            twin: |case, inputs| adam_twin(case, inputs, reference::adamw),
            slope: None,
        },
    ),
    Operation {
        name: "sgd",
        direction: Direction::Forward,
        keys: &[&[
            Key::size("count"),
            Key::flag("first"),
            Key::number("lr", 0.1),
            Key::number("momentum", 0.0),
            Key::number("dampening", 0.0),
            Key::number("weight_decay", 0.0),
            Key::flag("nesterov"),
            Key::flag("maximize"),
            Key::word("grad_values", VALUES),
            Key::number("grad_scale", 1.0),
            SCALED,
        ]],
        fill: true,
        list: sgd_list,
        flops: |case| 6.0 * case.size("count") as f64,
        body: Body::Kernel(Kernel {
            inputs: |case| {
                let shape = [case.size("count")];
                Ok(vec![case.filled("param", &shape, 0), grad(case), case.array("momentum_buffer", &shape)])
            },
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let buffer = has_buffer(case).then_some(&inputs[2]);
                    let (attributes, overflow) = (sgd_attributes(case), overflow(case));
                    let (param, buffer) =
                        host::sgd_scaled(gpu, &inputs[0], &inputs[1], buffer, &attributes, overflow).await?;
                    Ok([param].into_iter().chain(buffer).collect())
                })
            },
            twin: |case, inputs| {
                let mut param = inputs[0].clone();
                let mut state = SgdState { momentum_buffer: has_buffer(case).then(|| inputs[2].clone()) };
                if overflow(case) != Some(true) {
                    reference::sgd(&mut param, &inputs[1], &mut state, &sgd_attributes(case));
                }
                let buffer = state.momentum_buffer.map(|buffer| Expected::sum("momentum_buffer", buffer, STEP));
                [Expected::sum("param", param, STEP)].into_iter().chain(buffer).collect()
            },
            slope: None,
        }),
    },
];

/// Roundings of a step; square root and division may each be off by 2.5 units in the last place.
const STEP: f64 = 32.0;

fn grad(case: &Case) -> Array {
    let scale = case.number("grad_scale") as f32;
    let mut grad = case.grad("grad", &[case.size("count")], 1);
    grad.data.iter_mut().for_each(|value| *value *= scale);
    grad
}

/// Parameter, gradient, and the two running means, which are zero before the first step.
fn adam_inputs(case: &Case) -> Result<Vec<Array>> {
    let (shape, later) = ([case.size("count")], case.size("step") > 0);
    let state =
        |name, f: fn(f32) -> f32| case.array_with(name, &shape, move |value| if later { f(value) } else { 0.0 });
    let squares = state("exp_avg_sq", f32::abs);
    Ok(vec![case.filled("param", &shape, 0), grad(case), state("exp_avg", |value| value), squares])
}

fn adam_attributes(case: &Case) -> AdamAttributes {
    AdamAttributes {
        lr: case.number("lr"),
        betas: [case.number("beta1"), case.number("beta2")],
        eps: case.number("eps"),
        weight_decay: case.number("weight_decay"),
        amsgrad: false,
        maximize: case.flag("maximize"),
    }
}

async fn run_adam(gpu: &Arc<Gpu>, case: &Case, inputs: &[Array], kind: AdamKind) -> Result<Vec<Array>> {
    let [param, grad, exp_avg, exp_avg_sq] = inputs else { unreachable!("four inputs") };
    let step = case.size("step") as u64;
    let state = host::AdamState { step, exp_avg: exp_avg.clone(), exp_avg_sq: exp_avg_sq.clone() };
    let (attributes, overflow) = (adam_attributes(case), overflow(case));
    let (param, after) = host::adam_scaled(gpu, kind, param, grad, &state, &attributes, overflow).await?;
    if after.step != step + 1 {
        return Err(Error::Mismatch(format!("step {step} is followed by step {}", after.step)));
    }
    Ok(vec![param, after.exp_avg, after.exp_avg_sq])
}

type Update = fn(&mut Tensor, &Tensor, &mut reference::AdamState, &AdamAttributes);

fn adam_twin(case: &Case, inputs: &[Tensor], update: Update) -> Vec<Expected> {
    let mut param = inputs[0].clone();
    let mut state = reference::AdamState::new(&param.shape);
    (state.step, state.exp_avg, state.exp_avg_sq) = (case.size("step") as u64, inputs[2].clone(), inputs[3].clone());
    if overflow(case) != Some(true) {
        update(&mut param, &inputs[1], &mut state, &adam_attributes(case));
    }
    vec![
        Expected::sum("param", param, STEP),
        Expected::sum("exp_avg", state.exp_avg, STEP),
        Expected::sum("exp_avg_sq", state.exp_avg_sq, STEP),
    ]
}

fn adam_list(_: Suite) -> Vec<String> {
    let mut all: Vec<String> = (1..=9).map(|count| format!("count={count}")).collect();
    all.extend(lines(
        "
        count=20480 step=7 lr=1e-4
        count=9408 step=1000 weight_decay=0.01
        count=33 step=1000000 lr=0.1 weight_decay=0.3
        count=33 step=5 beta1=0.0 beta2=0.0
        count=33 step=5 beta1=0.8 beta2=0.95 eps=1e-2
        count=33 step=5 weight_decay=0.1 maximize=true
        count=33 step=5 lr=0.0
        count=50 weight_decay=0.01 grad_values=zeros
        count=50 weight_decay=0.01 grad_scale=1e15
        count=50 weight_decay=0.01 grad_scale=1e-12
        count=50 weight_decay=0.01 grad_values=nan
        count=50 step=3 values=denormal
        count=130 step=3 weight_decay=0.1 scaled=finite
        count=130 step=3 weight_decay=0.1 scaled=overflow
        count=50 step=3 grad_values=nan scaled=overflow
    ",
    ));
    all
}

fn sgd_attributes(case: &Case) -> SgdAttributes {
    SgdAttributes {
        lr: case.number("lr"),
        momentum: case.number("momentum"),
        dampening: case.number("dampening"),
        weight_decay: case.number("weight_decay"),
        nesterov: case.flag("nesterov"),
        maximize: case.flag("maximize"),
    }
}

fn has_buffer(case: &Case) -> bool {
    !case.flag("first") && case.number("momentum") != 0.0
}

fn sgd_list(_: Suite) -> Vec<String> {
    let mut all: Vec<String> =
        (1..=9).map(|count| format!("count={count} first={} momentum=0.9", count % 2 == 1)).collect();
    for attributes in lines(
        "
        lr=0.01
        momentum=0.9
        momentum=0.9 nesterov=true
        momentum=0.9 dampening=0.3 weight_decay=0.1
        dampening=0.3
        momentum=0.9 nesterov=true weight_decay=1e-4 maximize=true
    ",
    ) {
        all.push(format!("count=330 first=true {attributes}"));
        all.push(format!("count=9408 {attributes}"));
    }
    for grad in ["grad_values=zeros", "grad_scale=1e30", "grad_values=nan", "grad_values=denormal"] {
        all.push(format!("count=50 momentum=0.9 nesterov=true {grad}"));
    }
    for scaled in ["scaled=finite", "scaled=overflow", "grad_values=nan scaled=overflow"] {
        all.push(format!("count=130 momentum=0.9 weight_decay=0.1 {scaled}"));
    }
    all
}
