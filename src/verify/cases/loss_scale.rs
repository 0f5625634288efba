//! Loss scaling: what a backward pass begins with, and what becomes of the gradients that it gives.

use super::super::case::{Body, Expected, Kernel, Operation};
use super::super::key::Key;
use super::super::report::Direction;
use super::lines::lines;
use crate::ops::host::{self, Array};
use crate::reference::{self, Tensor};

pub const OPERATIONS: &[Operation] = &[Operation {
    name: "loss_scale",
    direction: Direction::Forward,
    keys: &[&[Key::size("count"), Key::number("factor", 65_536.0)]],
    fill: true,
    list: |_| {
        let mut all: Vec<String> = (1..=5).map(|count| format!("count={count}")).collect();
        all.extend(lines(
            "
            count=9408 factor=0.25
            count=300 scale=1e-7
            # Whether a value is finite is told by its bits.
            count=300 values=nan
            count=300 values=inf
            count=300 values=-inf
            count=300 values=zeros
            ",
        ));
        all
    },
    flops: |case| 2.0 * case.size("count") as f64,
    body: Body::Kernel(Kernel {
        inputs: |case| Ok(vec![case.filled("grad", &[case.size("count")], 0)]),
        run: |gpu, case, inputs| {
            Box::pin(async move {
                let factor = case.number("factor") as f32;
                let (unscaled, overflow) = host::unscale_gradient(gpu, &inputs[0], factor).await?;
                let overflow = Array::new(&[1], vec![f32::from(u8::from(overflow))])?;
                Ok(vec![host::scale_gradient(gpu, &inputs[0], factor).await?, unscaled, overflow])
            })
        },
        twin: |case, inputs| {
            let factor = case.number("factor");
            let (unscaled, finite) = reference::unscale(&inputs[0], factor);
            let overflow = Tensor::new(&[1], vec![f64::from(u8::from(!finite))]);
            vec![
                Expected::exact("scaled", reference::scale(&inputs[0], factor)),
                Expected::exact("unscaled", unscaled),
                Expected::exact("overflow", overflow),
            ]
        },
        slope: None,
    }),
}];
