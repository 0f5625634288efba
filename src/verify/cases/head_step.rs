//! `head_step`: the bookkeeping of a training step on cached features.

use super::super::case::{Case, Key};
use super::super::report::Direction;
use super::{Body, Expected, Kernel, Operation};
use crate::ops::host::{self, Array};
use crate::reference::Tensor;

pub const OPERATIONS: &[Operation] = &[Operation {
    name: "head_step",
    direction: Direction::Forward,
    // Rows of a batch, features, examples of an epoch, and the step from 0.
    keys: &[Key::size("n"), Key::size("c"), Key::size("examples"), Key::count("step", 0)],
    fill: false,
    list: |_| {
        let all = [
            "n=4 c=7 examples=10",
            "n=4 c=7 examples=10 step=1",
            // The last batch is not full; and one past the end is empty.
            "n=4 c=7 examples=10 step=2",
            "n=4 c=7 examples=10 step=3",
            "n=32 c=2048 examples=100 step=3",
            "n=1 c=1 examples=1",
            "n=3 c=4 examples=2",
        ];
        all.map(str::to_owned).into()
    },
    flops: |_| 0.0,
    body: Body::Kernel(Kernel {
        inputs: |case| {
            let [c, examples] = case.sizes(["c", "examples"]);
            Ok(vec![case.array("features", &[examples, c]), case.array("summary", &[4])])
        },
        run: |gpu, case, inputs| {
            let (labels, order) = (labels(case), order(case));
            let summary = [0, 1, 2, 3].map(|i| inputs[1].data[i]);
            let [n, step] = case.sizes(["n", "step"]);
            let found = host::head_step(gpu, &inputs[0], [&labels, &order], n, step, summary)?;
            let targets = found.targets.iter().map(|label| label.map_or(-1.0, |label| label as f32)).collect();
            let cursor = found.cursor.map(|step| step as f32).into();
            Ok(vec![
                found.batch,
                Array { shape: vec![n], data: targets },
                Array { shape: vec![2], data: cursor },
                found.history,
            ])
        },
        twin: |case, inputs| {
            let (labels, order) = (labels(case), order(case));
            let [n, c, step] = case.sizes(["n", "c", "step"]);
            let mut batch = Tensor::zeros(&[n, c]);
            let mut targets = Tensor::new(&[n], vec![-1.0; n]);
            for (row, &example) in order.iter().skip(step * n).take(n).enumerate() {
                let example = example as usize;
                batch.data[row * c..(row + 1) * c].copy_from_slice(&inputs[0].data[example * c..(example + 1) * c]);
                targets.data[row] = f64::from(labels[example]);
            }
            let mut history = Tensor::zeros(&[step + 1, 4]);
            history.data[4 * step..].copy_from_slice(&inputs[1].data);
            vec![
                Expected::exact("batch", batch),
                Expected::exact("targets", targets),
                Expected::exact("cursor", Tensor::new(&[2], vec![step as f64 + 1.0; 2])),
                Expected::exact("history", history),
            ]
        },
        slope: None,
    }),
}];

fn labels(case: &Case) -> Vec<u32> {
    case.classes("labels", case.size("examples"), 1000).into_iter().map(|class| class as u32).collect()
}

fn order(case: &Case) -> Vec<u32> {
    let examples = case.size("examples");
    case.classes("order", examples, examples).into_iter().map(|example| example as u32).collect()
}
