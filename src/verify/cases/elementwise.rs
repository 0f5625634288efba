//! ReLU and the residual addition, forward and backward. They are layout-free, so that a case has only a count.

use super::super::case::{Body, Case, Expected, Kernel, Operation, Slope, Suite};
use super::super::key::{Key, PRECISION, VALUES};
use super::super::report::Direction;
use super::gradients::dot;
use super::lines::halves;
use crate::ops::host;
use crate::reference;

/// A sum of two numbers is rounded once.
const ONE_SUM: f64 = 1.0;

const FORWARD: &[Key] = &[Key::size("count"), PRECISION];
const BACKWARD: &[Key] = &[Key::size("count"), Key::word("grad_values", VALUES), PRECISION];

type List = fn(Suite) -> Vec<String>;

const fn forward(name: &'static str, list: List, kernel: Kernel) -> Operation {
    Operation {
        name,
        direction: Direction::Forward,
        keys: &[FORWARD],
        fill: true,
        list,
        flops: |case| case.size("count") as f64,
        body: Body::Kernel(kernel),
    }
}

const fn backward(name: &'static str, list: List, kernel: Kernel) -> Operation {
    Operation {
        name,
        direction: Direction::Backward,
        keys: &[BACKWARD],
        fill: true,
        list,
        flops: |case| case.size("count") as f64,
        body: Body::Kernel(kernel),
    }
}

pub const OPERATIONS: &[Operation] = &[
    forward(
        "relu",
        |suite| {
            let mut all = counts(suite, true);
            all.extend(halves(&["count=257", "count=729 values=special"]));
            all
        },
        Kernel {
            inputs: |case| Ok(vec![operand(case, 0)]),
            run: |gpu, case, inputs| {
                Box::pin(async move { Ok(vec![host::relu((gpu, case.precision()), &inputs[0]).await?]) })
            },
            twin: |_, inputs| vec![Expected::exact("output", reference::relu(&inputs[0]))],
            slope: None,
        },
    ),
    forward(
        "add",
        |suite| {
            let mut all = counts(suite, suite == Suite::Full);
            // The second goes beyond f16: gradients are added so too.
            all.extend(halves(&["count=257", "count=300 scale=30000.0"]));
            all
        },
        Kernel {
            inputs: |case| Ok(vec![operand(case, 0), operand(case, 1)]),
            run: |gpu, case, inputs| {
                Box::pin(async move { Ok(vec![host::add((gpu, case.precision()), &inputs[0], &inputs[1]).await?]) })
            },
            twin: |case, inputs| {
                vec![Expected::gradient(case, "output", reference::add(&inputs[0], &inputs[1]), ONE_SUM)]
            },
            slope: None,
        },
    ),
    forward(
        "add_relu",
        |suite| {
            let mut all = counts(suite, suite == Suite::Full);
            all.extend(halves(&["count=257"]));
            all
        },
        Kernel {
            inputs: |case| Ok(vec![operand(case, 0), operand(case, 1)]),
            run: |gpu, case, inputs| {
                Box::pin(
                    async move { Ok(vec![host::add_relu((gpu, case.precision()), &inputs[0], &inputs[1]).await?]) },
                )
            },
            twin: |case, inputs| {
                vec![Expected::stored(case, "output", reference::add_relu(&inputs[0], &inputs[1]), ONE_SUM)]
            },
            slope: None,
        },
    ),
    backward(
        "relu_backward",
        |suite| with_grads(suite, suite == Suite::Full),
        Kernel {
            inputs: |case| Ok(vec![operand(case, 0), upstream(case, 1)]),
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    Ok(vec![host::relu_backward((gpu, case.precision()), &inputs[0], &inputs[1]).await?])
                })
            },
            twin: |_, inputs| vec![Expected::exact("grad_input", reference::relu_backward(&inputs[0], &inputs[1]))],
            slope: Some(Slope {
                objective: |_, inputs| dot(&reference::relu(&inputs[0]), &inputs[1]),
                gradients: &[(0, 0)],
            }),
        },
    ),
    backward(
        "add_relu_backward",
        |suite| with_grads(suite, true),
        Kernel {
            inputs: |case| Ok(vec![operand(case, 0), operand(case, 1), upstream(case, 2)]),
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let on = (gpu, case.precision());
                    Ok(vec![host::add_relu_backward(on, &inputs[0], &inputs[1], &inputs[2]).await?])
                })
            },
            twin: |_, inputs| {
                let grads = reference::add_relu_backward(&inputs[0], &inputs[1], &inputs[2]);
                vec![Expected::exact("grad_input", grads.0)]
            },
            slope: Some(Slope {
                objective: |_, inputs| dot(&reference::add_relu(&inputs[0], &inputs[1]), &inputs[2]),
                gradients: &[(0, 0)],
            }),
        },
    ),
];

fn operand(case: &Case, place: usize) -> host::Array {
    case.filled(["input", "other"][place], &[case.size("count")], place)
}

fn upstream(case: &Case, place: usize) -> host::Array {
    let values = if case.word("values") == "special" { "special" } else { case.word("grad_values") };
    case.fill_as("grad_output", &[case.size("count")], place, values)
}

/// Cases of a suite; `large` ones, too.
fn counts(suite: Suite, large: bool) -> Vec<String> {
    let mut counts: Vec<usize> = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 257, 100_352];
    if large {
        // 65,535 workgroups hold 16,776,960 values.
        counts.push(16_776_960 + 1029);
    }
    if suite == Suite::Full {
        // A binding past 128 MiB.
        counts.push((128 << 20) / 4 + 5);
    }
    let mut all: Vec<String> = counts.iter().map(|count| format!("count={count}")).collect();
    // All combinations of special values.
    all.push("count=729 values=special".into());
    all.extend(["zeros", "denormal"].map(|values| format!("count=64 values={values}")));
    all.extend([1e30, 1e-30].map(|scale| format!("count=64 scale={scale:?}")));
    all
}

fn with_grads(suite: Suite, large: bool) -> Vec<String> {
    let mut all = counts(suite, large);
    // Whether a number that may be taken for zero lies above zero has no one answer.
    all.retain(|line| !line.contains("values=denormal"));
    all.extend(["nan", "inf", "denormal"].map(|values| format!("count=300 grad_values={values}")));
    all.extend(halves(&["count=257", "count=300 grad_values=nan", "count=300 grad_values=inf"]));
    all
}
