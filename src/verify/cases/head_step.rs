//! `head_step`: a training step of a head on cached features, whose rows are read where they lie.

use super::super::case::{Body, Case, Expected, Kernel, Operation};
use super::super::key::Key;
use super::super::report::Direction;
use crate::ops::attributes::CrossEntropyAttributes;
use crate::ops::host::{self, Array};
use crate::reference::{self, Tensor};

pub const OPERATIONS: &[Operation] = &[Operation {
    name: "head_step",
    direction: Direction::Backward,
    // Rows of a batch, features, classes, examples of an epoch, and the step from 0.
    keys: &[&[Key::size("n"), Key::size("c"), Key::size("k"), Key::size("examples"), Key::count("step", 0)]],
    fill: false,
    list: |_| {
        let all = [
            "n=4 c=7 k=5 examples=10",
            "n=4 c=7 k=5 examples=10 step=1",
            // The last batch is not full.
            "n=4 c=7 k=5 examples=10 step=2",
            "n=32 c=2048 k=10 examples=100 step=3",
            "n=9 c=130 k=14 examples=40 step=2",
            "n=1 c=1 k=1 examples=1",
            "n=3 c=4 k=2 examples=2",
        ];
        all.map(str::to_owned).into()
    },
    flops: |case| case.sizes(["n", "c", "k"]).map(|size| size as f64).iter().product::<f64>() * 4.0,
    body: Body::Kernel(Kernel {
        inputs: |case| {
            let [c, k, examples] = case.sizes(["c", "k", "examples"]);
            // Small, so that the softmax is not all one class.
            let weight = case.array_with("weight", &[k, c], |value| value / (c as f32).sqrt());
            Ok(vec![case.array("features", &[examples, c]), weight, case.array("bias", &[k])])
        },
        run: |gpu, case, inputs| {
            Box::pin(async move {
                let (labels, order) = (words(case, "labels", "k"), words(case, "order", "examples"));
                let [n, step] = case.sizes(["n", "step"]);
                let [features, weight, bias] = inputs else { unreachable!("three inputs") };
                let found = host::head_step(gpu, [features, weight, bias], [&labels, &order], n, step).await?;
                let cursor = Array { shape: vec![2], data: found.cursor.map(|step| step as f32).into() };
                Ok(vec![found.grad_weight, found.grad_bias, found.history, cursor])
            })
        },
        twin: |case, inputs| {
            let (labels, order) = (words(case, "labels", "k"), words(case, "order", "examples"));
            let [n, c, k, step] = case.sizes(["n", "c", "k", "step"]);
            let rows: Vec<usize> = order.iter().skip(step * n).take(n).map(|&example| example as usize).collect();
            let features = rows.iter().flat_map(|row| &inputs[0].data[row * c..(row + 1) * c]).copied().collect();
            let features = Tensor::new(&[rows.len(), c], features);
            let targets: Vec<i64> = rows.iter().map(|&row| i64::from(labels[row])).collect();
            let logits = reference::linear(&features, &inputs[1], Some(&inputs[2]));
            let loss = reference::cross_entropy(&logits, &targets, &CrossEntropyAttributes::default());
            let grads = reference::linear_backward(&features, &inputs[1], &loss.grad_input);
            let best = |row: &[f64]| (0..k).fold(0, |best, class| if row[class] > row[best] { class } else { best });
            let correct =
                logits.data.chunks(k).zip(&targets).filter(|(row, target)| best(row) as i64 == **target).count();
            let mut history = Tensor::zeros(&[step + 1, 4]);
            history.data[4 * step..].copy_from_slice(&[loss.loss, correct as f64, rows.len() as f64, 0.0]);
            // Vulkan's exp may be off by 3 + 2 |x| units in the last place, and logits are sums.
            let terms = 40.0 + (n + k) as f64;
            vec![
                Expected::sum("grad_weight", grads.grad_weight, terms),
                Expected::sum("grad_bias", grads.grad_bias, terms),
                Expected::sum("history", history, terms),
                Expected::exact("cursor", Tensor::new(&[2], vec![step as f64 + 1.0; 2])),
            ]
        },
        slope: None,
    }),
}];

fn words(case: &Case, name: &str, below: &str) -> Vec<u32> {
    case.classes(name, case.size("examples"), case.size(below)).into_iter().map(|word| word as u32).collect()
}
