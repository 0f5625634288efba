//! What goes with an optimiser's step: clipping of gradients, and the moving average of a parameter.

use super::super::case::{Body, Expected, Kernel, Operation, Suite};
use super::super::key::{Key, PRECISION};
use super::super::report::Direction;
use super::lines::{halves, lines};
use crate::ops::host;
use crate::ops::host::Array;
use crate::reference;

pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "clip_grad_norm",
        direction: Direction::Forward,
        keys: &[&[Key::size("count"), Key::number("max_norm", 1.0)]],
        fill: true,
        list: clip_list,
        flops: |case| 9.0 * case.size("count") as f64,
        body: Body::Kernel(Kernel {
            inputs: |case| {
                let count = case.size("count");
                Ok(vec![
                    case.filled("grad", &[count], 0),
                    case.array("other", &[2 * count + 1]),
                    case.array("last", &[5]),
                ])
            },
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    let (norm, scaled) = host::clip_grad_norm(gpu, inputs, case.number("max_norm")).await?;
                    Ok([Array::new(&[1], vec![norm])?].into_iter().chain(scaled).collect())
                })
            },
            twin: |case, inputs| {
                let mut grads = inputs.to_vec();
                let norm = reference::clip_grad_norm(&mut grads, case.number("max_norm"));
                let terms = 64.0 + inputs.iter().map(|input| input.data.len() as f64).sum::<f64>();
                let norm = reference::Tensor::new(&[1], vec![norm]);
                let names = ["grad", "other", "last"];
                let scaled = names.into_iter().zip(grads).map(|(name, grad)| Expected::sum(name, grad, terms));
                [Expected::sum("norm", norm, terms)].into_iter().chain(scaled).collect()
            },
            slope: None,
        }),
    },
    Operation {
        name: "grad_norm",
        direction: Direction::Forward,
        keys: &[&[Key::size("count"), PRECISION]],
        fill: true,
        list: |_| halves(&["count=1", "count=5", "count=70001", "count=33 values=zeros"]),
        flops: |case| 4.0 * case.size("count") as f64,
        body: Body::Kernel(Kernel {
            inputs: |case| {
                let count = case.size("count");
                Ok(vec![case.filled("grad", &[count], 0), case.filled("other", &[2 * count + 1], 1)])
            },
            run: |gpu, case, inputs| {
                Box::pin(async move {
                    Ok(vec![Array::new(&[1], vec![host::grad_norm((gpu, case.precision()), inputs).await?])?])
                })
            },
            twin: |_, inputs| {
                let norm = reference::clip_grad_norm(&mut inputs.to_vec(), 1.0);
                let terms = 64.0 + inputs.iter().map(|input| input.data.len() as f64).sum::<f64>();
                vec![Expected::sum("norm", reference::Tensor::new(&[1], vec![norm]), terms)]
            },
            slope: None,
        }),
    },
    Operation {
        name: "ema",
        direction: Direction::Forward,
        keys: &[&[Key::size("count"), Key::number("decay", 0.9)]],
        fill: true,
        list: ema_list,
        flops: |case| 3.0 * case.size("count") as f64,
        body: Body::Kernel(Kernel {
            inputs: |case| {
                let shape = [case.size("count")];
                Ok(vec![case.filled("average", &shape, 0), case.array("value", &shape)])
            },
            run: |gpu, case, inputs| {
                Box::pin(async move { Ok(vec![host::ema(gpu, &inputs[0], &inputs[1], case.number("decay")).await?]) })
            },
            twin: |case, inputs| {
                let mut average = inputs[0].clone();
                reference::ema(&mut average, &inputs[1], case.number("decay"));
                vec![Expected::sum("average", average, 32.0)]
            },
            slope: None,
        }),
    },
];

fn clip_list(_: Suite) -> Vec<String> {
    let mut all: Vec<String> = (1..=9).map(|count| format!("count={count}")).collect();
    all.extend(lines(
        "
        count=20480 max_norm=0.001
        count=70001 max_norm=1000000.0
        count=33 values=zeros
        count=50 scale=1e10
    ",
    ));
    all
}

fn ema_list(_: Suite) -> Vec<String> {
    let mut all: Vec<String> = (1..=9).map(|count| format!("count={count}")).collect();
    all.extend(lines(
        "
        count=20480 decay=0.999
        count=9408 decay=0.1
        count=33 decay=0.0
        count=33 values=zeros
    ",
    ));
    all
}
